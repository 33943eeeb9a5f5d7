"""The vendor layer: the functions' third-party dependencies, for the processor they will run on.

The recipe is this file and `bundle`: their bytes are part of the layer's name, so a change there builds it anew.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.environment import Architecture
from infra.layers import bundle
from infra.layers.bundle import MissingBundleError, compile_tree, copy_python, normalise

__all__ = ["PYTHON_VERSION", "build_vendor", "vendor_folder"]

PYTHON_VERSION = "3.13"

_PLATFORMS: dict[Architecture, str] = {
    "arm64": "aarch64-manylinux_2_28",
    "x86_64": "x86_64-manylinux_2_28",
}
# Serving calls libxgboost.so itself; the package's Python modules import numpy and scipy, 130 MB of them.
_KEPT_OF_XGBOOST = ("VERSION", "lib/libxgboost.so")
# Rules are evaluated by the compiled engine itself; its package imports a command line with a terminal library.
_KEPT_OF_CEL = ("cel.cpython-*.so",)
# Command lines and a packager's hook.
_DROPPED_OF_LARK = ("tools", "__pyinstaller")
# What remains of a distribution's metadata: its name, its version and its licence.
_KEPT_OF_METADATA = ("METADATA", "licenses")


def vendor_folder(*, root: Path, architecture: Architecture) -> Path:
    """Where the layer of these requirements, this recipe and this platform is, or will be."""
    recipe = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    for part in (root / "requirements" / "vendor.txt", Path(__file__), Path(bundle.__file__)):
        recipe.update(part.read_bytes())
    return root / "build" / "layers" / _PLATFORMS[architecture] / f"vendor-{recipe.hexdigest()[:16]}"


def build_vendor(*, root: Path, architecture: Architecture, uv: Path) -> Path:
    """Install the requirements into a folder, unless that was done before.

    Raises
    ------
    MissingBundleError
        If the layer is not there and could not be built, for instance without a network.
    """
    target = vendor_folder(root=root, architecture=architecture)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its final place and then moved there whole: an interrupted build leaves no half a layer.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".vendor-") as scratch:
        python = Path(scratch) / "layer" / "python"
        _install(root=root, architecture=architecture, uv=uv, target=python)
        _strip(python)
        compile_tree(python, runtime_root="/opt/python")
        normalise(python)
        python.parent.rename(target)
    return target


def _install(*, root: Path, architecture: Architecture, uv: Path, target: Path) -> None:
    requirements = root / "requirements" / "vendor.txt"
    installed = target.parent.with_name("installed")
    command = [
        *(str(uv), "pip", "install", "--quiet", "--target", str(installed), "--link-mode", "copy"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--python-platform", _PLATFORMS[architecture], "--python-version", PYTHON_VERSION),
        *("-r", str(requirements)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
    if done.returncode != 0:
        raise MissingBundleError(
            f"{requirements}: the vendor layer for {architecture} is not built yet and could not be built now; "
            f"run `make setup` once with a network. uv said:\n{done.stderr.strip()}"
        )
    copy_python(installed, target)


def _strip(python: Path) -> None:
    shutil.rmtree(python / "bin", ignore_errors=True)
    for metadata in python.glob("*.dist-info"):
        _keep_only(metadata, _KEPT_OF_METADATA)
    _keep_only(python / "xgboost", _KEPT_OF_XGBOOST)
    _keep_only(python / "cel", _KEPT_OF_CEL)
    for folder in _DROPPED_OF_LARK:
        shutil.rmtree(python / "lark" / folder, ignore_errors=True)


def _keep_only(folder: Path, kept: tuple[str, ...]) -> None:
    for path in _files(folder):
        relative = path.relative_to(folder)
        # A pattern is of the file itself or of a folder that it is in.
        if not any(part.full_match(each) for part in (relative, *relative.parents) for each in kept):
            path.unlink()


def _files(folder: Path) -> Iterator[Path]:
    yield from [path for path in folder.rglob("*") if not path.is_dir()]
