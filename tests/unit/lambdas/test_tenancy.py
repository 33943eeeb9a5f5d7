"""Another merchant's ids cost a function the same calls to AWS as ids that nobody has, so time tells nothing."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from fraud.lists import ListDefinition, StoredLists
from runtime.stores.decisions import DECISION, DynamoDecisionStore
from runtime.stores.documents import Entry
from runtime.stores.settings import DynamoSettingsStore
from tests.trails import audit_table
from tests.unit.lambdas.conftest import SESSION, Loader
from tests.unit.lambdas.reported import PAID, PAYMENT, decided
from tests.unit.lambdas.settings_desk import asking
from tests.unit.lambdas.support import Context, lambda_event, scoring_account

KNOWN, UNKNOWN = PAYMENT.transaction_id, "order-9009"
LIST, NO_LIST = "watched", "unheard"
TOKEN = f"card_{'0' * 32}"


@pytest.fixture
def calls(aws: None) -> Iterator[list[tuple[str, int]]]:
    """The operation of every request to AWS, and how long it was."""
    del aws
    seen: list[tuple[str, int]] = []

    def note(operation_name: str, request: Any, **_: Any) -> None:
        seen.append((operation_name, len(request.data)))

    events = SESSION.get_component("event_emitter")
    events.register("request-created", note)
    yield seen
    events.unregister("request-created", note)


@pytest.fixture
def owned(aws: None) -> None:
    """What `acme` has: a payment that was decided on, and a list with a value."""
    del aws
    scoring_account()
    client = boto3.client("dynamodb")
    line = decided().get(PAYMENT.event_id, DECISION)
    assert line is not None
    DynamoDecisionStore(client, "decisions").put(line)
    settings = DynamoSettingsStore(client, "settings", audit_table(client))
    lists = (ListDefinition(name=LIST, field="card", action="block"),)
    settings.put("acme", StoredLists(version=1, lists=lists, changed_at=PAID, changed_by="key:k1"))
    entry = Entry(value=TOKEN, added_at=PAID, added_by="key:k1")
    settings.change_entries("acme", lists[0].key, "card", now=PAID, by="key:k1", add=[entry])


def reading(payment: str, _list: str) -> dict[str, Any]:
    event = lambda_event("decision_request")
    return event | {
        "httpMethod": "GET",
        "resource": "/v1/decisions/{transaction_id}",
        "pathParameters": {"transaction_id": payment},
        "body": None,
    }


def outcome(payment: str, _list: str) -> dict[str, Any]:
    event = lambda_event("decision_request")
    return event | {
        "resource": "/v1/decisions/{transaction_id}/outcome",
        "pathParameters": {"transaction_id": payment},
        "body": json.dumps({"outcome": "authorised"}),
    }


def label(payment: str, _list: str) -> dict[str, Any]:
    body = {"transaction_id": payment, "label": "chargeback"}
    return lambda_event("decision_request") | {"resource": "/v1/labels", "body": json.dumps(body)}


def showing(_payment: str, name: str) -> dict[str, Any]:
    return asking("GET", f"/v1/lists/{name}")


def removing(_payment: str, name: str) -> dict[str, Any]:
    return asking("DELETE", f"/v1/lists/{name}")


def taking_off(_payment: str, name: str) -> dict[str, Any]:
    return asking("POST", f"/v1/lists/{name}/entries", {"remove": [TOKEN]})


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        ("read_decision", reading),
        ("record_outcome", outcome),
        ("record_label", label),
        ("manage_settings", showing),
        ("manage_settings", removing),
        ("manage_settings", taking_off),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_the_same_calls_are_made(
    load: Loader, owned: None, calls: list[tuple[str, int]], function: str, asked: Any
) -> None:
    del owned
    handler = load(function).handler
    made = []
    for payment, name in ((UNKNOWN, NO_LIST), (KNOWN, LIST), (UNKNOWN, NO_LIST)):
        event = asked(payment, name)
        event["requestContext"]["authorizer"]["merchant_id"] = "shop"
        calls.clear()
        answer = handler(event, Context())
        made.append((answer["statusCode"], tuple(calls)))
    # The first of a process may renew what it holds.
    assert made[1] == made[2]
    assert made[1][0] == 404
    assert made[1][1], "it looked"
