"""A feature set: definitions compiled into one pass over the states of a transaction's entities."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fraud.events import Event, Transaction
from fraud.features.definitions import (
    PAYMENTS,
    Aggregation,
    Distinct,
    Entity,
    RowFeature,
    Series,
    WindowFeature,
)
from fraud.state import Layout, SketchLayout, State, Tile
from fraud.windows import Window

__all__ = ["FeatureSet", "Key", "hash64", "shard_of"]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The key of one shard of one entity's state."""

    entity: str
    token: str
    shard: int = 0

    def __str__(self) -> str:
        return f"{self.entity}#{self.token}#{self.shard}"


class FeatureSet:
    """An ordered set of features over a handful of entities.

    Parameters
    ----------
    *features : WindowFeature or RowFeature
        In column order.

    Raises
    ------
    ValueError
        If two features have the same name.

    Attributes
    ----------
    names : tuple of str
        The columns, in order.
    version : str
        A digest of every definition: two sets with the same version mean the same.
    """

    def __init__(self, *features: WindowFeature | RowFeature) -> None:
        self.features = features
        self.names = tuple(feature.name for feature in features)
        doubled = sorted({name for name in self.names if self.names.count(name) > 1})
        if doubled:
            raise ValueError(f"features with the same name: {', '.join(doubled)}; change or remove one of each")
        windowed = [feature for feature in features if isinstance(feature, WindowFeature)]
        self.entities: tuple[Entity, ...] = tuple(dict.fromkeys(feature.entity for feature in windowed))
        self.layouts: dict[str, Layout] = {entity.name: _layout(entity, windowed) for entity in self.entities}
        self._series = {entity.name: _series(entity, windowed) for entity in self.entities}
        self._distincts = {entity.name: _distincts(entity, windowed) for entity in self.entities}
        self.version = hashlib.sha256("\n".join(map(_described, features)).encode()).hexdigest()[:12]
        self.retention = max((layout.retention for layout in self.layouts.values()), default=0)

    def keys_read(self, transaction: Transaction) -> list[Key]:
        """The keys whose states a vector needs: every shard of every entity that was sent."""
        return [
            Key(entity.name, token, shard)
            for entity in self.entities
            if (token := entity.token(transaction))
            for shard in range(entity.shards)
        ]

    def keys_written(self, event: Event) -> list[Key]:
        """The keys that an event is folded into: one shard of each entity that has a use for it."""
        return [
            Key(entity.name, token, shard_of(event.event_id, entity.shards))
            for entity in self.entities
            if (token := entity.token(event.transaction)) and self._concerns(entity, event)
        ]

    def fold(self, state: State, entity: str, event: Event) -> bool:
        """Fold an event into the state of one of its keys.

        Returns
        -------
        bool
            False if the event came too late for every level that would have kept it.
        """
        layout, transaction = self.layouts[entity], event.transaction
        kept = True
        for series in self._series[entity]:
            if series.takes(event):
                kept = state.add(layout, series.slot, transaction.amount, transaction.event_time)
        if isinstance(event, Transaction):
            for distinct in self._distincts[entity]:
                value: str = getattr(event, distinct.field)
                if value:
                    state.see(layout, distinct.slot, hash64(value), event.event_time)
        return kept

    def vector(self, transaction: Transaction, states: Mapping[Key, State]) -> tuple[float, ...]:
        """The features of a transaction, from the states of its keys as they stood before it.

        Parameters
        ----------
        states : mapping of Key to State
            A key without a state is one that was never seen.

        Returns
        -------
        tuple of float, shape (len(names),)
            NaN where there is nothing to say: an entity that was not sent, a mean of nothing.
        """
        shards: dict[str, list[State]] = {}
        for key, state in states.items():
            shards.setdefault(key.entity, []).append(state)
        read = _Windows(transaction, shards)
        return tuple(
            feature.of(transaction) if isinstance(feature, RowFeature) else _value(feature, transaction, read)
            for feature in self.features
        )

    def _concerns(self, entity: Entity, event: Event) -> bool:
        if isinstance(event, Transaction) and self._distincts[entity.name]:
            return True
        return any(series.takes(event) for series in self._series[entity.name])


def hash64(value: str) -> int:
    """A stable 64-bit hash, the same on every machine and in every engine (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little")


def shard_of(event_id: str, shards: int) -> int:
    """The shard that an event is folded into; a duplicate lands in the same one."""
    return hash64(event_id) % shards if shards > 1 else 0


class _Windows:
    """Reads each window of each series once, however many features share it."""

    def __init__(self, transaction: Transaction, shards: Mapping[str, Sequence[State]]) -> None:
        self._time = transaction.event_time
        self._shards = shards
        self._seen: dict[tuple[str, int, Window], Tile] = {}

    def tile(self, entity: str, series: Series, window: Window) -> Tile:
        key = (entity, series.slot, window)
        total = self._seen.get(key)
        if total is None:
            total = self._seen[key] = Tile(0, 0, 0, 0, 0, 0)
            for tile in self._tiles(entity, series, window):
                if total.count:
                    total.merge(tile)
                else:
                    total.count, total.total, total.squares = tile.count, tile.total, tile.squares
                    total.minimum, total.maximum, total.last = tile.minimum, tile.maximum, tile.last
        return total

    def distinct(self, entity: str, distinct: Distinct, window: Window) -> int:
        first, end = window.tiles(self._time)
        horizon, limit = first * window.hop, end * window.hop
        return len(
            {
                hashed
                for state in self._shards.get(entity, ())
                for hashed, time in state.sketches.get(distinct.slot, {}).items()
                if horizon <= time < limit
            }
        )

    def _tiles(self, entity: str, series: Series, window: Window) -> Iterator[Tile]:
        first, end = window.tiles(self._time)
        for state in self._shards.get(entity, ()):
            level = state.series.get(series.slot, {}).get(window.hop)
            if level:
                for index, tile in level.items():
                    if first <= index < end:
                        yield tile


def _value(feature: WindowFeature, transaction: Transaction, read: _Windows) -> float:
    """One feature's number. Every engine calls this, so that the order of operations is one."""
    entity, window = feature.entity.name, feature.window
    if not feature.entity.token(transaction):
        return math.nan
    if isinstance(feature.over, Distinct):
        return float(read.distinct(entity, feature.over, window))
    tile = read.tile(entity, feature.over, window)
    match feature.aggregation:
        case Aggregation.COUNT:
            return float(tile.count)
        case Aggregation.SUM:
            return float(tile.total)
        case Aggregation.MEAN:
            return tile.total / tile.count if tile.count else math.nan
        case Aggregation.MAX:
            return float(tile.maximum) if tile.count else math.nan
        case Aggregation.ZSCORE:
            return _zscore(transaction.amount, tile)
        case Aggregation.RATIO:
            return transaction.amount * tile.count / tile.total if tile.total else math.nan
        case Aggregation.SINCE_LAST:
            return (transaction.event_time - tile.last) / 1_000 if tile.count else math.nan
        case Aggregation.FRAUD_RATE:
            payments = read.tile(entity, PAYMENTS, window)
            return tile.count / payments.count if payments.count else math.nan
        case Aggregation.DISTINCT:
            raise AssertionError("read above")


def _zscore(amount: int, tile: Tile) -> float:
    """(amount - mean) / sample standard deviation, rounded once: integers up to the last division."""
    spread = tile.count * tile.squares - tile.total * tile.total
    if tile.count < 2 or spread <= 0:
        return math.nan
    deviation = math.sqrt(spread / (tile.count * (tile.count - 1)))
    return (amount * tile.count - tile.total) / tile.count / deviation


def _layout(entity: Entity, features: Sequence[WindowFeature]) -> Layout:
    levels: dict[int, dict[int, int]] = {}
    sketches: dict[int, SketchLayout] = {}
    for feature in features:
        if feature.entity != entity:
            continue
        window = feature.window
        if isinstance(feature.over, Distinct):
            before = sketches.get(feature.over.slot, SketchLayout(0, 0))
            sketches[feature.over.slot] = SketchLayout(
                max(before.capacity, feature.over.capacity), max(before.retention, window.retention)
            )
            continue
        for series in _needed(feature):
            hops = levels.setdefault(series.slot, {})
            hops[window.hop] = max(hops.get(window.hop, 0), window.retention)
    return Layout(levels, sketches)


def _needed(feature: WindowFeature) -> tuple[Series, ...]:
    if isinstance(feature.over, Distinct):
        return ()
    if feature.aggregation is Aggregation.FRAUD_RATE:
        return feature.over, PAYMENTS
    return (feature.over,)


def _series(entity: Entity, features: Sequence[WindowFeature]) -> tuple[Series, ...]:
    needed = (series for feature in features if feature.entity == entity for series in _needed(feature))
    return tuple(dict.fromkeys(needed))


def _distincts(entity: Entity, features: Sequence[WindowFeature]) -> tuple[Distinct, ...]:
    mine = (feature.over for feature in features if feature.entity == entity)
    return tuple(dict.fromkeys(over for over in mine if isinstance(over, Distinct)))


def _described(feature: WindowFeature | RowFeature) -> str:
    if isinstance(feature, RowFeature):
        return f"{feature.name} v{feature.version}"
    window = feature.window
    return f"{feature.name} v{feature.version} {feature.over} {window.length}/{window.hop}/{window.delay}"
