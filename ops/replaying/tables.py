"""A replay for people at a terminal: what changes, in counts and money, and what could not be replayed."""

from collections.abc import Iterator
from typing import Any

from rich.table import Column, Table

from fraud.currency import written
from training.replay_report import LEFT_OUT, NOTES

__all__ = ["shown"]


def shown(document: dict[str, Any]) -> Iterator[Table | str]:
    """What to print, one part after the other; parts with nothing to tell are left out."""
    yield document["sentence"]
    if document["changed"]:
        yield _ways(document)
    if document["cannot_be_replayed"] or document["notes"]:
        yield _leans_on(document)


def _ways(document: dict[str, Any]) -> Table:
    table = Table(
        "from",
        "to",
        Column("payments", justify="right"),
        Column("amount", justify="right"),
        Column("known frauds", justify="right"),
        Column("known genuine", justify="right"),
        title="What would change",
    )
    for each in document["ways"]:
        if each["from"] != each["to"]:
            amount = f"{written(each['all']['amount'], each['currency'])} {each['currency']}"
            counts = (f"{each[name]['count']:,}" for name in ("all", "fraud", "genuine"))
            payments, frauds, genuine = counts
            table.add_row(each["from"], each["to"], payments, amount, frauds, genuine)
    return table


def _leans_on(document: dict[str, Any]) -> Table:
    table = Table(Column("decisions", justify="right"), "replayed", Column("why", overflow="fold"))
    for name, count in document["cannot_be_replayed"].items():
        table.add_row(f"{count:,}", "[red]no[/red]", LEFT_OUT.get(name, name))
    for name, count in document["notes"].items():
        table.add_row(f"{count:,}", "yes", NOTES.get(name, name))
    return table
