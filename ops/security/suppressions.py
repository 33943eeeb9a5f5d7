"""What may stay as it is, and why: suppressions.toml."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FILE", "Suppression", "SuppressionError", "load", "parse"]

FILE = Path(__file__).with_name("suppressions.toml")
_KEYS = {"check", "rule", "reason", "places", "environments"}
_WORDS = 4
"""A reason has so many words at least."""


class SuppressionError(Exception):
    """suppressions.toml says something that cannot be meant."""


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """One rule that one thing may break.

    Attributes
    ----------
    environments : tuple of str
        Those in which it breaks it, sorted; in all others it must not.
    """

    check: str
    rule: str
    place: str
    reason: str
    environments: tuple[str, ...]

    @property
    def reasoned(self) -> bool:
        """Whether it says why."""
        return len(self.reason.split()) >= _WORDS


def load(known: tuple[str, ...]) -> list[Suppression]:
    """What the file says; see `parse`."""
    return parse(tomllib.loads(FILE.read_text()), known)


def parse(document: Mapping[str, Any], known: tuple[str, ...]) -> list[Suppression]:
    """All suppressions of a document, one for each place.

    Parameters
    ----------
    known : tuple of str
        The environments that are checked, which is what a group that names none is about.

    Raises
    ------
    SuppressionError
        If a group has no rule, an unknown key or environment, a pattern for a place, or a place that another has.
    """
    said = list(_all(document, known))
    seen: set[tuple[str, str, str]] = set()
    for each in said:
        key = (each.check, each.rule, each.place)
        if key in seen:
            raise SuppressionError(f"{each.check} {each.rule}: {each.place} stands there twice")
        seen.add(key)
    return said


def _all(document: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[Suppression]:
    for group in document.get("suppressed", ()):
        named = f"{group.get('check')} {group.get('rule')}"
        if strange := group.keys() - _KEYS:
            raise SuppressionError(f"{named}: unknown key {', '.join(sorted(strange))}")
        if not group.get("check") or not group.get("rule") or not group.get("places"):
            raise SuppressionError(f"{named}: check, rule and places are needed")
        environments = group.get("environments", known)
        if strange := set(environments) - set(known):
            raise SuppressionError(f"{named}: no such environment: {', '.join(sorted(strange))}")
        for place in group["places"]:
            if "*" in place:
                raise SuppressionError(f"{named}: {place} is a pattern; name one place")
            yield Suppression(
                check=group["check"],
                rule=group["rule"],
                place=place,
                reason=group.get("reason", ""),
                environments=tuple(sorted(environments)),
            )
