"""As one merchant, with another's ids, through every call of the contract: nothing is found, nothing changed.

Two merchants that have nothing make the same calls, one with the ids of a third, the other with ids that nobody
has. Whatever they are answered must be the same, to the byte but for the ids themselves.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import urllib3

from ops.deployment import Deployment
from ops.merchants import add
from runtime.stores.decisions import DynamoDecisionStore

from .conftest import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

OWNER, INTRUDER, CONTROL = "tenant-a", "tenant-b", "tenant-c"
OPERATIONS: Final = {
    operation["operationId"]: (method.upper(), path)
    for path, item in json.loads((ROOT / "docs/api/openapi.json").read_text())["paths"].items()
    for method, operation in item.items()
    if method in ("get", "put", "post", "delete", "patch")
}
PASSING: Final = {
    *("date", "server-timing", "content-length"),
    *("paywarden-request-id", "paywarden-correlation-id", "x-amz-request-id", "x-amzn-requestid"),
}
"""Headers that differ from call to call, whoever makes it."""


@dataclass(frozen=True)
class Ids:
    """What a merchant could know of another one, all of one length with its counterpart."""

    payment: str
    later: str
    list_name: str
    value: str
    rule: str
    version: int


REAL = Ids("order-of-a-1", "order-of-a-2", "watched-by-a", "", "rule-of-a", 2)
UNKNOWN = Ids("order-of-x-1", "order-of-x-2", "watched-by-x", f"card_{'0' * 32}", "rule-of-x", 7)


@dataclass(frozen=True)
class Call:
    """One attempt; what is in braces in the operation's path comes from `path`."""

    body: Any = None
    path: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def payment(name: str, card: str) -> dict[str, Any]:
    return {
        "transaction_id": name,
        "amount": 4_200,
        "currency": "EUR",
        "card": {"token": card},
        "customer": {"id": f"c-{card}"},
    }


def asks_for(ids: Ids, action: str = "review") -> dict[str, Any]:
    rule = {"id": ids.rule, "when": f'"{ids.list_name}" in lists', "action": action}
    return {"mode": "first_match", "rules": [rule]}


def calls(ids: Ids, card: str) -> dict[str, list[Call]]:
    """By operation, in an order in which looking comes before changing."""
    of_payment, of_list = {"transaction_id": ids.payment}, {"name": ids.list_name}
    at_version, if_match = f"?version={ids.version}", {"If-Match": f'"{ids.version}"'}
    thresholds = {"thresholds": {"challenge": 0.2, "review": 0.5, "decline": 0.8}}
    definition = {"field": "card", "action": "block"}
    return {
        "health": [Call()],
        "read_decision": [Call(path=of_payment)],
        "record_outcome": [Call({"outcome": "authorised"}, of_payment)],
        "record_label": [Call({**of_payment, "label": "chargeback"})],
        "read_rules": [Call(), Call(query=at_version)],
        "list_rule_versions": [Call(), Call(query=f"?before={ids.version + 1}")],
        "read_policy": [Call(), Call(query=at_version)],
        "list_policy_versions": [Call(), Call(query=f"?before={ids.version + 1}")],
        "list_lists": [Call()],
        "read_list": [Call(path=of_list), Call(path=of_list, query=f"?cursor={ids.value}")],
        "backtest_rules": [
            Call({"rules": asks_for(ids)}),
            Call({"rules": {"rules": []}}),
        ],
        "change_entries": [
            Call({"remove": [ids.value]}, of_list),
            Call({"add": [{"value": ids.value}]}, of_list),
        ],
        "remove_list": [Call(path=of_list), Call(path=of_list, headers=if_match)],
        "change_rules": [Call(asks_for(ids)), Call({"rules": []}, headers=if_match)],
        "give_up_policy": [Call(), Call(headers=if_match)],
        "change_policy": [Call(thresholds, headers=if_match), Call(thresholds)],
        # A name is anybody's to use: it becomes a list of the caller's own.
        "change_list": [Call(definition, of_list, headers=if_match), Call(definition, of_list)],
        # So is an id of a payment, and what is decided on it is the caller's own, and no repeat.
        "decide": [Call(payment(ids.payment, f"tok-{card}-1"))],
        "decide_batch": [Call({"decisions": [payment(ids.later, f"tok-{card}-2"), {**of_payment}]})],
    }


class Tenants:
    """Three merchants of a deployment, with keys of their own."""

    def __init__(self, deployment: Deployment) -> None:
        now = time.time_ns() // 1_000_000
        self.keys = {each: add(deployment, each, at=now) for each in (OWNER, INTRUDER, CONTROL)}
        self.ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
        self._url = deployment.api_url
        self._pool = urllib3.PoolManager(retries=False, timeout=30)

    def send(self, merchant: str, operation: str, call: Call) -> urllib3.BaseHTTPResponse:
        method, path = OPERATIONS[operation]
        content = None if call.body is None else json.dumps(call.body).encode()
        headers = {"Authorization": f"Bearer {self.keys[merchant].secret}", **call.headers}
        if content is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self._url}{path.format_map(call.path)}{call.query}"
        return self._pool.request(method, url, body=content, headers=headers)

    def shape(self, merchant: str, operation: str, call: Call, ids: Ids) -> tuple[int, dict[str, str], str]:
        """What is answered, without the ids that were asked for, the caller's own key, and the moment."""
        reply = self.send(merchant, operation, call)
        headers = {name.lower(): value for name, value in reply.headers.items()}
        own = {headers["paywarden-request-id"]: "REQUEST", self.keys[merchant].key_id: "KEY"}
        asked = {text: f"<{name}>" for name in Ids.__dataclass_fields__ if (text := str(getattr(ids, name)))}
        del asked[str(ids.version)]
        body = reply.data.decode()
        for text, name in {**own, **asked}.items():
            body = body.replace(text, name)
        body = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+\+00:00|(?<=_at\":)\d{13}|(?<=since\":)\d{13}", "TIME", body)
        kept = {name: value for name, value in headers.items() if name not in PASSING}
        return reply.status, kept, body

    def owned(self) -> list[bytes]:
        """All that the owner has."""
        of_list, of_payment = Call(path={"name": REAL.list_name}), Call(path={"transaction_id": REAL.payment})
        looks = (
            *((each, Call()) for each in ("read_rules", "list_rule_versions", "read_policy", "list_lists")),
            *(("list_policy_versions", Call()), ("read_list", of_list), ("read_decision", of_payment)),
        )
        replies = [self.send(OWNER, *look) for look in looks]
        assert {each.status for each in replies} == {200}
        return [each.data for each in replies]

    def close(self) -> None:
        self._pool.clear()


@pytest.fixture(scope="module")
def tenants(deployment: Deployment) -> Iterator[Tenants]:
    """The owner has rules and policy in two versions, a list with a value, a payment with outcome and label."""
    made = Tenants(deployment)
    of_list, of_payment = {"name": REAL.list_name}, {"transaction_id": REAL.payment}
    thresholds = {"challenge": 0.3, "review": 0.6, "decline": 0.9}
    for operation, call in (
        ("change_list", Call({"field": "card", "action": "review"}, of_list)),
        ("change_entries", Call({"add": [{"value": "tok-of-a"}]}, of_list)),
        ("change_rules", Call(asks_for(REAL))),
        ("change_rules", Call(asks_for(REAL, "decline"))),
        ("change_policy", Call({"thresholds": thresholds})),
        ("change_policy", Call({"thresholds": {**thresholds, "decline": 0.95}})),
        ("decide", Call(payment(REAL.payment, "tok-of-a"))),
        ("decide", Call(payment(REAL.later, "tok-of-a"))),
        ("record_outcome", Call({"outcome": "authorised"}, of_payment)),
        ("record_label", Call({**of_payment, "label": "chargeback"})),
    ):
        reply = made.send(OWNER, operation, call)
        assert reply.status in (200, 202), reply.data
    yield made
    made.close()


@pytest.fixture(scope="module")
def owned(tenants: Tenants) -> list[bytes]:
    """All that the owner has, before anybody tries."""
    return tenants.owned()


@pytest.fixture(scope="module")
def known(tenants: Tenants) -> Ids:
    """The owner's ids, with the token that its list shows."""
    [entry] = tenants.send(OWNER, "read_list", Call(path={"name": REAL.list_name})).json()["entries"]
    return Ids(**{**REAL.__dict__, "value": entry["value"]})


def test_every_call_of_the_contract_is_tried() -> None:
    assert calls(REAL, "b").keys() == OPERATIONS.keys()


@pytest.mark.parametrize("operation", calls(REAL, "b"))
def test_anothers_ids_are_answered_like_ids_that_nobody_has(
    tenants: Tenants, known: Ids, owned: list[bytes], operation: str
) -> None:
    tried, plain = calls(known, "b")[operation], calls(UNKNOWN, "c")[operation]
    for call, counterpart in zip(tried, plain, strict=True):
        found = tenants.shape(INTRUDER, operation, call, known)
        assert found == tenants.shape(CONTROL, operation, counterpart, UNKNOWN)
        assert found[0] < 500, found
        assert OWNER not in found[2]
    assert tenants.owned() == owned


def test_one_id_is_two_payments_of_two_merchants(tenants: Tenants) -> None:
    call = Call(payment(REAL.later, "tok-of-b"))
    assert tenants.send(INTRUDER, "decide", call).status in (200, 409)
    lines = [tenants.ledger.get(f"{each}/{REAL.later}", "decision") for each in (OWNER, INTRUDER)]
    rows = [line.row for line in lines if line is not None]
    assert [row["merchant_id"] for row in map(json.loads, rows)] == [OWNER, INTRUDER]
