"""How often a decision goes over the network: one read and one write, whatever the merchant has set."""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from fraud.features import STANDARD
from fraud.lists import ListDefinition, StoredLists
from fraud.rules.check import check_rules
from fraud.rules.documents import Rule, StoredRules
from fraud.serving import Serving
from runtime import clients
from runtime.stores.documents import Entry, StoredPolicy
from runtime.stores.settings import DynamoSettingsStore
from tests.trails import audit_table
from tests.unit.lambdas.conftest import SESSION, Loader
from tests.unit.lambdas.deciding import NOW, STRICT
from tests.unit.lambdas.support import (
    POLICY,
    AppConfigData,
    Context,
    lambda_event,
    scoring_account,
)

READ_AND_WRITE = ["BatchGetItem", "PutItem"]


@pytest.fixture
def requested(aws: None) -> Iterator[list[str]]:
    """The operation of every request, each attempt at it once."""
    del aws
    seen: list[str] = []

    def note(operation_name: str, **_: Any) -> None:
        seen.append(operation_name)

    events = SESSION.get_component("event_emitter")
    events.register("request-created", note)
    yield seen
    events.unregister("request-created", note)


@pytest.fixture
def function(load: Loader, requested: list[str], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The handler, started, with a champion."""
    scoring_account("run-1")
    config = AppConfigData(Serving(policy=POLICY, champion="run-1"))
    monkeypatch.setattr(clients, "appconfigdata", lambda: config)
    module = load("score_transaction")
    requested.clear()
    return module


def decide(function: ModuleType, number: int = 0, merchant: str = "acme") -> dict[str, Any]:
    event = lambda_event("decision_request")
    event["headers"]["Paywarden-Replay-Time"] = str(NOW)
    event["requestContext"]["authorizer"]["merchant_id"] = merchant
    event["body"] = json.dumps({**json.loads(event["body"]), "transaction_id": f"order-{number}"})
    answer = function.handler(event, Context())
    assert answer["statusCode"] == 200
    decision: dict[str, Any] = json.loads(answer["body"])
    return decision


def test_every_decision_makes_two_calls_the_first_of_a_merchant_too(
    function: ModuleType, requested: list[str]
) -> None:
    for number, merchant in enumerate(("acme", "acme", "other")):
        requested.clear()
        assert not decide(function, number, merchant)["degraded"]
        assert requested == READ_AND_WRITE


def test_rules_lists_and_a_policy_cost_no_further_call(function: ModuleType, requested: list[str]) -> None:
    store = DynamoSettingsStore(clients.dynamodb(), "settings", audit_table(clients.dynamodb()))
    rules = [Rule(id="always", when="amount >= 0", action="review", stage="after")]
    stored = {"version": 1, "changed_at": NOW, "changed_by": "key:k1"}
    store.put("acme", StoredRules(mode="first_match", rules=check_rules(rules, STANDARD), **stored))
    store.put("acme", StoredLists(lists=(ListDefinition(name="far", field="bin", action="block"),), **stored))
    store.put("acme", StoredPolicy(policy=STRICT, **stored))
    store.change_entries(
        "acme", "far", "bin", now=NOW, by="key:k1", add=[Entry(value="411111", added_at=NOW, added_by="key:k1")]
    )
    for number in range(2):
        requested.clear()
        decision = decide(function, number)
        assert (decision["lists"], decision["rules"], decision["policy"]) == (["far"], ["always"], "strict")
        assert requested == READ_AND_WRITE


def test_a_repeat_makes_no_more_calls_than_the_first(function: ModuleType, requested: list[str]) -> None:
    first = decide(function)
    requested.clear()
    assert decide(function) == first
    assert requested == READ_AND_WRITE
