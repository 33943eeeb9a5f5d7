"""Events are folded exactly once: in any order, however often delivered, through any crash, by any updaters."""

import random
import threading
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.codec import encode
from fraud.events import Event, Label, Transaction
from fraud.features import STANDARD, Key
from fraud.features.sets import shard_of
from lambdas.update_features.updating import ATTEMPTS, LONGER, MOST_AHEAD, TOGETHER, Delivery, Updater
from runtime.stores.batches import ThrottledError
from runtime.stores.features import MOST_ITEMS, ConflictError, Marker, MemoryFeatureStore, Versioned
from runtime.stores.generations import LEASE, Generation, Generations
from runtime.stores.states import ByGeneration
from runtime.stores.transactions import RefusedError
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


def test_a_verdict_that_changes_and_changes_back_is_folded_once_as_fraud_and_once_as_genuine() -> None:
    made = payment("t1")
    labels = [
        Label(transaction=made, kind="confirmed_fraud", known_at=START + DAY, source="alert", confidence=0.4),
        Label(transaction=made, kind="confirmed_genuine", known_at=START + 2 * DAY, source="analyst"),
        Label(transaction=made, kind="chargeback", known_at=START + 3 * DAY, source="issuer"),
        Label(transaction=made, kind="confirmed_genuine", known_at=START + 4 * DAY),
    ]
    for apart in (False, True):
        store = MemoryFeatureStore()
        sent = list(deliver(labels))
        reports = [updater(store).apply(batch) for batch in ([[each] for each in sent] if apart else [sent])]
        assert (sum(each.applied for each in reports), sum(each.duplicate for each in reports)) == (2, 2)
        assert not [name for each in reports for name in each.failed]
        assert packed(store, labels) == reference(labels[:2])


def test_a_label_of_another_payment_under_a_used_id_is_refused() -> None:
    made = payment("t1")
    first, second = (
        Label(transaction=each, kind="chargeback", known_at=START + DAY) for each in (made, changed(made))
    )
    store = MemoryFeatureStore()
    report = updater(store).apply(list(deliver([first, second])))
    assert (report.applied, report.mismatched, report.failed) == (1, 1, ["message-1"])
    assert packed(store, [first]) == reference([first])


class Contended(MemoryFeatureStore):
    """Loses every race, or the first few."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self.attempts = 0
        self._losses = losses

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        self.attempts += 1
        if self.attempts <= self._losses:
            raise ConflictError("someone was faster")
        super().write(markers, states, expires_at=expires_at)


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


class Busy(CrashingStore):
    """Others are always faster with the states of one merchant."""

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        if "busy" in {key.token for several in states.values() for key in several}:
            self.sizes.append(0)
            raise ConflictError("someone was faster")
        super().write(markers, states, expires_at=expires_at)


def test_a_busy_merchant_holds_back_none_but_its_own_events() -> None:
    events = [payment(f"t{n}", card=f"card_{n}", customer=f"cust_{n}", merchant_id=f"m{n}") for n in range(9)]
    busy = payment("t9", card="card_9", customer="cust_9", merchant_id="busy")
    store = Busy({})
    report = updater(store).apply(list(deliver([*events, busy])))
    assert (report.applied, report.failed) == (9, ["message-9"])
    assert store.sizes.count(0) == ATTEMPTS
    assert packed(store, events) == reference(events)


def test_events_that_share_a_state_are_written_together_however_many_races_they_lose() -> None:
    """An attack on one card in transactions of one event each would be in its own way."""
    attack = [payment(f"t{n}", merchant_id=f"m{n}", customer=f"cust_{n}") for n in range(5)]
    # The last links the two before it, which share nothing.
    pairs = [("card_x", "cust_x"), ("card_y", "cust_y"), ("card_x", "cust_y")]
    linked = [
        payment(f"l{n}", merchant_id=f"n{n}", card=card, customer=customer)
        for n, (card, customer) in enumerate(pairs)
    ]
    store = Contended(losses=TOGETHER)
    assert updater(store).apply(list(deliver([*attack, *linked]))).applied == 8
    assert store.attempts == TOGETHER + 2
    assert packed(store, [*attack, *linked]) == reference([*attack, *linked])


class Overtaken(MemoryFeatureStore):
    """Another updater applies its own batch between this one's reading and writing."""

    def __init__(self, *rivals: list[Event]) -> None:
        super().__init__()
        self._rivals = list(rivals)

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        if self._rivals:
            events = self._rivals.pop(0)
            assert updater(self).apply(list(deliver(events))).applied == len(events)
        super().write(markers, states, expires_at=expires_at)


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
    assert len(store.sizes) == 7  # 5 items an event, 20 events a transaction
    assert packed(store, events) == reference(events)


def test_a_crash_in_a_later_chunk_keeps_the_earlier_ones_and_loses_nothing() -> None:
    events = [payment(f"t{n}", card=f"card_{n}", customer=f"cust_{n}", merchant_id=f"m{n}") for n in range(60)]
    store = CrashingStore({1: False})
    sent = list(deliver(events))
    with pytest.raises(Crash):
        updater(store).apply(sent)
    assert len(store.digests([event.event_id for event in events])) == 20
    report = updater(store).apply(sent)
    assert (report.applied, report.duplicate) == (40, 20)
    assert packed(store, events) == reference(events)


def test_an_event_that_cannot_be_folded_fails_its_own_message_only() -> None:
    impossible = payment("t1", amount=-5)
    events = [payment("t0"), impossible, payment("t2")]
    store = MemoryFeatureStore()
    report = updater(store).apply(list(deliver(events)))
    assert report.failed == ["message-1"]
    assert len(report.unusable) == 1
    assert report.applied == 2
    assert store.digests([impossible.event_id]) == {}
    assert packed(store, [events[0], events[2]]) == reference([events[0], events[2]])


def test_a_batch_writes_each_key_once() -> None:
    events = [payment(f"t{n}", device="dev_a", merchant_id="m1") for n in range(60)]
    store = CrashingStore({})
    assert updater(store).apply(list(deliver(events))).applied == 60
    keys = {key for event in events for key in STANDARD.keys_written(event)}
    assert store.sizes == [60 + len(keys)]
    assert packed(store, events) == reference(events)


def test_ten_events_of_all_entities_are_one_transaction() -> None:
    def full(number: int) -> Transaction:
        names = ("card", "customer", "device", "ip", "email", "bin", "merchant_id")
        return payment(f"t{number}", **{name: f"{name}_{number}" for name in names})

    store = CrashingStore({})
    assert updater(store).apply(list(deliver(full(n) for n in range(10)))).applied == 10
    assert store.sizes == [10 * (1 + len(STANDARD.entities))]


class Throttled(MemoryFeatureStore):
    """Has no capacity for the first calls of one kind."""

    def __init__(self, call: str, times: int) -> None:
        super().__init__()
        self.times = times
        self._call = call

    def _asked(self, call: str) -> None:
        if call == self._call and self.times:
            self.times -= 1
            raise ThrottledError("no capacity")

    def look(self, event_ids: Iterable[str]) -> tuple[Generations, dict[str, str]]:
        self._asked("look")
        return super().look(event_ids)

    def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
        self._asked("read")
        return super().read(keys, generation=generation)

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        self._asked("write")
        super().write(markers, states, expires_at=expires_at)


@pytest.mark.parametrize("call", ["look", "read", "write"])
def test_a_throttled_call_is_tried_again_after_a_longer_pause(call: str) -> None:
    store = Throttled(call, times=2)
    pauses: list[int] = []
    made = Updater(features=STANDARD, store=store, clock=lambda: START, pause=pauses.append)
    report = made.apply(list(deliver([payment("t1")])))
    assert (report.applied, report.throttled, report.conflicts, report.failed) == (1, 2, 0, [])
    assert pauses == [LONGER, 1 + LONGER]
    assert packed(store, [payment("t1")]) == reference([payment("t1")])


def test_throttling_that_does_not_end_gives_the_messages_back() -> None:
    report = updater(Throttled("write", times=10**6)).apply(list(deliver([payment("t1"), payment("t2")])))
    assert (report.applied, report.throttled, report.failed) == (0, ATTEMPTS, ["message-0", "message-1"])


def test_what_the_store_refuses_for_good_fails_its_own_message_only() -> None:
    class Narrow(MemoryFeatureStore):
        def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
            if any(marker.event_id == "m1/t1" for marker in markers):
                raise RefusedError("item too large")
            super().write(markers, states, expires_at=expires_at)

    store = Narrow()
    report = updater(store).apply(list(deliver([payment("t0"), payment("t1"), payment("t2")])))
    assert (report.applied, report.failed, report.unusable) == (2, ["message-1"], ["item too large"])
    kept = [payment("t0"), payment("t2")]
    assert packed(store, kept) == reference(kept)


@pytest.mark.parametrize(("at", "refused"), [(START + MOST_AHEAD, False), (START + MOST_AHEAD + 1, True)])
def test_an_event_from_the_future_is_refused_where_time_is_real(at: int, refused: bool) -> None:
    store = MemoryFeatureStore()
    events = [payment("t0"), payment("t1", at=at)]
    made = Updater(features=STANDARD, store=store, clock=lambda: START, pause=lambda _: None, ahead=MOST_AHEAD)
    report = made.apply(list(deliver(events)))
    assert (report.applied, report.rejected) == (2 - refused, int(refused))
    assert report.failed == (["message-1"] if refused else [])
    assert packed(store, events) == reference(events[: 2 - refused])


def test_an_event_is_folded_into_the_generations_that_take_it() -> None:
    store = MemoryFeatureStore()
    building = Generation(number=2, watermark=START)
    store.change(store.look(())[0], Generations(building=building, latest=2))
    old, new = payment("old"), payment("new")
    made = updater(store)
    made.apply([Delivery("a", old, START), Delivery("b", new, START + 1)])
    keys = STANDARD.keys_written(old)
    both, later = (store.read(keys, generation=number) for number in (1, 2))
    assert {key: encode(each.state) for key, each in both.items()}.items() <= reference([old, new]).items()
    assert {key: encode(each.state) for key, each in later.items()}.items() <= reference([new]).items()
    assert both
    # After the switch, what history covered is marked and changes nothing, once the old generation is retired.
    store.change(store.look(())[0], Generations(serving=building, latest=2))
    before = packed(store, [old, new])
    report = made.apply([Delivery("c", payment("covered"), START)])
    assert (report.applied, report.covered, report.failed) == (1, 1, [])
    assert packed(store, [old, new]) == before


@pytest.mark.parametrize(("version", "at", "mixed"), [("other", 1, True), ("other", 0, False), ("", 1, False)])
def test_who_folds_with_other_features_says_so_first(version: str, at: int, mixed: bool) -> None:
    """Whatever happens then: a generation that lacks a new feature's live events never comes to serve."""

    store = CrashingStore({0: False})
    building = Generation(number=2, watermark=START, feature_set=version or STANDARD.version)
    store.change(store.look(())[0], Generations(building=building, latest=2))
    with pytest.raises(Crash):
        updater(store).apply([Delivery("a", payment(), START + at)])
    kept = store.look(())[0].building
    assert kept is not None
    assert kept.mixed is mixed


def test_while_a_generation_is_built_chunks_split_where_they_must() -> None:
    store = CrashingStore({})
    store.change(store.look(())[0], Generations(building=Generation(number=2, watermark=-1), latest=2))
    events = [payment(f"t{n}", card=f"card_{n}", customer=f"cust_{n}", merchant_id=f"m{n}") for n in range(30)]
    assert updater(store).apply(list(deliver(events))).applied == 30
    assert (max(store.sizes), len(store.sizes)) == (99, 3)  # a marker and twice four states
    for number in (1, 2):
        found = store.read(sorted(reference(events)), generation=number)
        assert {key: encode(each.state) for key, each in found.items()} == reference(events)


def test_who_read_the_generations_too_long_ago_reads_them_again() -> None:
    """A process that stood still between reading and writing does not act on what it knew."""
    store = MemoryFeatureStore()
    times = iter([START, START, START + LEASE])
    made = Updater(features=STANDARD, store=store, clock=lambda: next(times, START + LEASE), pause=lambda _: None)
    report = made.apply(list(deliver([payment("t1")])))
    assert (report.applied, report.conflicts, report.failed) == (1, 1, [])
