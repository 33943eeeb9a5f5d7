"""What was done with a payment: beside its decision, once for each kind, and never to somebody else's payment."""

import json
from types import ModuleType
from typing import Any, get_args

import pytest

from fraud.decision import event_of
from fraud.events import Outcome, OutcomeKind
from runtime.http import Problem, Request
from runtime.stores.decisions import DECISION, MemoryDecisionStore
from tests.unit.lambdas.reported import PAID, PAYMENT, decided
from tests.unit.lambdas.support import Context, lambda_event
from tests.unit.lambdas.test_relay_decisions import Bus

NOW = PAID + 900
SKEW = 120_000
KINDS = get_args(OutcomeKind)


@pytest.fixture
def function(load: Any) -> ModuleType:
    module: ModuleType = load("record_outcome")
    return module


@pytest.fixture
def ledger() -> MemoryDecisionStore:
    return decided()


def record(
    function: ModuleType,
    ledger: MemoryDecisionStore,
    sent: Any = None,
    *,
    merchant: str = "acme",
    name: str = "order-1001",
    at: int = NOW,
) -> str:
    body = json.dumps({"outcome": "declined"} if sent is None else sent).encode()
    request = Request(merchant_id=merchant, request_id="r", body=body, headers={}, path={"transaction_id": name})
    answer: str = function.record(request, store=ledger, received_at=at, recorded_at=at + 3)
    return answer


def refusal(function: ModuleType, ledger: MemoryDecisionStore, sent: Any = None, **given: Any) -> Problem:
    before = dict(ledger.records)
    with pytest.raises(Problem) as refused:
        record(function, ledger, sent, **given)
    assert ledger.records == before
    return refused.value


@pytest.mark.parametrize("kind", KINDS)
def test_the_row_is_read_back_as_the_outcome(
    function: ModuleType, ledger: MemoryDecisionStore, kind: OutcomeKind
) -> None:
    answer = json.loads(record(function, ledger, {"outcome": kind}))
    assert answer == {
        "transaction_id": "order-1001",
        "outcome": kind,
        "received_at": "2026-01-01T10:00:00.900000+00:00",
    }
    kept = ledger.get("acme/order-1001", f"outcome#{kind}")
    assert kept is not None
    row = json.loads(kept.row)
    assert event_of(row) == Outcome(transaction=PAYMENT, kind=kind, event_time=NOW)
    assert row["recorded_at"] == NOW + 3


@pytest.mark.parametrize("merchant", ["other", "acme/order-1001", "", "acm"])
def test_another_merchants_payment_is_unknown(
    function: ModuleType, ledger: MemoryDecisionStore, merchant: str
) -> None:
    refused = refusal(function, ledger, merchant=merchant)
    assert (refused.status, refused.body["field"]) == (404, "transaction_id")


def test_an_id_never_sent_is_unknown(function: ModuleType, ledger: MemoryDecisionStore) -> None:
    assert refusal(function, ledger, name="order-1002").status == 404


def test_the_same_again_gets_the_same_bytes_and_another_outcome_its_own_line(
    function: ModuleType, ledger: MemoryDecisionStore
) -> None:
    first = record(function, ledger, {"outcome": "authorised"})
    assert record(function, ledger, {"outcome": "authorised"}, at=NOW + 60_000) == first
    for kind in ("captured", "refunded"):
        record(function, ledger, {"outcome": kind}, at=NOW + 60_000)
    lines = ["outcome#authorised", "outcome#captured", "outcome#refunded"]
    assert [kind for _, kind in ledger.records] == [DECISION, *lines]


@pytest.mark.parametrize("sent", [{"outcome": "decline"}, {"outcome": ""}, {"outcome": None}, {}])
def test_an_unknown_outcome_is_refused_by_name(
    function: ModuleType, ledger: MemoryDecisionStore, sent: dict[str, Any]
) -> None:
    refused = refusal(function, ledger, sent)
    assert (refused.status, refused.body["field"]) == (400, "outcome")


def test_the_path_alone_names_the_transaction(function: ModuleType, ledger: MemoryDecisionStore) -> None:
    refused = refusal(function, ledger, {"outcome": "declined", "transaction_id": "order-1001"})
    assert (refused.status, refused.body["field"]) == (400, "transaction_id")


@pytest.mark.parametrize("behind", [1, SKEW])
def test_a_clock_that_is_behind_moves_no_outcome_before_its_payment(
    function: ModuleType, ledger: MemoryDecisionStore, behind: int
) -> None:
    answer = json.loads(record(function, ledger, at=PAID - behind))
    assert answer["received_at"] == "2026-01-01T10:00:00+00:00"
    kept = ledger.get("acme/order-1001", "outcome#declined")
    assert kept is not None
    assert event_of(json.loads(kept.row)) == Outcome(transaction=PAYMENT, kind="declined", event_time=PAID)


def test_a_replayed_time_before_the_payment_is_refused(function: ModuleType, ledger: MemoryDecisionStore) -> None:
    refused = refusal(function, ledger, at=PAID - SKEW - 1)
    assert (refused.status, refused.body["field"]) == (400, "Paywarden-Replay-Time")


def test_the_function_answers_202_and_then_the_same_again(
    function: ModuleType, ledger: MemoryDecisionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "ledger", ledger)
    event = lambda_event("outcome_request")
    event["headers"]["Paywarden-Replay-Time"] = str(NOW)
    first = function.handler(event, Context())
    assert first["statusCode"] == 202
    assert json.loads(first["body"])["received_at"] == "2026-01-01T10:00:00.900000+00:00"
    event["headers"]["Paywarden-Replay-Time"] = str(NOW + 5_000)
    assert function.handler(event, Context()) == first


def test_the_function_answers_a_problem_and_logs_no_part_of_the_request(
    function: ModuleType, ledger: MemoryDecisionStore, monkeypatch: pytest.MonkeyPatch, logged: Any
) -> None:
    monkeypatch.setattr(function, "ledger", ledger)
    event = lambda_event("outcome_request")
    event["pathParameters"]["transaction_id"] = "4242424242424242"
    answer = function.handler(event, Context())
    assert answer["statusCode"] == 400
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    problem = json.loads(answer["body"])
    assert problem["type"] == "/problems/card-number"
    assert problem["request_id"] == event["requestContext"]["requestId"]
    assert "/problems/card-number" in logged.getvalue()
    assert "4242" not in logged.getvalue() + answer["body"]


def test_what_is_written_is_relayed_and_folded(
    function: ModuleType, ledger: MemoryDecisionStore, load: Any
) -> None:
    """The line, as its stream shows it, becomes the event that `update_features` reads as the same outcome."""
    record(function, ledger)
    line = ledger.records["acme/order-1001", "outcome#declined"]
    image = {"kind": {"S": line.kind}, "row": {"S": line.row}}
    change = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": image}}
    bus = Bus()
    assert load("relay_decisions").relay([change], bus, "payments") == []
    (entry,) = bus.sent
    assert entry["DetailType"] == "outcome.recorded"
    delivered = lambda_event("update_queue")["Records"][0] | {
        "body": json.dumps({"detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])})
    }
    poison: list[str] = []
    (delivery,) = load("update_features").read([delivered], poison, [])
    assert poison == []
    assert delivery.event == Outcome(transaction=PAYMENT, kind="declined", event_time=NOW)
    assert delivery.recorded_at == NOW + 3
