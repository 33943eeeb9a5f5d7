"""The contract over HTTP: ids of requests, retries, batches, reading back, and what is refused without a trace."""

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from ops.deployment import Deployment
from runtime.stores.decisions import DECISION, DynamoDecisionStore
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

type Send = Callable[..., urllib3.BaseHTTPResponse]

MERCHANT = "aurora"


def payment(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": name,
        "amount": 4_200,
        "currency": "EUR",
        "card": {"token": f"tok-{name}"},
        "customer": {"id": "c-contract"},
    } | changes


@pytest.fixture(scope="module")
def send(deployment: Deployment, keys: dict[str, str]) -> Send:
    pool = urllib3.PoolManager(retries=False)

    def sent(
        method: str, path: str, body: Any = None, *, merchant: str = MERCHANT, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {keys[merchant]}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return pool.request(method, f"{deployment.api_url}{path}", body=content, headers=given)

    return sent


@pytest.fixture(scope="module")
def ledger(deployment: Deployment) -> DynamoDecisionStore:
    return DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])


def test_every_answer_carries_the_ids_of_its_request(send: Send) -> None:
    seen = set()
    for method, path, body, status in (
        ("POST", "/v1/decisions", payment("k-ids"), 200),
        ("POST", "/v1/decisions", {}, 400),
        ("GET", "/v1/decisions/k-never-sent", None, 404),
        ("DELETE", "/v1/decisions", None, 405),
        ("GET", "/v1/health", None, 200),
    ):
        reply = send(method, path, body, Paywarden_Correlation_Id="basket-7")
        assert reply.status == status, reply.data
        assert reply.headers["Paywarden-Correlation-Id"] == "basket-7"
        seen.add(reply.headers["Paywarden-Request-Id"])
        if status >= 400:
            assert reply.json()["request_id"] == reply.headers["Paywarden-Request-Id"]
    assert len(seen) == 5
    assert send("DELETE", "/v1/decisions").headers["Allow"] == "POST"


def test_answers_of_the_gateway_look_like_ours(send: Send) -> None:
    for reply, status in (
        (send("GET", "/v1/nothing"), 404),
        (send("POST", "/v1/decisions", payment("k-stranger"), Authorization="Bearer pw_000000000000_wrong"), 401),
    ):
        assert reply.status == status
        told = reply.json()
        assert (told["status"], told["request_id"]) == (status, reply.headers["Paywarden-Request-Id"])
        assert reply.headers["Content-Type"] == "application/problem+json"


def test_the_id_of_a_client_is_kept_with_the_decision(send: Send, ledger: DynamoDecisionStore) -> None:
    send("POST", "/v1/decisions", payment("k-kept"), Paywarden_Correlation_Id="basket-8")
    stored = ledger.get(f"{MERCHANT}/k-kept", DECISION)
    assert stored is not None
    assert json.loads(stored.row)["correlation_id"] == "basket-8"


def test_another_spelling_of_the_same_payment_is_the_same_payment(send: Send) -> None:
    first = send("POST", "/v1/decisions", payment("k-spelt"))
    spelt = json.dumps(dict(reversed(payment("k-spelt").items())), indent=4).encode()
    assert send("POST", "/v1/decisions", spelt).data == first.data


def test_a_refused_payment_leaves_its_id_free(send: Send, ledger: DynamoDecisionStore) -> None:
    assert send("POST", "/v1/decisions", payment("k-second-try", currency="ZZZ")).status == 400
    assert ledger.get(f"{MERCHANT}/k-second-try", DECISION) is None
    assert send("POST", "/v1/decisions", payment("k-second-try")).status == 200


def test_who_never_saw_the_answer_gets_it_by_sending_again(
    deployment: Deployment, keys: dict[str, str], send: Send, ledger: DynamoDecisionStore
) -> None:
    url = urlsplit(deployment.api_url)
    content = json.dumps(payment("k-lost")).encode()
    lines = (
        f"POST {url.path}/v1/decisions HTTP/1.1",
        f"Host: {url.netloc}",
        f"Authorization: Bearer {keys[MERCHANT]}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        "Connection: close",
    )
    head = "".join(f"{line}\r\n" for line in (*lines, ""))
    with socket.create_connection((url.hostname or "", url.port or 80)) as connection:
        connection.sendall(head.encode() + content)
        # The client goes away only once the decision is written, and reads nothing of it.
        stored = until(lambda: ledger.get(f"{MERCHANT}/k-lost", DECISION), pause=0.05, what="the decision")
    again = send("POST", "/v1/decisions", payment("k-lost"))
    assert (again.status, again.data.decode()) == (200, stored.answer)


def test_a_decision_is_told_again_with_what_was_reported(send: Send) -> None:
    first = send("POST", "/v1/decisions", payment("k:told"))
    outcome = send("POST", "/v1/decisions/k:told/outcome", {"outcome": "authorised"})
    label = send("POST", "/v1/labels", {"transaction_id": "k:told", "label": "chargeback"})
    told = send("GET", "/v1/decisions/k%3Atold")
    assert told.status == 200
    assert b'"decision":' + first.data in told.data
    assert told.json()["outcomes"] == [outcome.json()]
    assert told.json()["labels"] == [label.json()]
    assert isinstance(told.json()["reasons"], list)
    assert send("GET", "/v1/decisions/k:told", merchant="meridian").status == 404


def test_a_batch_answers_each_payment_as_if_it_had_come_alone(send: Send) -> None:
    alone = send("POST", "/v1/decisions", payment("k-batch-1"))
    reply = send(
        "POST",
        "/v1/decisions/batch",
        {
            "decisions": [
                payment("k-batch-1"),
                payment("k-batch-2", amount=-1),
                payment("k-batch-2"),
                payment("k-batch-2", amount=1),
                "none",
            ]
        },
    )
    assert reply.status == 200
    results = reply.json()["results"]
    assert [each["status"] for each in results] == [200, 400, 200, 409, 400]
    assert b'"decision":' + alone.data in reply.data
    assert results[1]["problem"]["field"] == "amount"
    assert results[3]["problem"]["type"] == "/problems/id-reused"


HOSTILE: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "oversized": (b'"' + b"a" * 65_536 + b'"', {}, 413, "body-too-large"),
    "deep": (b"[" * 30_000 + b"]" * 30_000, {}, 400, "invalid-body"),
    "not UTF-8": (b'{"transaction_id": "\xc3\x28"}', {}, 400, "invalid-body"),
    "UTF-16": (json.dumps(payment("k-hostile")).encode("utf-16"), {}, 400, "invalid-body"),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(payment("k-hostile")).encode(), {}, 400, "invalid-body"),
    "NaN": (json.dumps(payment("k-hostile", amount=float("nan"))).encode(), {}, 400, "invalid-body"),
    "Infinity": (json.dumps(payment("k-hostile", amount=float("inf"))).encode(), {}, 400, "invalid-body"),
    "twice": (json.dumps(payment("k-hostile")).encode()[:-1] + b', "amount": 1}', {}, 400, "invalid-body"),
    "a fraction": (json.dumps(payment("k-hostile", amount=1.5)).encode(), {}, 400, "invalid-field"),
    "negative": (json.dumps(payment("k-hostile", amount=-1)).encode(), {}, 400, "invalid-field"),
    "too much": (json.dumps(payment("k-hostile", amount=10**30)).encode(), {}, 400, "invalid-field"),
    "no currency": (json.dumps(payment("k-hostile", currency="ZZZ")).encode(), {}, 400, "invalid-field"),
    "no address": (json.dumps(payment("k-hostile", ip="999.1.1.1")).encode(), {}, 400, "invalid-field"),
    "a clock ahead": (
        json.dumps(payment("k-hostile", occurred_at="2100-01-01T00:00:00Z")).encode(), {}, 400, "invalid-field"
    ),
    "a clock behind": (
        json.dumps(payment("k-hostile", occurred_at="2020-01-01T00:00:00Z")).encode(), {}, 400, "invalid-field"
    ),
    "a card number": (json.dumps(payment("k-hostile", note=["42 " * 8])).encode(), {}, 400, "card-number"),
    "gzip": (
        json.dumps(payment("k-hostile")).encode(), {"Content_Encoding": "gzip"}, 415, "unsupported-media-type"
    ),
    "a form": (
        json.dumps(payment("k-hostile")).encode(),
        {"Content_Type": "application/x-www-form-urlencoded"},
        415,
        "unsupported-media-type",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_refused_has_the_problem_that_is_documented_and_leaves_no_trace(
    send: Send, ledger: DynamoDecisionStore, name: str
) -> None:
    body, headers, status, kind = HOSTILE[name]
    reply = send("POST", "/v1/decisions", body, **headers)
    assert (reply.status, reply.json()["type"]) == (status, f"/problems/{kind}")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert ledger.all(f"{MERCHANT}/k-hostile") == []


def test_an_entry_of_a_list_is_added_and_taken_off(send: Send) -> None:
    path = "/v1/lists/contract-cards"
    assert send("PUT", path, {"field": "card", "action": "none"}).status == 200
    try:
        for body, kept in (({"add": [{"value": "tok-listed"}]}, 1), ({"remove": ["tok-listed"]}, 0)):
            assert send("POST", f"{path}/entries", body).status == 200
            assert len(json.loads(send("GET", path).data)["entries"]) == kept
    finally:
        assert send("DELETE", path).status in {200, 204}
