"""What was called in the local cloud, by which role and on what; and what roles allow, to be held against it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Call", "CallLog", "Grant", "grants_of", "matches", "read_calls", "refused", "unused"]


@dataclass(frozen=True, order=True)
class Call:
    """One role's call of one action on one resource, and whether it was let through.

    Attributes
    ----------
    role : str
        The role's name.
    action : str
        As IAM names it, such as ``dynamodb:PutItem``.
    resource : str
        ARN, or ``*`` where the service knows none.
    allowed : bool
    """

    role: str
    action: str
    resource: str
    allowed: bool


class CallLog:
    """Keeps each call once, as a line of JSON in a file, so that another process can read it at any time."""

    def __init__(self, path: Path) -> None:
        self._seen: set[Call] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        path.write_text("")

    def __call__(self, call: Call) -> None:
        """Note a call."""
        if call not in self._seen:
            self._seen.add(call)
            with self._path.open("a") as file:
                file.write(json.dumps([call.role, call.action, call.resource, call.allowed]) + "\n")


def read_calls(path: Path) -> frozenset[Call]:
    """The calls that a `CallLog` has kept so far."""
    return frozenset(Call(*json.loads(line)) for line in path.read_text().splitlines())


@dataclass(frozen=True, order=True)
class Grant:
    """One action that a role may call on the resources that match one pattern."""

    role: str
    action: str
    resource: str

    def covers(self, call: Call) -> bool:
        """Whether a call was of this kind."""
        same = self.role == call.role and self.action.lower() == call.action.lower()
        return same and matches(call.resource, self.resource)


def grants_of(iam: Any) -> frozenset[Grant]:
    """What the inline policies of every deployed role allow, an action and a resource at a time."""
    found: set[Grant] = set()
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            name = role["RoleName"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                document: Any = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                found.update(_grants(name, document if isinstance(document, Mapping) else json.loads(document)))
    return frozenset(found)


def _grants(role: str, document: Mapping[str, Any]) -> Iterator[Grant]:
    for statement in _listed(document["Statement"]):
        if statement["Effect"] == "Allow":
            for action in _listed(statement["Action"]):
                for resource in _listed(statement["Resource"]):
                    yield Grant(role, action, resource)


def refused(calls: Iterable[Call]) -> list[Call]:
    """The calls that no statement allows: the role lacks something, even if the program bore with it."""
    return sorted(each for each in calls if not each.allowed)


def unused(grants: Iterable[Grant], calls: Iterable[Call]) -> list[Grant]:
    """The grants of which no call made use: the role has too much, or nothing tries what needs it."""
    by_role: dict[str, list[Call]] = {}
    for call in calls:
        if call.allowed:
            by_role.setdefault(call.role, []).append(call)
    return sorted(each for each in grants if not any(each.covers(call) for call in by_role.get(each.role, ())))


def matches(resource: str, pattern: str) -> bool:
    """Whether an ARN is among those that a statement names: ``*`` stands for any text, ``?`` for one sign."""
    return _expression(pattern).fullmatch(resource) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern), re.DOTALL)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
