"""A slice of the published handbook data through the online path, against the reference engine."""

import random
from itertools import batched
from pathlib import Path

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from fraud.codec import encode
from fraud.decision import Decision, decision_row, event_of, label_row
from fraud.events import Event, Label, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import arrival, replay
from fraud.state import State
from lambdas.update_features.updating import Delivery, Updater
from ops.inputs import MAPPINGS, Row, from_frame, load_mapping
from ops.inputs.reading import read_frame
from runtime.stores.features import MemoryFeatureStore
from tests.unit.fraud import oracle
from tests.unit.fraud.strategies import same

HANDBOOK = Path(__file__).resolve().parents[3] / "shared" / "data" / "handbook" / "transactions_visible.parquet"
ROWS = 3_000
CUSTOMERS = 12
"""Few customers, so that the slice is long: states see months, prune, and learn of old frauds."""

pytestmark = pytest.mark.skipif(
    not HANDBOOK.is_file(), reason=f"the handbook data is not at {HANDBOOK}; it is not part of this repository"
)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """The first payments of some customers, and their labels, in the order of arrival."""
    chosen = pq.read_table(HANDBOOK, filters=pc.field("CUSTOMER_ID") < CUSTOMERS).slice(0, ROWS)
    place = tmp_path_factory.mktemp("handbook") / "slice.parquet"
    pq.write_table(chosen, place)
    frame = read_frame(place, load_mapping(MAPPINGS / "handbook.toml"))
    rows: list[Row] = list(from_frame(frame))
    # The slice has few frauds: every seventh payment is told of as well, late enough for tiles to be old.
    told = [row.label or _made(row) for n, row in enumerate(rows) if row.label or n % 7 == 0]
    return sorted([*(row.transaction for row in rows), *told], key=arrival)


def _made(row: Row) -> Label:
    paid = row.transaction
    return Label(transaction=paid, kind="confirmed_fraud", known_at=paid.event_time + 9 * oracle.DAY)


def _through_the_bus(event: Event, vector: tuple[float, ...]) -> Event:
    """The event as the updater reads it from a message."""
    if isinstance(event, Label):
        row = label_row(event, recorded_at=0)
    else:
        decision = Decision(
            transaction_id=event.transaction_id,
            decision="approve",
            score=None,
            reasons=(),
            signals={},
            model=None,
            policy="p",
            degraded=True,
            evaluated_at=event.event_time,
        )
        row = decision_row(event, decision, features=STANDARD, vector=vector, raw_score=None, recorded_at=0)
    return event_of(msgspec.json.decode(msgspec.json.encode(row)))


def test_the_slice_is_what_the_tests_need(events: list[Event]) -> None:
    payments = [event for event in events if isinstance(event, Transaction)]
    assert len(payments) == ROWS
    assert payments[-1].event_time - payments[0].event_time > 60 * oracle.DAY
    assert len(events) > ROWS + 400


def test_serving_sees_what_replay_computes_row_by_row(events: list[Event]) -> None:
    store = MemoryFeatureStore()
    updater = Updater(features=STANDARD, store=store, clock=lambda: 0, pause=lambda _: None)
    expected = {paid.event_id: vector for paid, vector in replay(events)}
    rng = random.Random(1)
    seen: list[Event] = []
    for number, event in enumerate(events):
        vector: tuple[float, ...] = ()
        if isinstance(event, Transaction):
            found = store.read(STANDARD.keys_read(event))
            vector = STANDARD.vector(event, {key: versioned.state for key, versioned in found.items()})
            assert same(vector, expected[event.event_id]), event.event_id
        seen.append(_through_the_bus(event, vector))
        batch = [seen[-1], rng.choice(seen)] if number % 3 == 0 else [seen[-1]]  # some are delivered again
        report = updater.apply([Delivery(f"{n}", each, 0) for n, each in enumerate(batch)])
        assert not report.failed


def test_the_same_slice_shuffled_and_doubled_ends_in_the_same_states(events: list[Event]) -> None:
    store = MemoryFeatureStore()
    updater = Updater(features=STANDARD, store=store, clock=lambda: 0, pause=lambda _: None)
    rng = random.Random(2)
    sent = [*events, *rng.sample(events, len(events) // 3)]
    rng.shuffle(sent)
    for batch in batched(sent, 100, strict=False):
        report = updater.apply([Delivery(f"{n}", event, 0) for n, event in enumerate(batch)])
        assert not report.failed
    states: dict[Key, State] = {}
    list(replay(events, states=states))
    stored = store.read(sorted(states))
    assert {key: encode(found.state) for key, found in stored.items()} == {
        key: encode(state) for key, state in states.items()
    }


def test_replay_equals_a_count_by_hand_on_real_payments(events: list[Event]) -> None:
    """The oracle looks through the whole past for each number, so it judges every tenth of the later rows."""
    vectors = {paid.event_id: vector for paid, vector in replay(events)}
    judged = 0
    for position, event in enumerate(events):
        if not isinstance(event, Transaction) or position < 1_000 or position % 10:
            continue
        expected = oracle.features(event, events[:position], STANDARD.names)
        for name, value in zip(STANDARD.names, vectors[event.event_id], strict=True):
            if oracle.inexact(name):
                assert value == pytest.approx(expected[name], rel=1e-12, nan_ok=True), name
            else:
                assert same([value], [expected[name]]), f"{name} of {event.event_id}"
        judged += 1
    assert judged > 150
