"""What every registered feature has to pass, whatever it is: one list, applied to all of them.

A check takes a feature of a set and raises `AssertionError` where the promise is broken.
"""

import math
import random
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import msgspec
import numpy as np

from fraud.codec import decode, encode
from fraud.events import Event, Transaction
from fraud.features import FeatureSet, Key
from fraud.features.definitions import FIELDS, Aggregation, Entity, RowFeature, WindowFeature
from fraud.features.sets import Feature
from fraud.replay import fold, replay
from fraud.state import State
from fraud.windows import SECOND, Window
from tests.unit.fraud.strategies import same, world
from training.engines.events import table_of
from training.engines.vectorised import compute

NUMBERS = ("event_time", "amount")
COUNTS = (Aggregation.COUNT, Aggregation.SUM, Aggregation.DISTINCT)
MOST_TILES = 102
"""About a hundred, and the ones at both ends."""
_UNSAID = re.compile(r"fraud|risk|score|stolen|merchant|list|limit|block|other|how many|of late")


@dataclass(frozen=True)
class World:
    """A history, and what a whole set of features made of it, worked out once for all checks."""

    features: FeatureSet
    events: list[Event] = field(default_factory=lambda: world(17, 90))

    @cached_property
    def vectors(self) -> list[tuple[float, ...]]:
        return [vector for _, vector in replay(self.events, self.features)]

    @cached_property
    def payments(self) -> list[Transaction]:
        return [event for event in self.events if isinstance(event, Transaction)]

    def column(self, feature: Feature) -> list[float]:
        """A feature's values within the whole set."""
        place = self.features.names.index(feature.name)
        return [vector[place] for vector in self.vectors]


def _alone(feature: Feature, events: list[Event], states: dict[Key, State] | None = None) -> list[float]:
    return [value for _, (value,) in replay(events, FeatureSet(feature), states)]


def has_a_name_for_any_engine(feature: Feature, _: World) -> None:
    """A column of letters, digits and underscores, that starts with whose history it looks at."""
    assert re.fullmatch(r"[a-z][a-z0-9_]{2,62}", feature.name)
    assert "__" not in feature.name
    assert feature.name not in FIELDS or feature.name == "amount"
    if isinstance(feature, WindowFeature):
        assert feature.name.startswith(f"{feature.entity.name}_")


def says_what_it_catches(feature: Feature, _: World) -> None:
    """A sentence, and a reason with a stable code, for those who read a decision."""
    assert re.fullmatch(r"[A-Z][^\n]{8,}\.", feature.catches)
    assert re.fullmatch(r"[A-Z][A-Z_]+", feature.reason.code)
    assert re.fullmatch(r"[A-Z][^\n]{8,}[^.]", feature.reason.text)


def tells_a_payer_nothing_to_be_used(feature: Feature, _: World) -> None:
    """What a payer may be shown: a sentence without a number or a word of others, of fraud or of how to check."""
    assert re.fullmatch(r"(?:The|A|Earlier) [a-z, ]{8,90} played a part\.", feature.reason.customer_text)
    assert not _UNSAID.search(feature.reason.customer_text)


def costs_little(feature: Feature, _: World) -> None:
    """A read takes in about a hundred tiles, save where exact windows were asked for, whose tiles are sparse."""
    if not isinstance(feature, WindowFeature):
        return
    window = feature.window
    first, end = window.tiles(1_700_000_000_000)
    assert end - first <= feature.tiles
    assert feature.tiles <= MOST_TILES or window.hop == SECOND
    assert window.hop in (SECOND, Window.of(f"{window.length // SECOND}s").hop)


def shows_only_counts(feature: Feature, _: World) -> None:
    """What an answer may carry tells a merchant nothing of other merchants: only counts of its own payments."""
    if feature.shown:
        assert isinstance(feature, WindowFeature)
        assert feature.aggregation is Aggregation.COUNT
        assert {"merchant_id", "customer"} & set(feature.entity.fields)


def is_a_number_or_missing(feature: Feature, world: World) -> None:
    """A float, never infinite; a count is there wherever its key is, and somewhere the feature says something."""
    values = world.column(feature)
    assert all(type(value) is float and not math.isinf(value) for value in values)
    assert any(not math.isnan(value) for value in values)
    if isinstance(feature, WindowFeature) and feature.aggregation in COUNTS:
        for paid, value in zip(world.payments, values, strict=True):
            assert math.isnan(value) == (not feature.entity.token(paid))
            assert math.isnan(value) or value >= 0


def reads_without_writing(feature: Feature, world: World) -> None:
    """Purity: the same value twice, and the states as they were before."""
    features = FeatureSet(feature)
    states: dict[Key, State] = {}
    _alone(feature, world.events, states)
    before = {key: encode(state) for key, state in states.items()}
    for paid in world.payments[-10:]:
        now = msgspec.structs.replace(paid, transaction_id="now", event_time=world.events[-1].event_time)
        mine = {key: states[key] for key in features.keys_read(now) if key in states}
        assert same(features.vector(now, mine), features.vector(now, mine))
    assert {key: encode(state) for key, state in states.items()} == before


def does_not_depend_on_the_order_of_the_fold(feature: Feature, world: World) -> None:
    """Events come late and out of order: at any time, the states are those of the events that came by then."""
    features, rng = FeatureSet(feature), random.Random(feature.name)
    for end in range(10, len(world.events) + 10, 10):
        sofar = world.events[:end]
        assert _folded(features, rng.sample(sofar, len(sofar))) == _folded(features, sofar)


def _folded(features: FeatureSet, events: list[Event]) -> dict[Key, bytes]:
    states: dict[Key, State] = defaultdict(State)
    for event in events:
        fold(event, states, features)
    return {key: encode(state) for key, state in states.items()}


def does_not_depend_on_the_shards(feature: Feature, world: World) -> None:
    """The events of a key may be spread over several states: they are read together."""
    features, rng = FeatureSet(feature), random.Random(feature.name)
    states: dict[Key, State] = defaultdict(State)
    found: list[float] = []
    for event in world.events:
        if isinstance(event, Transaction):
            mine = {key.entity: key.token for key in features.keys_read(event)}
            found += features.vector(event, {k: s for k, s in states.items() if mine.get(k.entity) == k.token})
        for key in features.keys_written(event):
            features.fold(states[replace(key, shard=rng.randrange(3))], key.entity, event)
    assert same(found, world.column(feature))


def is_missing_where_its_key_is(feature: Feature, world: World) -> None:
    """Without a part of its key, a window has nothing to say, reads nothing and writes nothing."""
    if not isinstance(feature, WindowFeature):
        return
    features = FeatureSet(feature)
    states: dict[Key, State] = {}
    _alone(feature, world.events, states)
    assert states, "the key is sent somewhere"
    for name in feature.entity.fields:
        bare = msgspec.structs.replace(world.payments[-1], **{name: ""})
        assert features.keys_read(bare) == features.keys_written(bare) == []
        assert all(math.isnan(value) for value in features.vector(bare, states))


def can_do_without_what_was_not_sent(feature: Feature, world: World) -> None:
    """Any text may be empty: the value is a number or missing, and nothing is raised."""
    features = FeatureSet(feature)
    texts = [name for name in FIELDS if name not in NUMBERS]
    full = world.payments[0]
    for gone in ([name] for name in texts), [texts]:
        for names in gone:
            bare = msgspec.structs.replace(full, **dict.fromkeys(names, ""))
            (value,) = features.vector(bare, {})
            assert type(value) is float
            assert not math.isinf(value)


def survives_packing(feature: Feature, world: World) -> None:
    """The value is the same when every state goes through its packed form between any two events."""
    features = FeatureSet(feature)
    packed: dict[Key, bytes] = {}
    found: list[float] = []
    for event in world.events:
        if isinstance(event, Transaction):
            states = {key: decode(packed[key]) for key in features.keys_read(event) if key in packed}
            found += features.vector(event, states)
        for key in features.keys_written(event):
            state = decode(packed[key]) if key in packed else State()
            features.fold(state, key.entity, event)
            packed[key] = encode(state)
            assert decode(packed[key]) == state
    assert same(found, world.column(feature))


def is_alone_what_it_is_in_the_set(feature: Feature, world: World) -> None:
    assert same(_alone(feature, world.events), world.column(feature))


def is_in_batch_what_it_is_in_replay(feature: Feature, world: World) -> None:
    """The vectorised engine gives the same bits, and is not told more by rows that came later."""
    alone, expected = FeatureSet(feature), np.array(world.column(feature))
    found = compute(table_of(world.events), alone)[:, 0]
    np.testing.assert_array_equal(found.view(np.int64), expected.view(np.int64))
    half = world.events[: len(world.events) // 2]
    early = compute(table_of(half), alone)[:, 0]
    np.testing.assert_array_equal(early.view(np.int64), expected[: len(early)].view(np.int64))


def is_the_same_for_the_same_input(feature: Feature, world: World) -> None:
    """A row feature is a function of the fields that it names, and of nothing else."""
    if not isinstance(feature, RowFeature):
        return
    seen: dict[tuple[object, ...], float] = {}
    for paid in [*world.payments, *world.payments]:
        told = tuple(getattr(paid, name) for name in feature.fields)
        assert same([seen.setdefault(told, feature.value(paid))], [feature.value(paid)])
    assert len({value for value in seen.values() if not math.isnan(value)}) > 1, "it tells payments apart"


CHECKS: tuple[Callable[[Feature, World], None], ...] = (
    has_a_name_for_any_engine,
    says_what_it_catches,
    costs_little,
    shows_only_counts,
    tells_a_payer_nothing_to_be_used,
    is_a_number_or_missing,
    reads_without_writing,
    does_not_depend_on_the_order_of_the_fold,
    does_not_depend_on_the_shards,
    is_missing_where_its_key_is,
    can_do_without_what_was_not_sent,
    survives_packing,
    is_alone_what_it_is_in_the_set,
    is_in_batch_what_it_is_in_replay,
    is_the_same_for_the_same_input,
)


def may_be_an_entity(entity: Entity) -> None:
    """An entity's name is part of columns, and its key of item names."""
    assert re.fullmatch(r"[a-z][a-z_]*", entity.name)
    assert not set(entity.fields) & {*NUMBERS, "transaction_id"}
