"""The synthesised environments, which three checks read."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from ops.security.programs import python, ran

__all__ = ["CHECKED", "Assembly", "Template", "distinct", "synthesised"]

CHECKED = ("dev", "prod", "private")
"""What is deployed to AWS; the last is production with a private edge.

Staging is production with other numbers, and the local cloud is dev with less in it.
"""


@dataclass(frozen=True)
class Template:
    """A stack's template in one environment."""

    environment: str
    path: Path

    @cached_property
    def digest(self) -> str:
        """Of its bytes: what two environments share is looked at once."""
        return sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def _paths(self) -> dict[str, str]:
        metadata = json.loads(self.path.with_name(self.path.name.replace(".template.", ".metadata.")).read_text())
        return {
            entry["data"]: construct.removeprefix("/")
            for construct, entries in metadata.items()
            for entry in entries
            if entry["type"] == "aws:cdk:logicalId"
        }

    def place(self, logical_id: str) -> str:
        """The construct that became a resource; of what is no resource, the file and the name."""
        return self._paths.get(logical_id, f"{self.path.name}#{logical_id}")


@dataclass(frozen=True)
class Assembly:
    """All templates of one environment, and what was said while they were made."""

    environment: str
    folder: Path

    @property
    def report(self) -> Path:
        return self.folder / "validation-report.json"

    @property
    def templates(self) -> list[Template]:
        return [Template(self.environment, path) for path in sorted(self.folder.glob("*.template.json"))]


def distinct(assemblies: Sequence[Assembly]) -> Iterator[list[Template]]:
    """Templates of the same bytes together: the first stands for all."""
    alike: dict[str, list[Template]] = {}
    for assembly in assemblies:
        for template in assembly.templates:
            alike.setdefault(template.digest, []).append(template)
    yield from alike.values()


def synthesised(folder: Path) -> list[Assembly]:
    """Every environment, in one process: starting Node.js and the CDK's rules takes longer than to use them."""
    ran([*python("infra.inspection"), str(folder), *CHECKED])
    return [Assembly(name, folder / name) for name in CHECKED]
