"""A feature set: definitions checked together and compiled into one pass over a transaction's states."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fraud.events import Event, Label, Outcome, Transaction
from fraud.features import derive
from fraud.features.definitions import (
    Aggregation,
    Distinct,
    Entity,
    RowFeature,
    Series,
    Source,
    WindowFeature,
)
from fraud.features.keys import Key, hash40, shard_of
from fraud.features.layouts import (
    Read,
    check_names,
    check_slots,
    distincts_of,
    layout_of,
    reads_of,
    series_of,
)
from fraud.state import Layout, State
from fraud.tiles import Totals
from fraud.windows import Window

__all__ = ["Feature", "FeatureSet", "Read"]

type Feature = WindowFeature | RowFeature

_KINDS = {Source.TRANSACTION: Transaction, Source.OUTCOME: Outcome, Source.LABEL: Label}


class FeatureSet:
    """An ordered set of features over a handful of entities: the registry that every engine compiles from.

    Parameters
    ----------
    *features : WindowFeature or RowFeature
        In column order.

    Raises
    ------
    DefinitionError
        If two features have the same name, two things the same slot, or the hops of a series do not nest.

    Attributes
    ----------
    names : tuple of str
        The columns, in order.
    version : str
        A digest of every definition: two sets with the same version mean the same.
    layouts : dict of entity's name to Layout
    reads : tuple of Read
        Every window that a vector needs, each once.
    retention : int
        How long before the newest event anything can be read, in ms.
    """

    def __init__(self, *features: Feature) -> None:
        self.features = features
        self.names = tuple(feature.name for feature in features)
        self.windowed = tuple(feature for feature in features if isinstance(feature, WindowFeature))
        self.entities: tuple[Entity, ...] = tuple(dict.fromkeys(feature.entity for feature in self.windowed))
        check_names(self.names, self.entities)
        check_slots(self.windowed)
        self.layouts: dict[str, Layout] = {each.name: layout_of(each, self.windowed) for each in self.entities}
        self.series = {each.name: series_of(each, self.windowed) for each in self.entities}
        self.distincts = {each.name: distincts_of(each, self.windowed) for each in self.entities}
        self.reads = reads_of(self.windowed)
        self.version = hashlib.sha256("\n".join(map(described, features)).encode()).hexdigest()[:12]
        self.retention = max((layout.retention for layout in self.layouts.values()), default=0)
        places = {(read.entity.name, read.series.slot, read.window): n for n, read in enumerate(self.reads)}
        self._windows = tuple(dict.fromkeys(read.window for read in self.reads))
        self._asked = tuple(
            (read.entity.name, read.series.slot, read.parts, self._windows.index(read.window))
            for read in self.reads
        )
        self._taken: dict[tuple[str, type], tuple[Series, ...]] = {
            (name, kind): tuple(each for each in series if each.source is source)
            for name, series in self.series.items()
            for source, kind in _KINDS.items()
        }
        self._values = tuple(_value(feature, places) for feature in features)

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
        event_id, transaction = event.event_id, event.transaction
        return [
            Key(entity.name, token, shard_of(event_id, entity.shards))
            for entity in self.entities
            if (token := entity.token(transaction)) and self._concerns(entity, event)
        ]

    def fold(self, state: State, entity: str, event: Event) -> bool:
        """Fold an event into the state of one of its keys.

        Returns
        -------
        bool
            False if the event came too late for every level that would have kept it.
        """
        layout, transaction = self.layouts[entity], event.transaction
        kept = [
            state.add(layout, series.slot, transaction.amount, event.event_time)
            for series in self._taken[entity, type(event)]
            if series.takes(event)
        ]
        if isinstance(event, Transaction):
            for distinct in self.distincts[entity]:
                value: str = getattr(event, distinct.field)
                if value:
                    state.see(layout, distinct.slot, hash40(value), event.event_time)
        return any(kept) or not kept

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
        shards: dict[str, list[State]] = {entity.name: [] for entity in self.entities}
        for key, state in states.items():
            shards[key.entity].append(state)
        sent = {entity.name for entity in self.entities if entity.token(transaction)}
        time = transaction.event_time
        spans = []
        for window in self._windows:
            first, past = window.tiles(time)
            spans.append((window.hop, first * window.hop, past * window.hop))
        totals = []
        for name, slot, parts, place in self._asked:
            found = Totals()
            for state in shards[name]:
                state.window(slot, *spans[place], parts, found)
            totals.append(found)
        seen = _Seen(transaction, sent, shards, totals)
        return tuple([value(seen) for value in self._values])

    def _concerns(self, entity: Entity, event: Event) -> bool:
        if isinstance(event, Transaction) and self.distincts[entity.name]:
            return True
        return any(series.takes(event) for series in self._taken[entity.name, type(event)])


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a transaction's features are computed from."""

    transaction: Transaction
    sent: set[str]
    shards: Mapping[str, Sequence[State]]
    totals: Sequence[Totals]


type _Value = Callable[[_Seen], float]


def _value(feature: Feature, places: Mapping[tuple[str, int, Window], int]) -> _Value:
    """A feature as a function of what was seen."""
    if isinstance(feature, RowFeature):
        return lambda seen: feature.value(seen.transaction)
    entity, window = feature.entity.name, feature.window
    if isinstance(feature.over, Distinct):
        over = feature.over
        return lambda seen: _distinct(feature, over, seen) if entity in seen.sent else math.nan
    own, *base = (places[entity, series.slot, window] for series in feature.series)
    needed, number = feature.aggregation.parts, _NUMBERS[feature.aggregation]

    def of(seen: _Seen) -> float:
        if entity not in seen.sent:
            return math.nan
        totals = seen.totals[own]
        if totals.parts & needed != needed:
            # Kept by an earlier feature set without what this one needs: missing, never wrong.
            return math.nan
        if feature.include_current:
            totals = totals.plus(seen.transaction.amount, seen.transaction.event_time)
        whole = seen.totals[base[0]].count if base else 0
        return number(totals, whole, seen.transaction)

    return of


def _spread(totals: Totals) -> float:
    return derive.spread(totals.count, totals.total, totals.squares)


# The number of each aggregation, of the totals, the count of what a share is of, and the transaction.
_NUMBERS: dict[Aggregation, Callable[[Totals, int, Transaction], float]] = {
    Aggregation.COUNT: lambda totals, _, __: float(totals.count),
    Aggregation.SUM: lambda totals, _, __: float(totals.total),
    Aggregation.MEAN: lambda totals, _, __: derive.mean(totals.count, totals.total),
    Aggregation.STD: lambda totals, _, __: derive.std(totals.count, _spread(totals)),
    Aggregation.ZSCORE: lambda totals, _, now: derive.zscore(
        now.amount, totals.count, totals.total, _spread(totals)
    ),
    Aggregation.RATIO: lambda totals, _, now: derive.ratio(now.amount, totals.count, totals.total),
    Aggregation.RATE: lambda totals, whole, _: derive.rate(totals.count, whole),
    Aggregation.MIN: lambda totals, _, __: float(totals.minimum) if totals.count else math.nan,
    Aggregation.MAX: lambda totals, _, __: float(totals.maximum) if totals.count else math.nan,
    Aggregation.LAST: lambda totals, _, __: float(totals.latest) if totals.count else math.nan,
    Aggregation.SINCE_FIRST: lambda totals, _, now: (
        derive.since(now.event_time, totals.first) if totals.count else math.nan
    ),
    Aggregation.SINCE_LAST: lambda totals, _, now: (
        derive.since(now.event_time, totals.last) if totals.count else math.nan
    ),
}


def _distinct(feature: WindowFeature, over: Distinct, seen: _Seen) -> float:
    """The distinct values in a window: of the most recent ones of all shards, those that it reaches back to."""
    window = feature.window
    start = window.tiles(seen.transaction.event_time)[0] * window.hop
    found: set[int] = set()
    for state in seen.shards[feature.entity.name]:
        sketch = state.sketches.get(over.slot)
        if sketch is None:
            continue
        if window.hop % sketch.unit:
            return math.nan  # kept by an earlier feature set in coarser steps
        horizon = start // sketch.unit
        found.update([hashed for hashed, step in sketch.seen.items() if step >= horizon])
    if feature.include_current and (value := getattr(seen.transaction, over.field)):
        found.add(hash40(value))
    return float(min(len(found), over.capacity))


def described(feature: Feature) -> str:
    """A definition in one line: whatever changes its meaning changes this, and so the version of its set."""
    if isinstance(feature, RowFeature):
        return f"{feature.name} v{feature.version} {','.join(feature.fields)}"
    window, entity = feature.window, feature.entity
    over: object = feature.over
    return (
        f"{feature.name} v{feature.version} {entity.name}({','.join(entity.fields)})x{entity.shards} {over} "
        f"{window.length}/{window.hop}/{window.delay} {feature.include_current}"
    )
