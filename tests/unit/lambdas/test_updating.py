"""Events are folded exactly once: in any order, however often delivered, through any crash, by any updaters."""

import random
import threading
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.events import Event, Label
from fraud.features import STANDARD, Key
from fraud.features.sets import shard_of
from lambdas.update_features.updating import ATTEMPTS, Delivery, Updater
from runtime.stores.features import MOST_ITEMS, ConflictError, Marker, MemoryFeatureStore, Versioned
from tests.unit.lambdas.deliveries import (
    DAY,
    START,
    Crash,
    CrashingStore,
    changed,
    deliver,
    histories,
    packed,
    payment,
    reference,
    updater,
)


def work(batches: list[list[Delivery]], store: MemoryFeatureStore, *, workers: int) -> None:
    """Consume batches as SQS would hand them out: what failed or was cut short is delivered again."""
    lock = threading.Lock()
    broken: list[BaseException] = []
    handed_out = 0
    most = 50 * len(batches) + 50  # far more than crashes and lost races can ask for

    def consume() -> None:
        nonlocal handed_out
        mine = updater(store)
        while True:
            with lock:
                if not batches or handed_out == most:
                    return
                handed_out += 1
                batch = batches.pop(0)
            try:
                failed = set(mine.apply(batch).failed)
                again = [delivery for delivery in batch if delivery.message_id in failed]
            except Crash:
                again = batch
            except BaseException as error:
                broken.append(error)
                raise
            if again:
                with lock:
                    batches.append(again)

    threads = [threading.Thread(target=consume) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not broken
    assert not batches, "some messages come back for ever"
    assert not any(thread.is_alive() for thread in threads)


@given(
    events=histories(),
    copies=st.integers(1, 3),
    size=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    crashes=st.dictionaries(st.integers(0, 12), st.booleans(), max_size=6),
    workers=st.integers(1, 4),
)
def test_whatever_happens_states_are_the_fold_of_each_event_once(
    events: list[Event], copies: int, size: int, seed: int, crashes: Mapping[int, bool], workers: int
) -> None:
    shuffled = events * copies
    random.Random(seed).shuffle(shuffled)
    sent = list(deliver(shuffled))
    store = CrashingStore(crashes)
    work([sent[start : start + size] for start in range(0, len(sent), size)], store, workers=workers)
    ids = {event.event_id for event in events}
    assert packed(store, events) == reference(events)
    assert store.digests(ids).keys() == ids
    # And what a redrive of the dead-letter queue would do to it: nothing.
    again = updater(store).apply(list(deliver(events)))
    assert (again.applied, again.duplicate, again.failed) == (0, len(events), [])
    assert packed(store, events) == reference(events)


@given(events=histories(), seed=st.integers(0, 2**32))
def test_the_same_events_in_another_order_give_the_same_vectors(events: list[Event], seed: int) -> None:
    shuffled = list(events)
    random.Random(seed).shuffle(shuffled)
    straight, mixed = MemoryFeatureStore(), MemoryFeatureStore()
    updater(straight).apply(list(deliver(events)))
    updater(mixed).apply(list(deliver(shuffled)))
    query = payment("query", at=START + 4 * DAY, device="dev_a")
    keys = STANDARD.keys_read(query)
    vectors = [
        STANDARD.vector(query, {key: versioned.state for key, versioned in store.read(keys).items()})
        for store in (straight, mixed)
    ]
    assert repr(vectors[0]) == repr(vectors[1])  # repr: NaN equals NaN, and every bit of a number shows


def test_a_report_tells_what_became_of_a_batch() -> None:
    first = payment("t1")
    batch = list(deliver([first, payment("t2"), first], recorded_at=START))
    report = updater(MemoryFeatureStore(), now=START + 250).apply(batch)
    assert (report.applied, report.duplicate, report.conflicts, report.failed) == (2, 1, 0, [])
    assert report.lags == [250, 250]


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "in two batches"])
def test_another_payload_under_a_used_id_fails_its_own_message_only(apart: bool) -> None:
    first, second = payment("t1"), payment("t2", card="card_b")
    sent = [
        Delivery("good", first, START),
        Delivery("bad", changed(first), START),
        Delivery("other", second, START),
    ]
    store = MemoryFeatureStore()
    batches = [sent[:1], sent[1:]] if apart else [sent]
    reports = [updater(store).apply(batch) for batch in batches]
    assert [name for report in reports for name in report.failed] == ["bad"]
    assert sum(report.mismatched for report in reports) == 1
    assert sum(report.applied for report in reports) == 2
    assert packed(store, [first, second]) == reference([first, second])


def test_two_sources_that_report_the_same_fraud_count_once_and_the_second_is_refused() -> None:
    made = payment("t1")
    labels = [
        Label(transaction=made, kind=kind, known_at=START + DAY) for kind in ("chargeback", "confirmed_fraud")
    ]
    store = MemoryFeatureStore()
    report = updater(store).apply(list(deliver(labels)))
    assert (report.applied, report.mismatched) == (1, 1)
    assert packed(store, labels) == reference(labels[:1])


class Contended(MemoryFeatureStore):
    """Loses every race, or the first few."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self.attempts = 0
        self._losses = losses

    def commit(self, markers: Sequence[Marker], states: Mapping[Key, Versioned], *, expires_at: int) -> None:
        self.attempts += 1
        if self.attempts <= self._losses:
            raise ConflictError("someone was faster")
        super().commit(markers, states, expires_at=expires_at)


def test_retries_are_bounded_and_end_in_failed_messages() -> None:
    store = Contended(losses=10**6)
    pauses: list[int] = []
    made = Updater(features=STANDARD, store=store, clock=lambda: START, pause=pauses.append)
    report = made.apply(list(deliver([payment("t1"), payment("t2")])))
    assert report.failed == ["message-0", "message-1"]
    assert (report.applied, report.conflicts, store.attempts) == (0, ATTEMPTS, ATTEMPTS)
    assert pauses == list(range(ATTEMPTS - 1))


def test_a_lost_race_is_run_again_on_fresh_states() -> None:
    store = Contended(losses=2)
    report = updater(store).apply(list(deliver([payment("t1")])))
    assert (report.applied, report.conflicts, report.failed) == (1, 2, [])
    assert packed(store, [payment("t1")]) == reference([payment("t1")])


class Overtaken(MemoryFeatureStore):
    """Another updater applies its own batch between this one's reading and writing."""

    def __init__(self, *rivals: list[Event]) -> None:
        super().__init__()
        self._rivals = list(rivals)

    def commit(self, markers: Sequence[Marker], states: Mapping[Key, Versioned], *, expires_at: int) -> None:
        if self._rivals:
            events = self._rivals.pop(0)
            assert updater(self).apply(list(deliver(events))).applied == len(events)
        super().commit(markers, states, expires_at=expires_at)


def test_states_that_moved_between_reading_and_writing_are_read_again() -> None:
    first, second, third = payment("t1"), payment("t2", amount=7), payment("t3", amount=50)
    store = Overtaken([second])
    report = updater(store).apply(list(deliver([first])))
    assert (report.applied, report.conflicts, report.failed) == (1, 1, [])
    assert packed(store, [first, second]) == reference([first, second])
    # And once the keys have a version, which another condition guards.
    overtaken = Overtaken()
    updater(overtaken).apply(list(deliver([first])))
    overtaken._rivals.append([third])
    assert updater(overtaken).apply(list(deliver([second]))).conflicts == 1
    assert packed(overtaken, [first, second, third]) == reference([first, second, third])


def test_two_updaters_with_the_same_message_apply_it_once() -> None:
    event = payment("t1")
    store = Overtaken([event])
    report = updater(store).apply(list(deliver([event])))
    assert (report.applied, report.duplicate, report.conflicts) == (0, 1, 1)
    assert packed(store, [event]) == reference([event])


def test_an_event_too_late_for_every_state_is_counted_and_marked() -> None:
    newest = payment("t0", at=START)
    shard = shard_of(newest.event_id, 4)
    name = next(name for name in map(str, range(99)) if shard_of(f"m1/{name}", 4) == shard)
    store = MemoryFeatureStore()
    late = payment(name, at=START - 2 * STANDARD.retention)
    made = updater(store)
    assert made.apply(list(deliver([newest]))).late == 0
    before = packed(store, [newest])
    report = made.apply(list(deliver([late])))
    assert (report.applied, report.late, report.failed) == (1, 1, [])
    assert packed(store, [newest]) == before
    assert late.event_id in store.digests([late.event_id])
    assert made.apply(list(deliver([late]))).duplicate == 1


def test_an_event_late_for_some_states_only_is_not_counted_as_late() -> None:
    store = MemoryFeatureStore()
    events = [payment("t0", at=START), payment("t1", at=START - 2 * STANDARD.retention, card="card_z")]
    assert updater(store).apply(list(deliver(events))).late == 0


def test_chunks_fit_into_a_transaction_however_large_the_batch() -> None:
    events = [payment(f"t{n}", card=f"card_{n}", customer=f"cust_{n}", merchant_id=f"m{n}") for n in range(130)]
    store = CrashingStore({})
    assert updater(store).apply(list(deliver(events))).applied == 130
    assert max(store.sizes) <= MOST_ITEMS
    assert len(store.sizes) == 6  # 4 items an event, 25 events a transaction
    assert packed(store, events) == reference(events)


def test_a_crash_in_a_later_chunk_keeps_the_earlier_ones_and_loses_nothing() -> None:
    events = [payment(f"t{n}", card=f"card_{n}", customer=f"cust_{n}", merchant_id=f"m{n}") for n in range(60)]
    store = CrashingStore({1: False})
    sent = list(deliver(events))
    with pytest.raises(Crash):
        updater(store).apply(sent)
    assert len(store.digests([event.event_id for event in events])) == 25
    report = updater(store).apply(sent)
    assert (report.applied, report.duplicate) == (35, 25)
    assert packed(store, events) == reference(events)


def test_an_event_that_cannot_be_folded_fails_its_own_message_only() -> None:
    impossible = payment("t1", amount=-5)  # states hold no negative numbers
    events = [payment("t0"), impossible, payment("t2")]
    store = MemoryFeatureStore()
    report = updater(store).apply(list(deliver(events)))
    assert report.failed == ["message-1"]
    assert len(report.unusable) == 1
    assert report.applied == 2
    assert store.digests([impossible.event_id]) == {}
    assert packed(store, [events[0], events[2]]) == reference([events[0], events[2]])
