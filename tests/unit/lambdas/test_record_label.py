"""What became known of a payment: beside its decision, once, and never of somebody else's payment."""

import json
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from fraud.decision import event_of
from fraud.events import Label
from runtime.http import Problem, Request
from runtime.stores.decisions import MemoryDecisionStore
from tests.unit.lambdas.reported import PAID, PAYMENT, decided
from tests.unit.lambdas.support import Context, lambda_event

NOW = PAID + 86_400_000
AHEAD = 120_000


@pytest.fixture
def function(load: Any) -> ModuleType:
    module: ModuleType = load("record_label")
    return module


@pytest.fixture
def ledger() -> MemoryDecisionStore:
    return decided()


def body(label: str = "chargeback", known_at: int | str | None = None, name: str = "order-1001") -> bytes:
    given = {"transaction_id": name, "label": label}
    if isinstance(known_at, int):
        known_at = datetime.fromtimestamp(known_at / 1_000, UTC).isoformat()
    return json.dumps(given | ({"known_at": known_at} if known_at else {})).encode()


def record(function: ModuleType, ledger: MemoryDecisionStore, sent: bytes, merchant: str = "acme") -> str:
    request = Request(merchant_id=merchant, request_id="r", body=sent, headers={}, path={})
    answer: str = function.record(request, store=ledger, received_at=NOW, recorded_at=NOW + 3)
    return answer


def refusal(function: ModuleType, ledger: MemoryDecisionStore, sent: bytes, merchant: str = "acme") -> Problem:
    before = dict(ledger.records)
    with pytest.raises(Problem) as refused:
        record(function, ledger, sent, merchant)
    assert ledger.records == before
    return refused.value


def test_the_row_is_read_back_as_the_label(function: ModuleType, ledger: MemoryDecisionStore) -> None:
    answer = json.loads(record(function, ledger, body("chargeback", PAID + 5_000)))
    assert answer == {
        "transaction_id": "order-1001",
        "label": "chargeback",
        "known_at": "2026-01-01T10:00:05+00:00",
        "source": "merchant",
        "confidence": 1.0,
    }
    kept = ledger.get("acme/order-1001", "label#0001")
    assert kept is not None
    row = json.loads(kept.row)
    assert event_of(row) == Label(transaction=PAYMENT, kind="chargeback", known_at=PAID + 5_000)
    assert (row["is_fraud"], row["recorded_at"]) == (True, NOW + 3)


def test_a_label_becomes_known_when_it_is_received_unless_it_says_otherwise(
    function: ModuleType, ledger: MemoryDecisionStore
) -> None:
    record(function, ledger, body())
    kept = ledger.get("acme/order-1001", "label#0001")
    assert kept is not None
    assert json.loads(kept.row)["known_at"] == NOW


@pytest.mark.parametrize("merchant", ["other", "acme/order-1001", "", "acm"])
def test_another_merchants_payment_is_unknown(
    function: ModuleType, ledger: MemoryDecisionStore, merchant: str
) -> None:
    refused = refusal(function, ledger, body(), merchant)
    assert (refused.status, refused.body["field"]) == (404, "transaction_id")


def test_an_id_never_sent_is_unknown(function: ModuleType, ledger: MemoryDecisionStore) -> None:
    assert refusal(function, ledger, body(name="order-1002")).status == 404


@pytest.mark.parametrize("known_at", [PAID, PAID + 1, NOW, NOW + AHEAD])
def test_a_label_may_be_as_old_as_its_payment_and_as_new_as_clocks_differ(
    function: ModuleType, ledger: MemoryDecisionStore, known_at: int
) -> None:
    record(function, ledger, body("confirmed_genuine", known_at))
    kept = ledger.get("acme/order-1001", "label#0001")
    assert kept is not None
    assert json.loads(kept.row)["known_at"] == known_at


@pytest.mark.parametrize(
    "known_at",
    [PAID - 1, NOW + AHEAD + 1, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-02T00:00:00"],
)
def test_a_label_from_before_its_payment_or_from_the_future_is_refused(
    function: ModuleType, ledger: MemoryDecisionStore, known_at: int | str
) -> None:
    refused = refusal(function, ledger, body("chargeback", known_at))
    assert (refused.status, refused.body["field"]) == (400, "known_at")


@pytest.mark.parametrize("field", ["label", "source"])
@pytest.mark.parametrize("word", ["fraud", "", "CHARGEBACK"])
def test_an_unknown_word_is_refused_by_its_field(
    function: ModuleType, ledger: MemoryDecisionStore, field: str, word: str
) -> None:
    refused = refusal(function, ledger, json.dumps({**json.loads(body()), field: word}).encode())
    assert (refused.status, refused.body["field"]) == (400, field)


@pytest.mark.parametrize("confidence", [-0.01, 1.01, "high"])
def test_a_confidence_is_a_share(
    function: ModuleType, ledger: MemoryDecisionStore, confidence: float | str
) -> None:
    refused = refusal(function, ledger, json.dumps({**json.loads(body()), "confidence": confidence}).encode())
    assert (refused.status, refused.body["field"]) == (400, "confidence")


def test_a_label_that_comes_at_once_is_known_no_earlier_than_its_payment(
    function: ModuleType, ledger: MemoryDecisionStore
) -> None:
    request = Request(merchant_id="acme", request_id="r", body=body(), headers={}, path={})
    told = function.record(request, store=ledger, received_at=PAID - AHEAD, recorded_at=PAID)
    assert json.loads(told)["known_at"] == "2026-01-01T10:00:00+00:00"
    with pytest.raises(Problem) as refused:
        function.record(request, store=decided(), received_at=PAID - AHEAD - 1, recorded_at=PAID)
    assert refused.value.body["field"] == "known_at"


def test_the_function_answers_202_and_then_the_same_again(
    function: ModuleType, ledger: MemoryDecisionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "ledger", ledger)
    event = lambda_event("label_request")
    event["headers"]["Paywarden-Replay-Time"] = str(NOW)
    first = function.handler(event, Context())
    assert first["statusCode"] == 202
    assert json.loads(first["body"])["known_at"] == "2026-01-02T10:00:00+00:00"
    assert function.handler(event, Context()) == first


def test_how_long_it_was_known_is_counted_once_and_its_request_is_kept(
    function: ModuleType,
    ledger: MemoryDecisionStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(function, "ledger", ledger)
    event = lambda_event("label_request")
    event["headers"] |= {"Paywarden-Replay-Time": str(NOW), "Paywarden-Correlation-Id": "report-1"}
    event["body"] = json.dumps({**json.loads(event["body"]), "known_at": "2026-01-01T10:00:00Z"})
    for _ in range(2):
        assert function.handler(event, Context())["statusCode"] == 202
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    # Until it was received, however long ago that is: a history is replayed here.
    assert first["LabelLag"] == [(NOW - PAID) / 1_000]
    assert first["_aws"]["CloudWatchMetrics"][0]["Metrics"][0] == {"Name": "LabelLag", "Unit": "Seconds"}
    assert "LabelLag" not in second
    [label] = [record for (_, kind), record in ledger.records.items() if kind.startswith("label#")]
    assert json.loads(label.row)["correlation_id"] == "report-1"


def test_the_function_answers_a_problem(
    function: ModuleType, ledger: MemoryDecisionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "ledger", ledger)
    event = lambda_event("label_request")
    event["requestContext"]["authorizer"]["merchant_id"] = "other"
    answer = function.handler(event, Context())
    assert answer["statusCode"] == 404
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert json.loads(answer["body"])["request_id"] == event["requestContext"]["requestId"]


@pytest.mark.parametrize(("text", "encoded"), [("\ud800", False), ("not base64!", True)])
def test_a_body_that_is_not_what_its_encoding_says_is_a_problem(
    function: ModuleType, text: str, encoded: bool
) -> None:
    event = lambda_event("label_request") | {"body": text, "isBase64Encoded": encoded}
    answer = function.handler(event, Context())
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["type"] == "/problems/invalid-body"
