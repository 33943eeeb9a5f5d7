"""Importing while the platform runs: nothing that live traffic wrote is lost, and nothing counts twice."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import boto3
import msgspec
import pytest

from fraud.codec import encode
from fraud.events import Event, Label, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import arrival
from fraud.tokens import Tokeniser
from infra.environment import Environment
from infra.environments import LOCAL, STAGING
from lambdas.update_features.updating import Delivery, Updater
from ops.featurestore.sources import History
from ops.history import ImportConflictError, Imported, LaterLabels, import_history
from ops.inputs import Row
from runtime.stores.batches import ThrottledError
from runtime.stores.features import DynamoFeatureStore, FeatureStore, Marker, MemoryFeatureStore
from runtime.stores.states import ByGeneration
from tests.tables import create_table
from tests.unit.lambdas.deliveries import reference

pytestmark = pytest.mark.usefixtures("lake")

TOKENISER = Tokeniser(b"0" * 64)
NOON = 1_770_000_000_000
HOUR = 3_600_000


class Deployment:
    def __init__(self, store: FeatureStore, environment: Environment = LOCAL) -> None:
        self.store = store
        self.environment = environment

    def __getitem__(self, name: str) -> str:
        return {"LakeBucket": "lake"}[name]

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]

    def tell(self, *_said: str, **_more: Any) -> None:
        """`test_history` looks at what is told."""

    def features(self) -> FeatureStore:
        return self.store

    def tokeniser(self) -> Tokeniser:
        return TOKENISER


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> FeatureStore:
    if request.param == "memory":
        return MemoryFeatureStore()
    client = boto3.client("dynamodb", region_name="us-east-1")
    create_table(client, "features")
    return DynamoFeatureStore(client, "features", consistent=True)


def payment(number: int, at: int) -> Transaction:
    return Transaction(
        transaction_id=f"t{number}",
        merchant_id=f"shop-{number % 3}",
        event_time=at,
        amount=1_000 + 37 * number,
        currency="EUR",
        card=f"card {number % 7}",
        customer=f"customer {number % 9}",
        device=f"device {number % 11}",
        ip=f"10.0.0.{number % 5}",
        email=f"Someone{number % 9}@example.org ",
    )


PAST = [payment(number, NOON - (60 - number) * HOUR) for number in range(60)]
# Live payments go on for days after the file's last one; two come late, with times inside the file.
LIVE = [payment(100 + number, NOON + number * 5 * HOUR) for number in range(24)]
LIVE += [payment(200, NOON - 30 * HOUR), payment(201, NOON - 2 * HOUR)]
ROWS = [
    Row(each, is_fraud=True, known_at=each.event_time + 20 * HOUR, kind="chargeback")
    if number % 8 == 0
    else Row(each)
    for number, each in enumerate(PAST)
]
LAST = PAST[-1].event_time


def live_events() -> list[Event]:
    tokenised = [TOKENISER.apply(each) for each in LIVE]
    labels = [
        Label(transaction=each, kind="confirmed_fraud", known_at=NOON + 200 * HOUR) for each in tokenised[::6]
    ]
    return [*tokenised, *labels]


def past_events(until: int = LAST) -> list[Event]:
    labels = [row.label for row in ROWS if row.label is not None and row.label.known_at <= until]
    return [
        *(TOKENISER.apply(each) for each in PAST),
        *(msgspec.structs.replace(each, transaction=TOKENISER.apply(each.transaction)) for each in labels),
    ]


def stored(store: FeatureStore, keys: Sequence[Key]) -> dict[Key, bytes]:
    return {key: encode(found.state) for key, found in store.read(keys).items()}


def apply(store: FeatureStore, events: Sequence[Event]) -> None:
    """As update_features does it: in batches, marked, once."""
    updater = Updater(STANDARD, store, lambda: NOON, lambda _attempt: None)
    for start in range(0, len(events), 10):
        batch = [Delivery(each.event_id, each, NOON) for each in events[start : start + 10]]
        assert updater.apply(batch).failed == []


def at_once(_seconds: float) -> None:
    """Nobody waits here."""


def run(store: FeatureStore, rows: Sequence[Row] = ROWS, sleep: Callable[[float], None] = at_once) -> Imported:
    deployment: Any = Deployment(store)
    return import_history(deployment, "before", rows, clock=NOON, sleep=sleep)


@pytest.mark.parametrize("live_first", [True, False])
def test_history_and_live_traffic_meet_in_the_fold_of_all_events(store: FeatureStore, live_first: bool) -> None:
    expected = reference([*past_events(), *live_events()])
    if live_first:
        apply(store, live_events())
    done = run(store)
    if not live_first:
        apply(store, live_events())
    assert stored(store, sorted(expected)) == expected
    assert (done.rows, done.states + done.unchanged) == (len(ROWS), len(reference(past_events())))
    assert done.later_labels == sum(row.label is not None and row.label.known_at > LAST for row in ROWS) > 0
    again = run(store)
    assert (again.states, again.unchanged) == (0, done.states)
    assert stored(store, sorted(expected)) == expected


class Busy(MemoryFeatureStore):
    """Someone else writes between the import's read and its commit, for some commits."""

    def __init__(self, interrupt: Callable[["Busy"], None], times: int) -> None:
        super().__init__()
        self.interrupt = interrupt
        self.times = times
        self.inside = False

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        if self.times and not self.inside:
            self.times -= 1
            self.inside = True
            try:
                self.interrupt(self)
            finally:
                self.inside = False
        super().write(markers, states, expires_at=expires_at)


def test_a_payment_that_comes_between_read_and_write_is_not_lost() -> None:
    events = live_events()
    left = iter([events[:5], events[5:9]])
    store = Busy(lambda busy: apply(busy, next(left)), times=2)
    run(store)
    expected = reference([*past_events(), *events[:9]])
    assert stored(store, sorted(expected)) == expected


def test_a_store_that_never_rests_stops_the_import_and_loses_nothing() -> None:
    card = TOKENISER.apply(PAST[0])
    numbers = iter(range(1_000, 2_000))

    def pay(busy: Busy) -> None:
        # Every key of the first chunk keeps moving.
        apply(busy, [TOKENISER.apply(payment(next(numbers), NOON)) for _ in range(10)])

    store = Busy(pay, times=10_000)
    with pytest.raises(
        ImportConflictError, match="or DynamoDB throttles; run this again: it goes on where it was"
    ):
        run(store)
    assert store.digests(["import/1/before/0"]) == {}
    store.times = 0
    run(store)
    written = [TOKENISER.apply(payment(number, NOON)) for number in range(1_000, next(numbers))]
    expected = reference([*past_events(), *written])
    assert Key("card", card.card) in expected
    assert stored(store, sorted(expected)) == expected


def test_a_throttled_table_is_waited_for_as_long_as_a_new_one_takes() -> None:
    def throttle(_busy: Busy) -> None:
        raise ThrottledError("no capacity yet")

    waits: list[float] = []
    store = Busy(throttle, times=30)
    run(store, sleep=waits.append)
    assert len(waits) == 30
    assert sum(waits) > 5
    expected = reference(past_events())
    assert stored(store, sorted(expected)) == expected


def test_states_that_live_traffic_seldom_leaves_alone_are_written_a_few_at_a_time() -> None:
    written: list[list[Key]] = []

    class Noting(MemoryFeatureStore):
        def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
            written.extend(list(each) for each in states.values())
            super().write(markers, states, expires_at=expires_at)

    run(Noting())
    busy = {entity.name for entity in STANDARD.entities if entity.shards > 1}
    sizes = [len(keys) for keys in written if busy.intersection(key.entity for key in keys)]
    assert len(sizes) > 1
    assert max(sizes) <= 4


def test_the_same_import_by_other_features_is_refused() -> None:
    store = MemoryFeatureStore()
    store.commit([Marker("import/1/before/0", "of other states", 1, 1)], {}, expires_at=1)
    with pytest.raises(ImportConflictError, match="another version of this code"):
        run(store)


def test_an_import_of_nothing_writes_nothing() -> None:
    assert run(MemoryFeatureStore(), []) == Imported(0, 0, 0, 0)


def test_progress_tells_all_three_parts_to_their_end() -> None:
    told: list[tuple[str, int, int]] = []
    deployment: Any = Deployment(MemoryFeatureStore())
    import_history(deployment, "b", ROWS, clock=NOON, sleep=at_once, progress=lambda *each: told.append(each))
    for what in ("lake", "fold", "store"):
        last = [each for each in told if each[0] == what][-1]
        assert last[1] == last[2] > 0


def test_where_time_is_real_all_labels_known_by_now_are_folded_and_the_first_now_counts(
    store: FeatureStore,
) -> None:
    deployment: Any = Deployment(store, STAGING)
    now, expected = LAST + 3 * HOUR, reference(past_events(LAST + 3 * HOUR))
    assert expected != reference(past_events())
    done = import_history(deployment, "before", ROWS, clock=now, sleep=at_once)
    assert done.later_labels == sum(row.label is not None and row.label.known_at > now for row in ROWS) > 0
    assert stored(store, sorted(expected)) == expected
    # More is known a year later, but an import that is taken up again must be the one that was begun.
    again = import_history(deployment, "before", ROWS, clock=now + 9_000 * HOUR, sleep=at_once)
    assert again == Imported(len(ROWS), done.later_labels, 0, done.states)
    assert stored(store, sorted(expected)) == expected


@pytest.mark.parametrize("replays", [True, False])
def test_a_bootstrap_knows_the_labels_that_were_known_at_its_watermark(replays: bool) -> None:
    class Imports(History):
        def _ledger(self) -> Iterator[str]:
            return iter(())

    run(MemoryFeatureStore())
    client = boto3.client("s3", region_name="us-east-1")
    source = Imports(client, "lake", None, "", replays)
    watermark = LAST + 3 * HOUR
    assert reference(list(source.events(["before"], watermark))) == reference(
        past_events(LAST if replays else watermark)
    )


def later(store: FeatureStore) -> LaterLabels:
    deployment: Any = Deployment(store)
    return LaterLabels(deployment, clock=lambda: NOON, sleep=lambda _seconds: None)


def test_later_labels_reach_the_states_before_the_event_that_must_see_them(store: FeatureStore) -> None:
    done = run(store)
    told = sorted(row.label.known_at for row in ROWS if row.label is not None and row.label.known_at > LAST)
    assert len(told) == done.later_labels > 1
    bring = later(store)
    # Known at the same millisecond as the payment arrives, and named after it: the payment does not see it.
    for moment in (LAST, told[0] - 1, told[0], told[0] + 1, told[-1] + 1):
        at = TOKENISER.apply(payment(1, moment))
        bring(at)
        expected = reference(
            [e for e in past_events(moment + 1) if not isinstance(e, Label) or arrival(e) < arrival(at)]
        )
        assert stored(store, sorted(expected)) == expected
        assert len(bring.folded) == sum(known_at < moment for known_at in told)
    assert store.digests(bring.folded).keys() == bring.folded


def test_later_labels_are_folded_once_however_often_a_replay_is_run(store: FeatureStore) -> None:
    run(store)
    end = payment(1, NOON + 100 * HOUR)
    for _ in range(2):
        bring = later(store)
        bring(end)
        bring(end)
    assert len(bring.folded) > 1
    expected = reference(past_events(NOON + 100 * HOUR))
    assert stored(store, sorted(expected)) == expected


def test_later_labels_that_find_no_moment_stop_the_replay_and_are_folded_by_the_next() -> None:
    numbers = count(1_000)
    written: list[Event] = []

    def pay(busy: Busy) -> None:
        # Every key of the waiting labels keeps moving.
        written.extend(TOKENISER.apply(payment(next(numbers), NOON)) for _ in range(99))
        apply(busy, written[-99:])

    store = Busy(pay, times=0)
    run(store)
    end = payment(1, NOON + 100 * HOUR)
    store.times = 10_000
    with pytest.raises(ImportConflictError, match="replay again"):
        later(store)(end)
    store.times = 0
    later(store)(end)
    expected = reference([*past_events(NOON + 100 * HOUR), *written])
    assert stored(store, sorted(expected)) == expected
