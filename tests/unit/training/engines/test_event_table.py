"""Tables of events: what is no history is refused by its column, and order and keys are those of serving."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.events import MOST_AMOUNT, Event, Label, Outcome, Transaction
from fraud.features import STANDARD
from fraud.replay import arrival
from tests.unit.fraud.strategies import START, follow_up, histories, payment, world
from training.engines.events import EventTable, EventTableError, table_of

EVENTS: list[Event] = [
    paid := payment("t0"),
    follow_up(paid, "declined", 500),
    follow_up(paid, "chargeback", 9_000),
]


def _with(name: str, values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    table = table_of(EVENTS)
    return table.set_column(table.column_names.index(name), name, pa.array(values, kind))


def _time(*steps: int) -> list[int]:
    return [START + step for step in steps]


BAD: dict[str, tuple[pa.Table, str]] = {
    "no time": (table_of(EVENTS).drop_columns(["event_time"]), "no column 'event_time'; name the columns as"),
    "no amount": (table_of(EVENTS).drop_columns(["amount"]), "no column 'amount'; name the columns as"),
    "no time of arrival": (
        table_of(EVENTS).drop_columns(["at"]),
        "no column 'at'; a table with a column 'event' needs it",
    ),
    "negative amounts": (
        _with("amount", [5, -1, -1]),
        "column 'amount': 2 rows are below 0 or at least .*, the first is row 1; .*leave refunds out",
    ),
    "huge amounts": (_with("amount", [5, 5, MOST_AMOUNT + 1]), "column 'amount': 1 rows .* the first is row 2"),
    "amounts past 64 bits": (
        _with("amount", [5, 5, 2**64 - 1], pa.uint64()),
        "column 'amount' holds numbers beyond 64 bits; check its unit",
    ),
    "amounts in major units": (
        _with("amount", [5.0, 5.5, 6.0]),
        "column 'amount' is .*double.*; write whole numbers",
    ),
    "amounts as text": (_with("amount", ["5", "5", "6"]), "column 'amount' is .*string.*; write whole numbers"),
    "an amount left out": (_with("amount", [5, None, 6]), "column 'amount' is empty in 1 rows; fill it in or"),
    "times in microseconds": (
        _with("event_time", [START * 1_000] * 3),
        "column 'event_time': 3 rows .*check the unit",
    ),
    "times before 1970": (_with("event_time", [-1, START, START]), "column 'event_time': 1 rows"),
    "times as dates": (
        _with("event_time", [START] * 3, pa.timestamp("ms")),
        r"column 'event_time' is timestamp\[ms\]; write whole numbers \(ms, or minor units\)",
    ),
    "a time left out": (_with("event_time", [START, None, START]), "column 'event_time' is empty in 1 rows"),
    "an arrival left out": (_with("at", [START, START, None]), "column 'at' is empty in 1 rows"),
    "an absurd arrival": (_with("at", [START, START, 2**60]), "column 'at': 1 rows .*the first is row 2"),
    "an outcome before its payment": (_with("at", _time(0, -1, 9_000)), "column 'at': .*not before it"),
    "a label before its payment": (_with("at", _time(0, 500, -1)), "column 'at': .*not before it"),
    "a payment known later": (_with("at", _time(1, 500, 9_000)), "column 'at': a transaction is known at its own"),
    "an unknown currency": (
        _with("currency", ["EUR", "euro", "EUR"]),
        "column 'currency' holds what is no ISO 4217 code; write it like EUR",
    ),
    "a currency left out": (_with("currency", ["EUR", None, "EUR"]), "column 'currency' holds what is no"),
    "an unknown event": (
        _with("event", ["transaction", "refund", "label"]),
        "column 'event' holds other words than transaction, outcome and label",
    ),
    "an event left out": (_with("event", ["transaction", None, "label"]), "column 'event' holds other words"),
    "ties without a name": (
        table_of([payment("a"), payment("b")]).drop_columns(["transaction_id"]),
        "no column 'transaction_id', which puts events of one millisecond in order",
    ),
    "ties without a merchant": (
        table_of([payment("a"), payment("b")]).drop_columns(["merchant_id"]),
        "no column 'merchant_id', which puts events of one millisecond in order",
    ),
}


@pytest.mark.parametrize(("table", "said"), BAD.values(), ids=BAD.keys())
def test_what_is_no_history_is_refused_by_its_column_with_the_remedy(table: pa.Table, said: str) -> None:
    with pytest.raises(EventTableError, match=said):
        EventTable.of(table)


def test_no_message_repeats_what_was_sent() -> None:
    with pytest.raises(EventTableError) as refused:
        EventTable.of(_with("currency", ["EUR", "4929123412341234", "EUR"]))
    assert "4929" not in str(refused.value)


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_is_that_of_arrival(events: list[Event], rng: random.Random) -> None:
    turned = rng.sample(events, len(events))
    table = EventTable.of(table_of(turned))
    order = range(len(turned)) if table.order is None else table.order.tolist()
    assert [turned[row] for row in order] == sorted(events, key=arrival) == events
    assert EventTable.of(table_of(events)).order is None, "nothing to do where they are in order"


@given(histories())
def test_rows_are_the_events_that_they_were_made_of(events: list[Event]) -> None:
    table = EventTable.of(table_of(events), ordered=True)
    assert table.events(np.arange(len(events), dtype=np.int32)) == events
    assert table.is_transaction.tolist() == [isinstance(event, Transaction) for event in events]
    assert table.time.tolist() == [event.event_time for event in events]
    assert table.amount.tolist() == [event.transaction.amount for event in events]


@given(histories())
def test_keys_and_series_are_those_of_serving(events: list[Event]) -> None:
    table = EventTable.of(table_of(events))
    for entity in STANDARD.entities:
        tokens = [entity.token(event.transaction) for event in events]
        assert table.tokens(entity) == tokens
        codes, keys = table.keys(entity)
        assert [code < 0 for code in codes] == [not token for token in tokens]
        assert max(codes, default=-1) < keys
        sent = {(int(code), token) for code, token in zip(codes, tokens, strict=True) if token}
        assert len({code for code, _ in sent}) == len({token for _, token in sent}) == len(sent)
        for series in STANDARD.series[entity.name]:
            assert table.takes(series).tolist() == [series.takes(event) for event in events]


def test_texts_may_be_categories_numbers_or_in_pieces() -> None:
    """As histories come: dictionary-encoded, with whole numbers as identifiers, and in chunks."""
    events = [event for event in world(3, 60) if isinstance(event, Transaction)]
    plain = EventTable.of(table_of(events))
    encoded = table_of(events)
    for name in ("card", "merchant_id", "currency", "device"):
        place = encoded.column_names.index(name)
        encoded = encoded.set_column(place, name, encoded[name].dictionary_encode())
    pieces = pa.concat_tables([encoded.slice(0, 20), encoded.slice(20)])
    for entity in STANDARD.entities:
        assert EventTable.of(encoded).tokens(entity) == plain.tokens(entity)
        assert EventTable.of(pieces).tokens(entity) == plain.tokens(entity)
    numbers = pa.table({"event_time": [1, 2], "amount": [5, 6], "card": [77, 78]})
    assert EventTable.of(numbers).tokens(STANDARD.entities[0]) == ["77", "78"]


def test_a_tie_of_one_payment_and_what_became_of_it_goes_by_their_ids() -> None:
    paid = payment("t", at=START)
    tied: list[Event] = [
        Label(transaction=paid, kind="confirmed_genuine", known_at=START),
        Outcome(transaction=paid, kind="declined", event_time=START),
        Label(transaction=paid, kind="chargeback", known_at=START),
        paid,
    ]
    table = EventTable.of(table_of(tied))
    assert table.order is not None
    assert [tied[row].event_id for row in table.order] == ["m1/t", "m1/t#declined", "m1/t#fraud", "m1/t#genuine"]
