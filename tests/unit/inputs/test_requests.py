"""What merchants send, and in which order it arrives."""

import msgspec

from fraud.cards import card_number_at
from fraud.events import Label, Transaction
from fraud.replay import arrival
from ops.inputs import Row, build_world, decision_body, label_body, path, schedule, together
from runtime.api import DecisionRequest, LabelRequest, parse

T0 = 1_700_000_000_000


def transaction(number: int, at: int = T0, **fields: str) -> Transaction:
    return Transaction(
        transaction_id=f"t{number}",
        merchant_id="aurora",
        event_time=at,
        amount=1_250,
        currency="EUR",
        **({"card": "card_a", "customer": "cus_a"} | fields),
    )


def test_a_decision_body_leaves_out_what_is_absent() -> None:
    assert decision_body(transaction(1, T0 + 7)) == {
        "transaction_id": "t1",
        "amount": 1_250,
        "currency": "EUR",
        "occurred_at": "2023-11-14T22:13:20.007Z",
        "card": {"token": "card_a"},
        "customer": {"id": "cus_a"},
        "channel": "ecommerce",
        "three_ds": "none",
    }


def test_a_full_decision_body_carries_every_field() -> None:
    full = transaction(
        1,
        device="dev_a",
        ip="192.0.2.1",
        email="a@example.com",
        bin="900001",
        issuer_country="FR",
        billing_country="BE",
        shipping_country="DE",
        mcc="5732",
        entry_mode="manual",
    )
    body = decision_body(full)
    assert body["card"] == {"token": "card_a", "bin": "900001", "issuer_country": "FR"}
    assert body["customer"] == {"id": "cus_a", "email": "a@example.com"}
    assert (body["device"], body["ip"], body["mcc"]) == ({"id": "dev_a"}, "192.0.2.1", "5732")
    assert (body["billing"], body["shipping"]) == ({"country": "BE"}, {"country": "DE"})
    assert body["entry_mode"] == "manual"


def test_a_label_body() -> None:
    label = Label(transaction=transaction(1), kind="chargeback", known_at=T0 + 90_000)
    assert label_body(label) == {
        "transaction_id": "t1",
        "label": "chargeback",
        "known_at": "2023-11-14T22:14:50.000Z",
    }
    assert (path(label), path(transaction(1))) == ("/v1/labels", "/v1/decisions")


def test_the_api_accepts_every_body_of_the_world_and_reads_the_same_transaction() -> None:
    for row in build_world().live:
        body = msgspec.json.encode(decision_body(row.transaction))
        parsed = parse(body, DecisionRequest)
        read = parsed.transaction(row.transaction.merchant_id, row.transaction.event_time)
        assert read == row.transaction
        if row.label:
            parse(msgspec.json.encode(label_body(row.label)), LabelRequest)


def test_no_body_of_the_world_is_taken_for_a_card_number() -> None:
    for row in build_world().live:
        assert card_number_at(decision_body(row.transaction)) is None


def test_payments_and_labels_merge_in_arrival_order() -> None:
    rows = build_world().live
    bursts = list(schedule(rows))
    events = [event for burst in bursts for event in burst.arrivals]
    assert sum(isinstance(event, Transaction) for event in events) == len(rows)
    assert sum(isinstance(event, Label) for event in events) == sum(row.label is not None for row in rows)
    assert [arrival(event) for event in events] == sorted(arrival(event) for event in events)
    assert all(burst.at == arrival(burst.arrivals[0])[0] for burst in bursts)
    assert max(len(burst.arrivals) for burst in bursts) > 3


def test_late_labels_can_be_cut_off() -> None:
    rows = build_world().live
    end = rows[-1].transaction.event_time
    labels = [e for b in schedule(rows, until=end) for e in b.arrivals if isinstance(e, Label)]
    assert labels
    assert all(label.known_at < end for label in labels)


def others(number: int, at: int) -> Transaction:
    return transaction(number, at, card=f"card_{number}", customer=f"cus_{number}")


def test_bursts_end_at_their_span_at_their_size_and_before_the_same_card_or_customer() -> None:
    rows = [Row(others(n, T0 + n)) for n in range(3)]
    rows.append(Row(others(3, T0 + 60_000)))
    assert [len(b.arrivals) for b in schedule(rows, span_ms=1_000, size=2)] == [2, 1, 1]
    # Not one chain without end: each is at most so long after the first of its burst.
    chain = [Row(others(n, T0 + 600 * n)) for n in range(6)]
    assert [len(b.arrivals) for b in schedule(chain, span_ms=1_200)] == [3, 3]
    same_card = [Row(transaction(n, T0 + n, customer=f"cus_{n}")) for n in range(2)]
    assert [len(b.arrivals) for b in schedule(same_card)] == [1, 1]
    same_customer = [Row(transaction(n, T0 + n, card=f"card_{n}")) for n in range(2)]
    assert [len(b.arrivals) for b in schedule(same_customer)] == [1, 1]
    own = [Row(transaction(1), is_fraud=True, known_at=T0 + 1, kind="chargeback")]
    assert [len(b.arrivals) for b in schedule(own)] == [1, 1]


def test_what_is_sent_together_has_come_together_and_in_its_order() -> None:
    bursts = list(schedule(build_world().live, span_ms=3_600_000, size=8))
    moved = [together(burst, step_ms=500) for burst in bursts]
    assert max(len(burst.arrivals) for burst in moved) > 3
    events = [event for burst in moved for event in burst.arrivals]
    assert [event.event_id for event in events] == [e.event_id for burst in bursts for e in burst.arrivals]
    assert [arrival(event)[0] for event in events] == sorted(arrival(event)[0] for event in events)
    for burst, before in zip(moved, bursts, strict=True):
        for number, (event, was) in enumerate(zip(burst.arrivals, before.arrivals, strict=True)):
            assert arrival(event)[0] == min(arrival(was)[0], burst.at + 500 * number)
