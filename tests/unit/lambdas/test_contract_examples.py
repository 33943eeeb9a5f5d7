"""The examples of the API's document, sent to the functions that serve them, against AWS in memory."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from fraud.features import STANDARD
from fraud.serving import Serving
from ops.contract.examples import EXAMPLES
from ops.contract.operations import OPERATIONS
from runtime import clients
from runtime.contract.settings import checked
from tests.trails import audit_table
from tests.unit.lambdas.support import (
    POLICY,
    AppConfigData,
    Context,
    lambda_event,
    scoring_account,
)

FUNCTIONS = {
    "decide": "score_transaction",
    "decide_batch": "score_transaction",
    "health": "score_transaction",
    "read_decision": "read_decision",
    "record_outcome": "record_outcome",
    "record_label": "record_label",
}
# In this order, since one may need what another made: a payment before its label, a list before its entries.
ORDER = (
    *("decide", "decide_batch", "record_outcome", "record_label", "read_decision", "health"),
    *("change_rules", "read_rules", "list_rule_versions"),
    *("change_policy", "read_policy", "list_policy_versions", "give_up_policy"),
    *("change_list", "change_entries", "read_list", "list_lists", "remove_list"),
)
NEEDS_A_LAKE = "backtest_rules"


@pytest.fixture
def call(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    scoring_account("run-1")
    audit_table(clients.dynamodb())
    config = AppConfigData(Serving(policy=POLICY, champion="run-1"))
    monkeypatch.setattr(clients, "appconfigdata", lambda: config)
    functions: dict[str, ModuleType] = {}

    def made(identifier: str, **headers: str) -> dict[str, Any]:
        operation = next(each for each in OPERATIONS if each.id == identifier)
        example = EXAMPLES[identifier]
        name = FUNCTIONS.get(identifier, "manage_settings")
        if name not in functions:
            functions[name] = load(name)
        event = lambda_event("decision_request") | {
            "httpMethod": operation.method,
            "resource": operation.path,
            "pathParameters": dict(example.path) or None,
            "body": None if example.body is None else json.dumps(example.body),
        }
        event["headers"] |= headers
        answer: dict[str, Any] = functions[name].handler(event, Context())
        return answer

    return made


def test_every_example_is_answered_as_the_document_says(call: Callable[..., dict[str, Any]]) -> None:
    assert {*ORDER, NEEDS_A_LAKE} == set(EXAMPLES)
    for identifier in ORDER:
        operation = next(each for each in OPERATIONS if each.id == identifier)
        answer = call(identifier, **{"Paywarden-Correlation-Id": "order-7"})
        assert answer["statusCode"] == operation.status, (identifier, answer["body"])
        assert answer["headers"]["Content-Type"] == "application/json"
        assert answer["headers"]["Paywarden-Correlation-Id"] == "order-7"
        assert answer["headers"]["Paywarden-Request-Id"]
        assert ("ETag" in answer["headers"]) is operation.versioned, identifier
        told = msgspec.json.decode(answer["body"])
        msgspec.convert(told, operation.answer)
        assert set(told) == set(EXAMPLES[identifier].answer), identifier


def test_the_batch_of_the_example_has_a_decision_and_the_problem_that_is_shown(
    call: Callable[..., dict[str, Any]],
) -> None:
    shown = EXAMPLES["decide_batch"].answer["results"]
    told = json.loads(call("decide_batch")["body"])["results"]
    assert [each["status"] for each in told] == [each["status"] for each in shown]
    for mine, theirs in zip(told, shown, strict=True):
        assert set(mine) == set(theirs)
    assert {**told[1]["problem"], "request_id": ""} == {**shown[1]["problem"], "request_id": ""}


def test_the_rule_of_the_examples_is_explained_as_shown(call: Callable[..., dict[str, Any]]) -> None:
    [told] = json.loads(call("change_rules")["body"])["rules"]
    assert told == EXAMPLES["read_rules"].answer["rules"][0]


def test_the_draft_of_the_backtest_is_one_that_is_taken() -> None:
    operation = next(each for each in OPERATIONS if each.id == NEEDS_A_LAKE)
    assert operation.request is not None
    draft: Any = msgspec.convert(EXAMPLES[NEEDS_A_LAKE].body, operation.request)
    assert checked(draft.rules, STANDARD, ())
