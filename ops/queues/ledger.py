"""Lines of the ledger of some stretches of time, found by one pass over all of it.

A line holds its time within its row, and no index knows it. So the table is read in segments side by side, once
for all stretches that are asked for, and of a line only what `relay_decisions` publishes.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import msgspec

from ops import scanning

__all__ = ["Line", "Stretch", "lines", "merged"]

TELLS: Final = 1_000_000
"""After how many lines it is told how far the reading is."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time, both ends included, in ms."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the ledger.

    Attributes
    ----------
    image : mapping
        Its `kind` and its `row`, as the table's stream would hold them.
    """

    event_id: str
    stretch: Stretch
    image: dict[str, Any]


class _Row(msgspec.Struct):
    event_id: str
    recorded_at: int


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same moments without overlap, the earliest first."""
    found: list[Stretch] = []
    for each in sorted(stretches, key=lambda stretch: stretch.since):
        if found and each.since <= found[-1].until:
            found[-1] = Stretch(found[-1].since, max(found[-1].until, each.until))
        else:
            found.append(each)
    return found


def lines(client: Any, table: str, stretches: Sequence[Stretch], *, tell: Callable[[str], None]) -> Iterator[Line]:
    """Lines that were recorded in one of those stretches, which do not overlap and come in their order.

    Parameters
    ----------
    client
        Of DynamoDB.
    tell : callable
        Called with a sentence on how far this is.
    """
    starts = [each.since for each in stretches]
    pages = scanning.pages(
        client,
        TableName=table,
        ProjectionExpression="#k, #r",
        ExpressionAttributeNames={"#k": "kind", "#r": "row"},
    )
    for number, item in enumerate(chain.from_iterable(pages), 1):
        if number % TELLS == 0:
            tell(f"{number:,} lines of the ledger were read")
        if "row" not in item:
            continue
        row = msgspec.json.decode(item["row"]["S"], type=_Row)
        place = bisect_right(starts, row.recorded_at) - 1
        if place >= 0 and row.recorded_at <= stretches[place].until:
            yield Line(row.event_id, stretches[place], item)
