"""Starting the tools, each in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.security.findings import CheckError

__all__ = ["BIN", "ROOT", "TOOLS", "answered", "python", "ran"]

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TOOLS = ROOT / "build/security-venv/bin"
"""The tools that cannot live in the project's own environment; ops/security/run.sh lays it."""


def python(module: str) -> list[str]:
    """How a module of ours is started."""
    return [sys.executable, "-m", module]


def ran(command: Sequence[str], *, ends: Sequence[int] = (0,)) -> str:
    """The standard output of a program run at the top of the project.

    Raises
    ------
    CheckError
        If it cannot be started, or ends with another status than `ends`.
    """
    try:
        done = subprocess.run(  # noqa: S603 - a list of our own making, no shell
            command, cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CheckError(f"{Path(command[0]).name}: {error.strerror}") from None
    if done.returncode not in ends:
        said = (done.stderr or done.stdout).strip()[-2_000:]
        raise CheckError(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
    return done.stdout


def answered(command: Sequence[str], *, ends: Sequence[int] = (0,)) -> Any:
    """The JSON document that a program prints.

    Raises
    ------
    CheckError
        As `ran`, and if what it prints is no JSON.
    """
    said = ran(command, ends=ends)
    try:
        return json.loads(said)
    except ValueError:
        raise CheckError(f"{Path(command[0]).name} printed no JSON: {said[:500]!r}") from None
