"""Building what the functions run. Nothing here needs Docker; nothing but the vendor layer needs a network."""

import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from infra.environment import Architecture
from infra.environments import ENVIRONMENTS
from infra.layers.bundle import Bundle, compile_tree, copy_python, digest_tree, normalise
from infra.layers.vendor import build_vendor

__all__ = ["LAYERS", "ROOT", "function_bundle", "layer_bundle", "prepare"]

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("fraud", "runtime", "vendor")


@cache
def layer_bundle(name: str, *, architecture: Architecture, root: Path = ROOT) -> Bundle:
    """The folder of a layer (it holds `python/`), built once a process.

    Raises
    ------
    MissingBundleError
        If the layer's code is not there, or the vendor layer cannot be built offline.
    """
    if name == "vendor":
        path = build_vendor(root=root, architecture=architecture, uv=_uv())
        return Bundle(path=path, digest=digest_tree(path))
    return _packaged(
        source=root / "layers" / name / "python",
        folder="python",
        runtime_root="/opt",
        target=root / "build" / "layers" / "any",
        name=name,
    )


@cache
def function_bundle(verb_noun: str, *, root: Path = ROOT) -> Bundle:
    """The folder of a function: its package at the root, so that the handler is `<verb_noun>.handler.handler`.

    Raises
    ------
    MissingBundleError
        If there is no folder `lambdas/<verb_noun>`.
    """
    return _packaged(
        source=root / "lambdas" / verb_noun,
        folder=verb_noun,
        runtime_root="/var/task",
        target=root / "build" / "functions",
        name=verb_noun,
    )


def prepare(*, root: Path = ROOT) -> tuple[Path, ...]:
    """Build the vendor layer for every architecture that an environment uses, so that synth is offline."""
    architectures = sorted({each.architecture for each in ENVIRONMENTS.values()})
    return tuple(build_vendor(root=root, architecture=each, uv=_uv()) for each in architectures)


def _packaged(*, source: Path, folder: str, runtime_root: str, target: Path, name: str) -> Bundle:
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".build-") as scratch:
        staged = Path(scratch) / "staged"
        copy_python(source, staged / folder)
        compile_tree(staged, runtime_root=runtime_root)
        normalise(staged)
        digest = digest_tree(staged)
        final = target / f"{name}-{digest[:16]}"
        if not final.is_dir():
            try:
                staged.rename(final)
            except OSError:
                # Another synth at the same time put the very same contents there.
                if not final.is_dir():
                    raise
    return Bundle(path=final, digest=digest)


def _uv() -> Path:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise RuntimeError("uv: not found beside the interpreter nor on the path; run `make setup`")
    return Path(found)
