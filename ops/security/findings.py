"""What a check finds, and what it comes back with."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["CheckError", "Finding", "Result", "over_environments"]


class CheckError(Exception):
    """A check could not do its work."""


@dataclass(frozen=True, order=True, kw_only=True)
class Finding:
    """One rule that one thing breaks.

    Attributes
    ----------
    rule : str
        By the name that its tool gives it, with what differs between environments taken out.
    place : str
        The path of a construct, or of a file with what tells the spot in it.
    message : str
        The tool's words.
    environments : tuple of str
        Those whose template it is found in, sorted; empty for what has no template.
    reason : str
        Why it may stay, where that is written at the place itself.
    """

    rule: str
    place: str
    message: str
    environments: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one check comes back with.

    Attributes
    ----------
    check : str
    findings : tuple of Finding
    unreached : str
        Why its data could not be had, which is no pass.
    """

    check: str
    findings: tuple[Finding, ...] = ()
    unreached: str = ""


def over_environments(found: Iterable[tuple[str, str, str, str]]) -> tuple[Finding, ...]:
    """One finding for each rule and place, from (environment, rule, place, message)."""
    where: dict[tuple[str, str], set[str]] = {}
    words: dict[tuple[str, str], str] = {}
    for environment, rule, place, message in found:
        where.setdefault((rule, place), set()).add(environment)
        words.setdefault((rule, place), message)
    return tuple(
        Finding(rule=rule, place=place, message=words[rule, place], environments=tuple(sorted(environments)))
        for (rule, place), environments in sorted(where.items())
    )
