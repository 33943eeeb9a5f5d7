"""POST /v1/decisions from API Gateway's event to its answer, against AWS in memory."""

import base64
import io
import json
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import boto3
import pytest

from fraud.serving import Serving
from runtime import clients
from runtime.bundles import BundleStore
from runtime.stores.features import DynamoFeatureStore
from tests.unit.lambdas.support import (
    POLICY,
    TOKEN_KEY,
    AppConfigData,
    Context,
    bundle,
    lambda_event,
    scoring_account,
)

NOW = 1_767_261_600_000
# The network's number for tests, built so that no number stands in a file.
CARD_NUMBER = "4" + "1" * 15

type Start = Callable[..., ModuleType]


@pytest.fixture
def start(load: Any, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start the function, with a champion or without."""
    scoring_account("run-1")

    def started(champion: str | None = "run-1", **environment: str) -> ModuleType:
        config = AppConfigData(Serving(policy=POLICY, champion=champion))
        monkeypatch.setattr(clients, "appconfigdata", lambda: config)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        module: ModuleType = load("score_transaction")
        return module

    return started


def request(*, at: int | None = NOW, raw: str | None = None, **changes: Any) -> dict[str, Any]:
    event = lambda_event("decision_request")
    if at is not None:
        event["headers"]["Paywarden-Replay-Time"] = str(at)
    event["body"] = json.dumps({**json.loads(event["body"]), **changes}) if raw is None else raw
    return event


def problem(answer: dict[str, Any], status: int, kind: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer["body"])
    assert (answer["statusCode"], body["status"], body["type"]) == (status, status, f"/problems/{kind}")
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert body["request_id"] == lambda_event("decision_request")["requestContext"]["requestId"]
    return body


def counted(written: str) -> dict[str, list[float]]:
    [document] = [json.loads(line) for line in written.splitlines() if '"_aws"' in line]
    return {name: value for name, value in document.items() if isinstance(value, list)}


def ledger() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = boto3.client("dynamodb").scan(TableName="decisions")["Items"]
    return items


def test_a_payment_is_decided_and_written_down(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    function = start()
    answer = function.handler(request(), Context())
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "application/json"
    assert (body["transaction_id"], body["evaluated_at"], body["degraded"]) == ("order-1001", NOW, False)
    assert body["model"] == {"name": "paywarden", "version": "run-1"}
    assert 0 < body["score"] < 1
    [item] = ledger()
    assert (item["id"]["S"], item["kind"]["S"]) == ("acme/order-1001", "decision")
    assert item["answer"]["S"] == answer["body"]
    metrics = counted(capsys.readouterr().out)
    assert metrics == {body["decision"].capitalize(): [1.0], "Degraded": [0.0], "Repeated": [0.0]}


def test_the_time_of_our_code_and_of_the_stores_is_told(start: Start) -> None:
    headers = start().handler(request(), Context())["headers"]
    match = re.fullmatch(r"own;dur=(\d+\.\d{3}), store;dur=(\d+\.\d{3})", headers["Server-Timing"])
    assert match
    assert float(match[1]) > 0
    assert float(match[2]) > 0


def test_a_repeat_gets_the_same_bytes_and_is_counted(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    function = start()
    first = function.handler(request(), Context())
    capsys.readouterr()
    again = function.handler(request(at=NOW + 60_000), Context())
    assert again["body"] == first["body"]
    assert counted(capsys.readouterr().out) == {"Degraded": [0.0], "Repeated": [1.0]}
    assert len(ledger()) == 1


def test_connections_from_before_a_long_sleep_are_not_used_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, ended = start(), []
    monkeypatch.setattr(clients, "disconnect", lambda: ended.append(len(ledger())))
    for number in range(2):
        function.handler(request(transaction_id=f"t{number}"), Context())
    assert ended == []
    woke = function.now() + 61_000
    monkeypatch.setattr(function, "now", lambda: woke)
    for number in range(2, 4):
        assert function.handler(request(transaction_id=f"t{number}"), Context())["statusCode"] == 200
    assert ended == [2]


def test_base64_is_the_same_request(start: Start) -> None:
    function = start()
    first = function.handler(request(), Context())
    event = request()
    event |= {"body": base64.b64encode(event["body"].encode()).decode(), "isBase64Encoded": True}
    assert function.handler(event, Context())["body"] == first["body"]


def test_another_body_under_a_used_id_is_a_conflict(start: Start) -> None:
    function = start()
    function.handler(request(), Context())
    told = problem(function.handler(request(amount=1), Context()), 409, "id-reused")
    assert told["field"] == "transaction_id"
    assert len(ledger()) == 1


@pytest.mark.parametrize(
    ("event", "status", "kind", "field"),
    [
        (request(raw="{"), 400, "invalid-body", None),
        (request(raw=""), 400, "invalid-body", None),
        (request(raw="[" * 60_000), 400, "invalid-body", None),
        (request(raw="\ud800"), 400, "invalid-body", None),
        (request() | {"isBase64Encoded": True}, 400, "invalid-body", None),
        (request(raw='"' + "a" * 65_536 + '"'), 413, "body-too-large", None),
        (request(amount="12"), 400, "invalid-field", "amount"),
        (request(amount=-1), 400, "invalid-field", "amount"),
        (request(currency="euro"), 400, "invalid-field", "currency"),
        (request(currency="ZZZ"), 400, "invalid-field", "currency"),
        (request(card={}), 400, "invalid-field", "card.token"),
        (request(colour="red"), 400, "invalid-field", "colour"),
        (request(occurred_at="2026-01-01T10:02:01Z"), 400, "invalid-field", "occurred_at"),
        (request(occurred_at="2025-12-31T09:59:59Z"), 400, "invalid-field", "occurred_at"),
        (request(at=12), 400, "invalid-field", "Paywarden-Replay-Time"),
    ],
    ids=[
        "half a document",
        "nothing",
        "too deep",
        "no UTF-8",
        "no base64",
        "too large",
        "an amount as text",
        "a negative amount",
        "no currency",
        "a currency that nobody has",
        "no card",
        "an unknown field",
        "from the future",
        "from the past",
        "no time",
    ],
)
def test_a_problem_names_the_field_and_leaves_no_trace(
    start: Start,
    capsys: pytest.CaptureFixture[str],
    event: dict[str, Any],
    status: int,
    kind: str,
    field: str | None,
) -> None:
    told = problem(start().handler(event, Context()), status, kind)
    assert told.get("field") == field
    assert ledger() == []
    assert counted(capsys.readouterr().out) == {"Refused": [1.0]}


def test_the_largest_body_is_not_too_large(start: Start) -> None:
    event = request()
    event["body"] = event["body"].ljust(65_536)
    assert start().handler(event, Context())["statusCode"] == 200


def test_replayed_time_is_refused_where_the_environment_says_so(start: Start) -> None:
    function = start(REPLAY_TIME="false")
    problem(function.handler(request(), Context()), 400, "replay-refused")
    before = function.now()
    body = json.loads(function.handler(request(at=None), Context())["body"])
    assert before <= body["evaluated_at"] <= function.now()


def test_before_the_first_model_payments_are_decided_too(start: Start) -> None:
    body = json.loads(start(champion=None).handler(request(), Context())["body"])
    assert (body["decision"], body["degraded"], body["model"]) == ("approve", True, None)


def test_without_the_feature_table_payments_are_decided_too(
    start: Start, capsys: pytest.CaptureFixture[str], logged: io.StringIO
) -> None:
    function = start()
    boto3.client("dynamodb").delete_table(TableName="features")
    body = json.loads(function.handler(request(), Context())["body"])
    assert (body["degraded"], body["reasons"][0]["code"]) == (True, "STATE_UNAVAILABLE")
    assert counted(capsys.readouterr().out)["Degraded"] == [1.0]
    assert "done without: ResourceNotFoundException" in logged.getvalue()


def test_what_fails_within_a_batch_is_counted_though_the_batch_is_answered(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    function = start()
    boto3.client("dynamodb").delete_table(TableName="decisions")
    payment = json.loads(request()["body"])
    batch = [payment | {"transaction_id": "a"}, payment | {"transaction_id": "b"}, payment | {"amount": -1}]
    event = request(raw=json.dumps({"decisions": batch})) | {"resource": "/v1/decisions/batch"}
    answer = function.handler(event, Context())
    assert answer["statusCode"] == 200
    metrics = counted(capsys.readouterr().out)
    assert (metrics["Batched"], metrics["FailedInBatch"]) == ([3.0], [2.0])
    assert (metrics["Failed"], metrics["Refused"]) == ([1.0, 1.0], [1.0])


def test_a_new_model_serves_without_a_failed_call(start: Start) -> None:
    function = start()
    BundleStore(boto3.client("s3"), "models").add(*bundle("run-2"))
    clients.appconfigdata().deploy(Serving(policy=POLICY, champion="run-2"))
    function.models._refresher._next = 0.0  # the interval is over
    versions = []
    for number in range(200):
        answer = function.handler(request(transaction_id=f"order-{number}"), Context())
        assert answer["statusCode"] == 200
        versions.append(json.loads(answer["body"])["model"]["version"])
        if versions[-1] == "run-2":
            break
    assert versions[-1] == "run-2"
    assert versions == sorted(versions)


def test_who_pays_is_never_logged_and_never_stored(
    start: Start, logged: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    function = start()
    function.handler(request(), Context())
    function.handler(request(), Context())
    function.handler(request(amount=1), Context())
    boto3.client("dynamodb").delete_table(TableName="features")
    function.handler(request(transaction_id="order-2"), Context())
    written = f"{logged.getvalue()}{capsys.readouterr()}{ledger()}".lower()
    assert "decided" in written
    assert "refused" in written
    sent = json.loads(lambda_event("decision_request")["body"])
    personal = (sent["card"]["token"], sent["customer"]["id"], sent["customer"]["email"], sent["device"]["id"])
    more = (sent["ip"], sent["billing"]["postcode"], sent["metadata"]["basket"], TOKEN_KEY, "not-a-secret")
    for value in (*personal, *more):
        assert value.lower() not in written


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"card": {"token": CARD_NUMBER}}, "card.token"),
        ({"transaction_id": CARD_NUMBER}, "transaction_id"),
        ({"amount": int(CARD_NUMBER)}, "amount"),
        ({"customer": {"id": " ".join(re.findall("....", CARD_NUMBER))}}, "customer.id"),
        (
            {"metadata": {"note": f"paid with {'-'.join(re.findall('....', CARD_NUMBER))}, thanks"}},
            "metadata.note",
        ),
        ({"metadata": {CARD_NUMBER: "x"}}, "metadata"),
        ({CARD_NUMBER: 1}, "body"),
        ({"unknown": [{"deep": CARD_NUMBER}]}, "unknown[0].deep"),
    ],
)
def test_a_raw_card_number_is_refused_and_appears_nowhere(
    start: Start,
    logged: io.StringIO,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    field: str,
) -> None:
    answer = start().handler(request(**changes), Context())
    assert problem(answer, 400, "card-number")["field"] == field
    written = re.sub(r"[ -]", "", f"{logged.getvalue()}{capsys.readouterr()}{answer}")
    assert "card-number" in f"{logged.getvalue()}"
    assert CARD_NUMBER not in written
    assert ledger() == []


def test_the_table_of_features_is_read_and_never_written(start: Start) -> None:
    start().handler(request(), Context())
    assert boto3.client("dynamodb").scan(TableName="features")["Items"] == []
    store = DynamoFeatureStore(boto3.client("dynamodb"), "features", consistent=True)
    assert store.digests(["acme/order-1001"]) == {}
