"""The record of the last release: one file for each environment on AWS."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from infra.environments import ENVIRONMENTS
from infra.upgrades.keeping import Kept

__all__ = ["RECORDED", "read", "write"]

RECORDED: Final = tuple(name for name in ENVIRONMENTS if name != "local")
"""The local cloud is made anew each time."""

_FOLDER: Final = Path(__file__).parent / "released"

type Release = Mapping[str, Mapping[str, Kept]]
"""Stateful resources by stack and logical id."""


def read(environment: str) -> Release:
    """The stateful resources of the last release of an environment."""
    return msgspec.json.decode(_file(environment).read_bytes(), type=dict[str, dict[str, Kept]])


def write(environment: str, release: Release) -> Path:
    """Record a release in the place of the last one; where it is."""
    path = _file(environment)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(release, order="deterministic")) + b"\n")
    return path


def _file(environment: str) -> Path:
    return _FOLDER / f"{environment}.json"
