"""A release held against the one before."""

import json
from collections.abc import Iterator, Mapping
from math import inf
from typing import Final

from infra.upgrades.keeping import EXPORT, REWRITTEN, Kept

__all__ = ["broken"]

_POLICIES: Final = {"Delete": 0, "Snapshot": 1, "RetainExceptOnCreate": 2, "Retain": 2}
"""How much of a resource outlives it. The last two differ while it is made, and what was released is."""


def broken(released: Mapping[str, Kept], current: Mapping[str, Kept]) -> dict[str, str]:
    """What a deployment over the last release would lose, or be refused for.

    Parameters
    ----------
    released, current : mapping of str to Kept
        The stateful resources and exports of a stack by their logical ids, in the last release and now.

    Returns
    -------
    dict of str to str
        By logical id, in a sentence; empty if nothing would be lost. New resources lose nothing.
    """
    found = {}
    for name, before in released.items():
        after = current.get(name)
        losses = [_gone(before)] if after is None else list(_losses(before, after))
        if losses:
            found[name] = f"{name} ({before.type}): {'; '.join(losses)}"
    return found


def _gone(before: Kept) -> str:
    return f"it is gone: CloudFormation would {'refuse that' if before.type == EXPORT else 'drop it'}"


def _losses(before: Kept, after: Kept) -> Iterator[str]:
    if before.type != after.type:
        yield f"it is of type {after.type} now, which is another resource"
        return
    for path in sorted({*before.fixed, *after.fixed}):
        was, becomes = before.fixed.get(path), after.fixed.get(path)
        if was != becomes:
            why = REWRITTEN.get(after.type, {}).get(path, "cannot be changed, so it would be replaced")
            yield f"{path} {why}: {json.dumps(was)} would become {json.dumps(becomes)}"
    for name in sorted({*before.keeps, *after.keeps}):
        kept, keeps = before.keeps.get(name, inf), after.keeps.get(name, inf)
        if keeps < kept:
            yield f"{name}: {kept:g} would become {keeps:g}"
    for what, policy, now in (
        ("deletion", before.deleted, after.deleted),
        ("replacement", before.replaced, after.replaced),
    ):
        if _POLICIES[now] < _POLICIES[policy]:
            yield f"its policy on {what} would become {now}, from {policy}"
