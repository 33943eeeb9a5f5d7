"""Parts of pages of Markdown that commands write."""

from collections.abc import Iterable, Sequence

__all__ = ["made_by", "table"]


def made_by(command: str) -> str:
    """What a page says of itself below its title: the command that writes the whole of it."""
    return f"*Made by `paywarden {command} --write`; a test makes it again and compares.*"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """A table of Markdown; all columns but the first are figures if the last row's are."""
    listed = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    numeric = [
        all(not row[place] or row[place].strip("*$%,. ")[:1].isdigit() for row in listed)
        for place in range(len(heads))
    ]
    yield "| " + " | ".join(heads) + " |"
    yield "| " + " | ".join("---:" if each and place else "---" for place, each in enumerate(numeric)) + " |"
    for row in listed:
        yield "| " + " | ".join(row) + " |"
