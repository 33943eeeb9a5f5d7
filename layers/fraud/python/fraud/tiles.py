"""Tiles: the integers over the events of one stretch of time, in levels of different width."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = [
    "EXTREMES",
    "LATEST",
    "SQUARES",
    "TIMES",
    "TOTAL",
    "Level",
    "Tiles",
    "TilesLayout",
    "Totals",
    "edge_of",
    "record_of",
]

# What a tile holds beside its count; a state remembers which of these its tiles were kept with.
TOTAL, SQUARES, EXTREMES, TIMES, LATEST = 1, 2, 4, 8, 16

type Record = tuple[int, int, int, int, int, int, int, int]
"""count, total, squares, minimum, maximum, first, last, latest of one tile."""


@dataclass(slots=True)
class Totals:
    """Integers over the events of a window; amounts in minor units, times in ms.

    Attributes
    ----------
    first, last : int
        Times of the earliest and the latest event.
    latest : int
        Amount of the latest event; of several at one instant, the largest.
    parts : int
        Which of the integers are known; all of them where there was nothing to add.
    """

    count: int = 0
    total: int = 0
    squares: int = 0
    minimum: int = 0
    maximum: int = 0
    first: int = 0
    last: int = 0
    latest: int = 0
    parts: int = TOTAL | SQUARES | EXTREMES | TIMES | LATEST

    def plus(self, value: int, time: int) -> "Totals":
        """The same with one more event, the latest of all."""
        if not self.count:
            return Totals(1, value, value * value, value, value, time, time, value)
        return Totals(
            self.count + 1,
            self.total + value,
            self.squares + value * value,
            min(self.minimum, value),
            max(self.maximum, value),
            self.first,
            time,
            max(value, self.latest) if time == self.last else value,
            self.parts,
        )


@dataclass(frozen=True, slots=True)
class TilesLayout:
    """What the registered features need of one series.

    Attributes
    ----------
    parts : int
        Which integers a tile holds beside its count.
    levels : dict of hop (ms) to retention (ms)
        By rising hop; each hop divides the next.
    """

    parts: int
    levels: Mapping[int, int]


@dataclass(slots=True)
class Level:
    """Tiles of one hop as columns, by rising index (event time // hop)."""

    index: list[int] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    total: list[int] = field(default_factory=list)
    squares: list[int] = field(default_factory=list)
    minimum: list[int] = field(default_factory=list)
    maximum: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    latest: list[int] = field(default_factory=list)

    def put(self, index: int, record: Record) -> None:
        """Merge a tile's integers into the tile at `index`."""
        columns = self._columns()
        at = bisect_left(self.index, index)
        if at == len(self.index) or self.index[at] != index:
            self.index.insert(at, index)
            for column, value in zip(columns, record, strict=True):
                column.insert(at, value)
            return
        count, total, squares, minimum, maximum, first, last, latest = record
        self.count[at] += count
        self.total[at] += total
        self.squares[at] += squares
        self.minimum[at] = min(self.minimum[at], minimum)
        self.maximum[at] = max(self.maximum[at], maximum)
        self.first[at] = min(self.first[at], first)
        if last > self.last[at]:
            self.latest[at] = latest
        elif last == self.last[at]:
            self.latest[at] = max(self.latest[at], latest)
        self.last[at] = max(self.last[at], last)

    def records(self) -> Iterator[tuple[int, Record]]:
        """Every tile, by rising index."""
        return zip(self.index, zip(*self._columns(), strict=True), strict=True)

    def cut(self, edge: int) -> list[tuple[int, Record]]:
        """Take out the tiles below an index."""
        end = bisect_left(self.index, edge)
        gone = [(self.index[at], record) for at, (_, record) in zip(range(end), self.records(), strict=False)]
        for column in (self.index, *self._columns()):
            del column[:end]
        return gone

    def add_to(self, totals: Totals, low: int, high: int, parts: int) -> None:
        """Add the tiles in ``[low, high)``, which the level reaches into, to the totals of a window."""
        index = self.index
        a = bisect_left(index, low) if index[0] < low else 0
        b = bisect_left(index, high) if index[-1] >= high else len(index)
        if a == b:
            return
        if parts & TOTAL:
            totals.total += sum(self.total[a:b])
        if parts & SQUARES:
            totals.squares += sum(self.squares[a:b])
        if parts & EXTREMES:
            minimum, maximum = min(self.minimum[a:b]), max(self.maximum[a:b])
            totals.minimum = min(totals.minimum, minimum) if totals.count else minimum
            totals.maximum = max(totals.maximum, maximum) if totals.count else maximum
        if parts & TIMES:
            first, last = min(self.first[a:b]), max(self.last[a:b])
            if parts & LATEST:
                latest = self.latest[self.last.index(last, a, b)]
                if not totals.count or last > totals.last:
                    totals.latest = latest
                elif last == totals.last:
                    totals.latest = max(totals.latest, latest)
            totals.first = min(totals.first, first) if totals.count else first
            totals.last = max(totals.last, last) if totals.count else last
        totals.count += sum(self.count[a:b])

    def copy(self) -> "Level":
        """A level that can be changed by itself."""
        twin = Level(self.index[:])
        for mine, other in zip(twin._columns(), self._columns(), strict=True):
            mine += other
        return twin

    def _columns(self) -> tuple[list[int], ...]:
        return (
            self.count,
            self.total,
            self.squares,
            self.minimum,
            self.maximum,
            self.first,
            self.last,
            self.latest,
        )


@dataclass(slots=True)
class Tiles:
    """The tiles of one series, by hop, and the parts that they were kept with since they were begun."""

    parts: int
    levels: dict[int, Level] = field(default_factory=dict)

    def put(self, hop: int, index: int, record: Record) -> None:
        level = self.levels.get(hop)
        if level is None:
            level = self.levels[hop] = Level()
        level.put(index, record)

    def advance(self, layout: TilesLayout, newest: int) -> None:
        """Hand the tiles that a level no longer keeps to the next coarser one; the coarsest drops them."""
        # Nothing expires between two edges, so most events leave every level alone.
        for hop, tiles in self.levels.items():
            retention = layout.levels.get(hop)
            if retention is None or tiles.index[0] < edge_of(hop, retention, newest):
                break
        else:
            return
        hops = sorted({*self.levels, *layout.levels})
        for place, hop in enumerate(hops):
            level = self.levels.get(hop)
            if level is None:
                continue
            retention = layout.levels.get(hop)
            edge = level.index[-1] + 1 if retention is None else edge_of(hop, retention, newest)
            if level.index[0] >= edge:
                continue
            coarser = next((each for each in hops[place + 1 :] if each in layout.levels and each % hop == 0), None)
            for index, record in level.cut(edge):
                if coarser is not None:
                    self.put(coarser, index * hop // coarser, record)
            if not level.index:
                del self.levels[hop]

    def narrow(self, parts: int) -> None:
        """Forget the parts that another state of the same series was not kept with."""
        gone = self.parts & ~parts
        self.parts &= parts
        for level in self.levels.values() if gone else ():
            zero = [0] * len(level.index)
            if gone & TOTAL:
                level.total = zero[:]
            if gone & SQUARES:
                level.squares = zero[:]
            if gone & EXTREMES:
                level.minimum, level.maximum = zero[:], zero[:]
            if gone & TIMES:
                level.first, level.last = zero[:], zero[:]
            if gone & LATEST:
                level.latest = zero[:]


def edge_of(hop: int, retention: int, newest: int) -> int:
    """The first tile index that is still kept."""
    return (newest - retention) // hop


def record_of(parts: int, value: int, time: int) -> Record:
    """One event as a tile that has only these parts."""
    return (
        1,
        value if parts & TOTAL else 0,
        value * value if parts & SQUARES else 0,
        value if parts & EXTREMES else 0,
        value if parts & EXTREMES else 0,
        time if parts & TIMES else 0,
        time if parts & TIMES else 0,
        value if parts & LATEST else 0,
    )
