"""A decision told again: as it was answered, why, and what was reported of it since."""

import dataclasses
import json
from types import ModuleType
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from fraud.bundle import CorruptBundleError
from fraud.decision import Decision, GivenReason, Model, decision_row, explain
from fraud.features import STANDARD
from runtime.booster import Booster
from runtime.bundles import BundleStore, ServedModel
from runtime.contract.answers import StoredDecision
from runtime.http import Problem, Request
from runtime.stores.decisions import DECISION, MemoryDecisionStore, Record
from tests.unit.lambdas.reported import PAID, PAYMENT
from tests.unit.lambdas.support import Context, bundle, lambda_event

MISSING = float("nan")
VECTOR = tuple(MISSING if number % 7 == 3 else 40.0 * (number % 11) for number in range(len(STANDARD.names)))
REASON = GivenReason(code="AMOUNT", text="The amount", customer_text="The amount", direction="raises")


class Bundles(BundleStore):
    """Bundles in memory that count how often they are read."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.read: list[str] = []

    def load(self, version: str, names: Any) -> ServedModel:
        self.read.append(version)
        if self.failure is not None:
            raise self.failure
        manifest, model = bundle(version)
        return ServedModel(manifest, Booster(model, len(names)))


@pytest.fixture
def function(load: Any) -> ModuleType:
    module: ModuleType = load("read_decision")
    return module


def ledger(*reasons: GivenReason, scored: bool = True, version: str = "run-1") -> MemoryDecisionStore:
    store = MemoryDecisionStore()
    decision = Decision(
        transaction_id=PAYMENT.transaction_id,
        decision="approve",
        score=0.1 if scored else None,
        reasons=reasons,
        signals={"card_count_10m": 1.0},
        model=Model(name="paywarden", version=version) if scored else None,
        policy="1",
        degraded=not scored,
        evaluated_at=PAID,
    )
    row = decision_row(PAYMENT, decision, features=STANDARD, vector=VECTOR, raw_score=0.2, recorded_at=PAID + 1)
    # Spaced as no encoder of today does it: what was answered comes back byte for byte all the same.
    answer = json.dumps(msgspec.to_builtins(decision), indent=1)
    store.put(Record(PAYMENT.event_id, DECISION, "0" * 64, answer, msgspec.json.encode(row).decode()))
    return store


def read(
    function: ModuleType,
    store: MemoryDecisionStore,
    bundles: Bundles,
    *,
    merchant: str = "acme",
    name: str = PAYMENT.transaction_id,
    failed: list[Exception] | None = None,
) -> str:
    explainer = function.Explainer(STANDARD, bundles, failed=(failed if failed is not None else []).append)
    request = Request(merchant_id=merchant, request_id="r", body=b"", headers={}, path={"transaction_id": name})
    told: str = function.read(request, ledger=store, explainer=explainer)
    return told


def test_an_approval_gets_the_reasons_that_its_model_had_for_it(function: ModuleType) -> None:
    store = ledger()
    told = read(function, store, Bundles())
    assert f'"decision":{store.records[PAYMENT.event_id, DECISION].answer},' in told
    stored = msgspec.json.decode(told, type=StoredDecision)
    manifest, model = bundle("run-1")
    served = ServedModel(manifest, Booster(model, len(VECTOR)))
    expected = explain(STANDARD, served.contributions(list(VECTOR)))
    assert expected
    assert stored.reasons == list(expected)
    assert (stored.labels, stored.outcomes) == ([], [])


def test_reasons_that_were_given_are_told_again_and_no_model_is_read(function: ModuleType) -> None:
    bundles = Bundles()
    stored = msgspec.json.decode(read(function, ledger(REASON), bundles), type=StoredDecision)
    assert stored.reasons == [REASON]
    assert bundles.read == []


def test_an_answer_of_before_customers_had_sentences_is_told_as_it_was(function: ModuleType) -> None:
    store = ledger(REASON)
    record = store.records[PAYMENT.event_id, DECISION]
    answer = json.loads(record.answer)
    del answer["reasons"][0]["customer_text"], answer["rules"], answer["lists"]
    store.records[PAYMENT.event_id, DECISION] = dataclasses.replace(record, answer=json.dumps(answer))
    told = json.loads(read(function, store, Bundles()))
    assert told["decision"] == answer
    assert told["reasons"] == answer["reasons"]


def test_what_no_model_scored_has_no_reasons_of_a_model(function: ModuleType) -> None:
    bundles = Bundles()
    assert json.loads(read(function, ledger(scored=False), bundles))["reasons"] == []
    assert bundles.read == []


def test_labels_come_in_order_and_outcomes_stand_under_names_of_their_own(function: ModuleType) -> None:
    store = ledger(REASON)
    lines = {
        "label#0001": {
            "transaction_id": "order-1001", "label": "chargeback", "known_at": "2026-02-03T00:00:00+00:00",
            "source": "issuer", "confidence": 0.5,
        },
        "label#0002": {
            "transaction_id": "order-1001", "label": "confirmed_genuine", "known_at": "2026-02-02T00:00:01+00:00",
            "source": "analyst", "confidence": 1.0,
        },
        "label#fraud": {
            "transaction_id": "order-1001", "label": "chargeback", "known_at": "2026-02-02T00:00:00+00:00",
        },
        "outcome#authorised": {
            "transaction_id": "order-1001", "outcome": "authorised", "received_at": "2026-01-01T10:00:01+00:00"
        },
        "outcome#refunded": {
            "transaction_id": "order-1001", "outcome": "refunded", "received_at": "2026-01-03T10:00:01+00:00"
        },
    }  # fmt: skip
    for kind, answer in lines.items():
        store.put(Record(PAYMENT.event_id, kind, "0" * 64, json.dumps(answer), "{}"))
    told = json.loads(read(function, store, Bundles()))
    # As they became known; a line from before labels had a source is the merchant's own.
    of_old = lines["label#fraud"] | {"source": "merchant", "confidence": 1.0}
    assert told["labels"] == [of_old, lines["label#0002"], lines["label#0001"]]
    assert told["outcomes"] == [lines["outcome#authorised"], lines["outcome#refunded"]]
    assert msgspec.convert(told, StoredDecision).labels[0].label == "chargeback"


@pytest.mark.parametrize(
    ("merchant", "name"),
    [("other", "order-1001"), ("acme", "order-100"), ("acme", "order-1002"), ("acm", "order-1001")],
)
def test_another_merchants_payment_and_an_unknown_one_are_the_same(
    function: ModuleType, merchant: str, name: str
) -> None:
    with pytest.raises(Problem) as refused:
        read(function, ledger(), Bundles(), merchant=merchant, name=name)
    assert (refused.value.status, refused.value.body["field"]) == (404, "transaction_id")


def test_a_model_is_read_once_and_few_are_kept(function: ModuleType) -> None:
    bundles = Bundles()
    explainer = function.Explainer(STANDARD, bundles, failed=pytest.fail)
    for version in ("a", "a", "b", "c", "a", "d", "a", "b"):
        assert explainer.reasons(version, {})
    assert bundles.read == ["a", "b", "c", "d", "b"]


def test_a_model_that_is_not_kept_any_more_leaves_the_rest(function: ModuleType) -> None:
    failed: list[Exception] = []
    failure = CorruptBundleError("bundle run-1: there is no manifest.json")
    told = json.loads(read(function, ledger(), Bundles(failure), failed=failed))
    assert told["reasons"] is None
    assert failed == [failure]


@pytest.mark.parametrize(
    "failure",
    [
        EndpointConnectionError(endpoint_url="https://s3"),
        ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "GetObject"),
    ],
)
def test_a_model_that_cannot_be_read_now_is_not_taken_for_one_that_is_gone(
    function: ModuleType, failure: Exception
) -> None:
    # `runtime.http.answered` makes a 503 of it.
    with pytest.raises(type(failure)):
        read(function, ledger(), Bundles(failure))


def test_the_function_answers_api_gateway(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "ledger", ledger(REASON))
    event = lambda_event("outcome_request") | {
        "httpMethod": "GET",
        "resource": "/v1/decisions/{transaction_id}",
        "body": None,
    }
    answer = function.handler(event, Context())
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["decision"]["transaction_id"] == "order-1001"
    refused = function.handler(event | {"httpMethod": "DELETE"}, Context())
    assert (refused["statusCode"], refused["headers"]["Allow"]) == (405, "GET")
