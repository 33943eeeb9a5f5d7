"""The online store against the reference engine: any batches, any duplicates, any order, the same bits.

Every vector here is computed from states that went through the updater and the packed form, as serving does.
"""

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.codec import encode
from fraud.events import Event, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import arrival, replay
from fraud.state import State
from lambdas.update_features.updating import Delivery, Updater
from runtime.stores.features import MemoryFeatureStore
from tests.unit.fraud.strategies import histories, same

NOW = 1_800_000_000_000


def _updater(store: MemoryFeatureStore) -> Updater:
    return Updater(features=STANDARD, store=store, clock=lambda: NOW, pause=lambda _: None)


def _deliver(updater: Updater, batch: Sequence[Event]) -> None:
    report = updater.apply([Delivery(f"message-{n}", event, NOW) for n, event in enumerate(batch)])
    assert report.failed == []
    assert report.applied + report.duplicate == len(batch)


def _served(store: MemoryFeatureStore, transaction: Transaction) -> tuple[float, ...]:
    found = store.read(STANDARD.keys_read(transaction))
    return STANDARD.vector(transaction, {key: versioned.state for key, versioned in found.items()})


def _batches(events: Sequence[Event], rng: random.Random) -> list[list[Event]]:
    found: list[list[Event]] = []
    start = 0
    while start < len(events):
        size = rng.randint(1, 25)
        found.append(list(events[start : start + size]))
        start += size
    return found


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_served_vectors_are_the_replayed_ones_when_each_event_is_applied_before_the_next(
    events: list[Event], rng: random.Random
) -> None:
    """No lag: after each arrival its message is delivered, once or several times, among earlier ones again."""
    store = MemoryFeatureStore()
    updater = _updater(store)
    served: list[tuple[Transaction, tuple[float, ...]]] = []
    for position, event in enumerate(events):
        if isinstance(event, Transaction):
            served.append((event, _served(store, event)))
        again = rng.choices(events[: position + 1], k=rng.randint(0, 4))
        batch = [event, *again]
        rng.shuffle(batch)
        _deliver(updater, batch)
    expected = list(replay(events))
    assert len(served) == len(expected)
    for (transaction, vector), (same_transaction, wanted) in zip(served, expected, strict=True):
        assert transaction == same_transaction
        assert same(vector, wanted)


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_states_are_the_replayed_ones_whatever_the_batches_the_order_and_the_duplicates(
    events: list[Event], rng: random.Random
) -> None:
    store = MemoryFeatureStore()
    updater = _updater(store)
    sent = [*events, *rng.choices(events, k=len(events))] if events else []
    rng.shuffle(sent)
    for batch in _batches(sent, rng):
        _deliver(updater, batch)

    states: dict[Key, State] = {}
    list(replay(events, states=states))
    stored = store.read(sorted(states))
    assert {key: encode(versioned.state) for key, versioned in stored.items()} == {
        key: encode(state) for key, state in states.items()
    }


@given(histories(least=1), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_two_updaters_that_split_the_traffic_between_them_end_as_one(
    events: list[Event], rng: random.Random
) -> None:
    store, alone = MemoryFeatureStore(), MemoryFeatureStore()
    updaters = [_updater(store), _updater(store)]
    for batch in _batches(events, rng):
        _deliver(rng.choice(updaters), batch)
        _deliver(_updater(alone), batch)
    keys = sorted({key for event in events for key in STANDARD.keys_written(event)})
    first, second = store.read(keys), alone.read(keys)
    assert {key: encode(found.state) for key, found in first.items()} == {
        key: encode(found.state) for key, found in second.items()
    }


@given(histories(), st.integers(0, 40), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_a_store_built_from_history_and_then_fed_live_is_the_same(
    events: list[Event], watermark: int, rng: random.Random
) -> None:
    """The events around the watermark are delivered too, by those who are not sure: they count once."""
    store = MemoryFeatureStore()
    updater = _updater(store)
    history, live = events[:watermark], events[max(0, watermark - 5) :]
    for batch in _batches(history, rng):
        _deliver(updater, batch)
    for batch in _batches(sorted(live, key=arrival), rng):
        _deliver(updater, batch)
    states: dict[Key, State] = {}
    list(replay(events, states=states))
    stored = store.read(sorted(states))
    assert all(encode(stored[key].state) == encode(state) for key, state in states.items())
