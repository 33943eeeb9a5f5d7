"""The state of one entity: tiles of integers and sketches of distinct values.

Folding is order-free. Events may arrive in any order, be split over shards and be merged again: the same
set of events always gives the same state, bit for bit, because tiles hold integers only and because where
an event is kept depends on its time and on the newest event of the set, never on the order of arrival.

An event is kept once: in the finest level that still reaches back to it. When a level lets go of a tile,
the next coarser one takes it over. A window of hop H reads the tiles of every level whose hop divides H.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fraud.tiles import Tiles, TilesLayout, Totals, edge_of, record_of

__all__ = ["Layout", "Sketch", "SketchLayout", "State"]


@dataclass(frozen=True, slots=True)
class SketchLayout:
    """Which values a sketch keeps: the `capacity` most recent of the past `retention` ms, in steps of `unit`
    ms."""

    capacity: int
    retention: int
    unit: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What the registered features need of an entity's state, by slot."""

    tiles: Mapping[int, TilesLayout]
    sketches: Mapping[int, SketchLayout]

    @property
    def retention(self) -> int:
        """The longest that anything in this state is kept past the newest event, in ms."""
        spans = [span for tiles in self.tiles.values() for span in tiles.levels.values()]
        return max([*spans, *(sketch.retention for sketch in self.sketches.values())])


@dataclass(slots=True)
class Sketch:
    """The most recent distinct values.

    Attributes
    ----------
    unit : int
        Step of the times, in ms.
    seen : dict of 40-bit hash to the latest time it was seen at, in units
    """

    unit: int
    seen: dict[int, int] = field(default_factory=dict)

    def note(self, hashed: int, step: int) -> None:
        before = self.seen.get(hashed)
        if before is None or step > before:
            self.seen[hashed] = step

    def prune(self, layout: SketchLayout, newest: int) -> None:
        """Keep the most recent values; ties break by the hash, so that any order keeps the same ones."""
        horizon = (newest - layout.retention) // self.unit
        if min(self.seen.values(), default=horizon) < horizon:
            self.seen = {hashed: step for hashed, step in self.seen.items() if step >= horizon}
        while len(self.seen) > layout.capacity:
            del self.seen[min(self.seen, key=lambda hashed: (self.seen[hashed], hashed))]

    def coarsen(self, unit: int) -> None:
        """Take over a multiple of the unit: only whole steps can be counted again in wider ones."""
        if unit > self.unit:
            ratio = unit // self.unit
            self.unit, self.seen = unit, {hashed: step // ratio for hashed, step in self.seen.items()}


@dataclass(slots=True)
class State:
    """The folded history of one entity, or of one shard of it.

    Attributes
    ----------
    newest : int
        The latest event time folded, in ms; what is kept is measured back from it.
    tiles : dict of slot to tiles
    sketches : dict of slot to sketch
    """

    newest: int = 0
    tiles: dict[int, Tiles] = field(default_factory=dict)
    sketches: dict[int, Sketch] = field(default_factory=dict)

    def add(self, layout: Layout, slot: int, value: int, time: int) -> bool:
        """Fold one value of one series; return whether any level still keeps its time.

        Raises
        ------
        ValueError
            If the value or the time is negative: no tile can hold it.
        """
        if value < 0 or time < 0:
            raise ValueError(
                f"a state holds no negative amounts or times; the {'amount' if value < 0 else 'time'} is"
            )
        self._advance(layout, time)
        wanted = layout.tiles[slot]
        hop = next((h for h, kept in wanted.levels.items() if time // h >= edge_of(h, kept, self.newest)), None)
        if hop is None:
            return False
        tiles = self.tiles.get(slot)
        if tiles is None:
            tiles = self.tiles[slot] = Tiles(wanted.parts)
        tiles.put(hop, time // hop, record_of(tiles.parts, value, time))
        return True

    def see(self, layout: Layout, slot: int, hashed: int, time: int) -> None:
        """Note that a distinct value, given as its 40-bit hash, was seen at `time` (ms)."""
        self._advance(layout, time)
        rule = layout.sketches[slot]
        sketch = self.sketches.get(slot)
        unit = sketch.unit if sketch else rule.unit
        if time // unit < (self.newest - rule.retention) // unit:
            return
        if sketch is None:
            sketch = self.sketches[slot] = Sketch(unit)
        sketch.note(hashed, time // unit)
        sketch.prune(rule, self.newest)

    def merge(self, layout: Layout, other: "State") -> None:
        """Fold another state of the same entity into this one, such as another shard's."""
        self.newest = max(self.newest, other.newest)
        for slot, tiles in other.tiles.items():
            mine = self.tiles.get(slot)
            if mine is None:
                mine = self.tiles[slot] = Tiles(tiles.parts)
            mine.narrow(tiles.parts)
            theirs = Tiles(tiles.parts, {hop: level.copy() for hop, level in tiles.levels.items()})
            theirs.narrow(mine.parts)
            for hop, level in theirs.levels.items():
                for index, record in level.records():
                    mine.put(hop, index, record)
        for slot, sketch in other.sketches.items():
            seen = self.sketches.get(slot)
            if seen is None:
                seen = self.sketches[slot] = Sketch(sketch.unit)
            seen.coarsen(math.lcm(seen.unit, sketch.unit))
            ratio = seen.unit // sketch.unit
            for hashed, step in sketch.seen.items():
                seen.note(hashed, step // ratio)
        self._expire(layout)

    def window(self, slot: int, hop: int, start: int, end: int, parts: int, totals: Totals) -> None:
        """Add what a window ``[start, end)`` (ms, multiples of `hop`) holds to its totals.

        Where the tiles were not kept with all the parts asked for, `totals.parts` says so.
        """
        tiles = self.tiles.get(slot)
        if tiles is None:
            return
        totals.parts &= tiles.parts | ~parts
        known = tiles.parts & parts
        for each, level in tiles.levels.items():
            if hop % each:
                continue
            index, low, high = level.index, start // each, end // each
            # Half of the levels lie wholly before or after a window.
            if index[-1] >= low and index[0] < high:
                level.add_to(totals, low, high, known)

    def _advance(self, layout: Layout, time: int) -> None:
        if time > self.newest:
            self.newest = time
            self._expire(layout)

    def _expire(self, layout: Layout) -> None:
        for slot, tiles in list(self.tiles.items()):
            # Of a series that no feature reads any more: nothing would keep it up to date.
            wanted = layout.tiles.get(slot)
            if wanted is not None:
                tiles.advance(wanted, self.newest)
            if wanted is None or not tiles.levels:
                del self.tiles[slot]
        for slot, sketch in list(self.sketches.items()):
            rule = layout.sketches.get(slot)
            if rule is not None:
                sketch.prune(rule, self.newest)
            if rule is None or not sketch.seen:
                del self.sketches[slot]
