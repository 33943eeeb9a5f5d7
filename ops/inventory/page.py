"""The part of docs/deploy.md that is made from production's templates."""

from collections.abc import Iterator
from pathlib import Path

from ops.inventory.tables import counted, kept, listening
from ops.inventory.templates import Templates
from ops.markdown import table

__all__ = ["PAGE", "replaced", "section"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"

_BEGIN = "<!-- made by `paywarden inventory --write` from here; a test makes it again and compares -->"
_END = "<!-- to here -->"


def section(templates: Templates) -> Iterator[str]:
    """What there is, what listens and what stays, line by line."""
    yield from (
        "### Resources, by type and stack",
        "",
        *table(("type", *templates, "all"), counted(templates)),
        "",
        "### What listens",
        "",
        *table(("what", "how many", "names", "reached by"), listening(templates)),
        "",
        "### What stays when the stacks are deleted",
        "",
        *table(("stack", "type", "how many", "names"), kept(templates)),
    )


def replaced(page: str, templates: Templates) -> str:
    """The page with its part made anew.

    Raises
    ------
    ValueError
        If the page does not say where that part begins and ends.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name}: the lines {_BEGIN!r} and {_END!r} are missing")
    return "\n".join((before + begin, "", *section(templates), "", end + after))
