"""A folder that is ready to be zipped, and the name of its contents."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Bundle",
    "MissingBundleError",
    "compile_tree",
    "copy_python",
    "digest_tree",
    "normalise",
]

# Never needed at run time: an interpreter neither reads nor imports these.
_NOISE = shutil.ignore_patterns("__pycache__", "*.pyc", "*.pyi", "py.typed", "tests", "test_*.py", ".*")


class MissingBundleError(RuntimeError):
    """A folder that should have been built beforehand is not there."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A built folder.

    Attributes
    ----------
    path : Path
        What becomes the root of the zip file.
    digest : str
        SHA-256 of the folder's contents: changes when, and only when, a file's bytes or place do.
    """

    path: Path
    digest: str


def digest_tree(root: Path) -> str:
    """SHA-256 over the relative path and the bytes of every file under `root`; times and owners do not count."""
    total = hashlib.sha256()
    for path in sorted(each for each in root.rglob("*") if each.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def copy_python(source: Path, target: Path) -> None:
    """Copy a package's code and data, without its tests, type stubs and caches.

    Raises
    ------
    MissingBundleError
        If `source` is not a folder.
    """
    if not source.is_dir():
        raise MissingBundleError(f"{source}: there is no such folder to package")
    shutil.copytree(source, target, ignore=_NOISE, dirs_exist_ok=True)


def compile_tree(root: Path, *, runtime_root: str) -> None:
    """Compile every module under `root`, so that a cold start compiles none.

    The bytecode's own hash check is switched off ("unchecked-hash"): it is neither stale by time, which a zip
    file does not keep, nor different from one build to the next. Tracebacks name files as the Lambda sees
    them, under `runtime_root`.
    """
    command = [
        *(sys.executable, "-S", "-s", "-P", "-m", "compileall", "-q", "-f", "-j", "1"),
        *("--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", runtime_root, str(root)),
    ]
    # A fixed hash seed: the order of a frozenset among the constants must not depend on the process.
    done = subprocess.run(  # noqa: S603 - a list, no shell; this interpreter over a folder that we made
        command, env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{root}: bytecode was not compiled: {done.stdout}{done.stderr}")


def normalise(root: Path) -> None:
    """Give every file and folder the same mode wherever it was built, and drop empty folders."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        else:
            path.chmod(0o755 if path.is_dir() else 0o644)
