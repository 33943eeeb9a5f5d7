"""The state of one entity: tiles of integers and sketches of distinct values.

Folding is order-free. Events may arrive in any order, be split over shards and be merged again: the same
set of events always gives the same state, bit for bit, because tiles hold integers only and because
what is kept depends on the newest event of the set, never on the order of arrival.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Layout", "Sketch", "SketchLayout", "State", "Tile"]


@dataclass(slots=True)
class Tile:
    """Integers over the events of one stretch of time; amounts in minor units, `last` in ms."""

    count: int
    total: int
    squares: int
    minimum: int
    maximum: int
    last: int

    @classmethod
    def of(cls, value: int, time: int) -> "Tile":
        return cls(1, value, value * value, value, value, time)

    def merge(self, other: "Tile") -> None:
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.last = max(self.last, other.last)


@dataclass(frozen=True, slots=True)
class SketchLayout:
    """Which values a sketch keeps: the `capacity` most recent ones seen within `retention` ms."""

    capacity: int
    retention: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What the registered features need of an entity's state.

    Attributes
    ----------
    levels : mapping of series slot to mapping of hop (ms) to retention (ms)
    sketches : mapping of sketch slot to its layout
    """

    levels: Mapping[int, Mapping[int, int]]
    sketches: Mapping[int, SketchLayout]

    @property
    def retention(self) -> int:
        """The longest that anything in this state is kept past the newest event, in ms."""
        spans = [span for hops in self.levels.values() for span in hops.values()]
        return max([*spans, *(sketch.retention for sketch in self.sketches.values())])


type Level = dict[int, Tile]
"""Tile index (event time // hop) to tile."""
type Sketch = dict[int, int]
"""64-bit hash of a value to the latest event time (ms) it was seen at."""


@dataclass(slots=True)
class State:
    """The folded history of one entity, or of one shard of it.

    Attributes
    ----------
    newest : int
        The latest event time folded, in ms; what is kept is measured back from it.
    series : dict of slot to dict of hop (ms) to level
    sketches : dict of slot to sketch
    """

    newest: int = 0
    series: dict[int, dict[int, Level]] = field(default_factory=dict)
    sketches: dict[int, Sketch] = field(default_factory=dict)

    def add(self, layout: Layout, slot: int, value: int, time: int) -> bool:
        """Fold one value of one series; return whether any level still keeps its time."""
        self._advance(layout, time)
        kept = False
        for hop, retention in layout.levels[slot].items():
            index = time // hop
            if index < _edge(hop, retention, self.newest):
                continue
            kept = True
            level = self.series.setdefault(slot, {}).setdefault(hop, {})
            tile = level.get(index)
            if tile is None:
                level[index] = Tile.of(value, time)
            else:
                tile.merge(Tile.of(value, time))
        return kept

    def see(self, layout: Layout, slot: int, hashed: int, time: int) -> None:
        """Note that a distinct value, given as its 64-bit hash, was seen at `time` (ms)."""
        self._advance(layout, time)
        rule = layout.sketches[slot]
        if time <= self.newest - rule.retention:
            return
        sketch = self.sketches.setdefault(slot, {})
        sketch[hashed] = max(time, sketch.get(hashed, time))
        _keep_recent(sketch, rule.capacity)

    def merge(self, layout: Layout, other: "State") -> None:
        """Fold another state of the same entity into this one, such as another shard's."""
        self._advance(layout, other.newest)
        for slot, levels in other.series.items():
            for hop, level in levels.items():
                mine = self.series.setdefault(slot, {}).setdefault(hop, {})
                for index, tile in level.items():
                    if index in mine:
                        mine[index].merge(tile)
                    else:
                        mine[index] = Tile(
                            tile.count, tile.total, tile.squares, tile.minimum, tile.maximum, tile.last
                        )
        for slot, sketch in other.sketches.items():
            if slot not in layout.sketches:
                continue
            seen = self.sketches.setdefault(slot, {})
            for hashed, time in sketch.items():
                seen[hashed] = max(time, seen.get(hashed, time))
            _keep_recent(seen, layout.sketches[slot].capacity)
        self._prune(layout, before=0)

    def _advance(self, layout: Layout, time: int) -> None:
        if time > self.newest:
            before, self.newest = self.newest, time
            self._prune(layout, before)

    def _prune(self, layout: Layout, before: int) -> None:
        for slot, levels in list(self.series.items()):
            kept = layout.levels.get(slot, {})
            for hop, level in list(levels.items()):
                if hop not in kept:
                    # Of a feature that is no more: nothing reads it, and nothing would keep it up to date.
                    del levels[hop]
                    continue
                edge = _edge(hop, kept[hop], self.newest)
                # Nothing can expire between two edges, so most events leave most levels alone.
                if edge == _edge(hop, kept[hop], before):
                    continue
                _drop(level, [index for index in level if index < edge])
                if not level:
                    del levels[hop]
            if not levels:
                del self.series[slot]
        for slot, sketch in list(self.sketches.items()):
            if slot not in layout.sketches:
                del self.sketches[slot]
                continue
            horizon = self.newest - layout.sketches[slot].retention
            _drop(sketch, [hashed for hashed, time in sketch.items() if time <= horizon])
            if not sketch:
                del self.sketches[slot]


def _edge(hop: int, retention: int, newest: int) -> int:
    """The first tile index that is still kept."""
    return (newest - retention) // hop


def _drop(mapping: dict[int, Tile] | dict[int, int], keys: Iterable[int]) -> None:
    for key in keys:
        del mapping[key]


def _keep_recent(sketch: Sketch, capacity: int) -> None:
    while len(sketch) > capacity:
        # Ties break by the hash, so that the same set of values keeps the same members in any order.
        del sketch[min(sketch, key=lambda hashed: (sketch[hashed], hashed))]
