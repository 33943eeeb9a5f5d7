"""The templates of an environment, as `cdk deploy` would send them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.environments import lookup

__all__ = ["Templates", "synthesized"]

type Templates = Mapping[str, Mapping[str, Any]]
"""By the part that each stack is, in the order of their deployment."""

_ROOT = Path(__file__).resolve().parents[2]


def synthesized(name: str) -> Templates:
    """Synthesise an environment, bound to no account; nothing is asked of AWS.

    Raises
    ------
    ValueError
        If there is no such environment.
    """
    lookup(name)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "infra.assembly", folder, name]
        subprocess.run(command, cwd=_ROOT, check=True)  # noqa: S603 - our own program, a known environment
        manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
        stacks = [key for key, each in manifest["artifacts"].items() if each["type"] == "aws:cloudformation:stack"]
        return {part: json.loads((Path(folder) / f"{part}.template.json").read_text()) for part in stacks}
