"""What must not get in, over HTTP: each is refused as documented, and nothing of it is kept."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import urllib3

from ops.client import Api
from ops.deployment import Deployment
from runtime.contract.answers import ProblemDocument
from tests.planted import CARD_NUMBER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DECISIONS = "/v1/decisions"
SPACED = " ".join(CARD_NUMBER[at : at + 4] for at in range(0, 16, 4))


def body(**changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": "t-hostile",
        "amount": 4_200,
        "currency": "EUR",
        "card": {"token": "tok-hostile"},
        "customer": {"id": "customer-hostile"},
        **changes,
    }


def raw(**changes: str) -> bytes:
    """A body with some values written as they stand, JSON or not."""
    text = msgspec.json.encode(body(**dict.fromkeys(changes, 0))).decode()
    for name, value in changes.items():
        text = text.replace(f'"{name}":0', f'"{name}":{value}')
    return text.encode()


def from_now(span: timedelta) -> str:
    return (datetime.now(UTC) + span).isoformat()


class Raw:
    """A client that sends any bytes and headers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(retries=False, timeout=30)

    def refused(
        self, key: str | None, content: bytes | None, *, path: str = DECISIONS, **headers: str
    ) -> ProblemDocument:
        """Send; the problem that is answered, which the headers must agree with."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            named["Authorization"] = f"Bearer {key}"
        if content is not None:
            named["Content-Type"] = "application/json"
        method = "GET" if content is None else "POST"
        answer = self._pool.request(method, f"{self._url}{path}", body=content, headers=named)
        problem = msgspec.json.decode(answer.data, type=ProblemDocument)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (problem.status, problem.request_id) == (answer.status, answer.headers["Paywarden-Request-Id"])
        assert problem.request_id
        assert CARD_NUMBER not in answer.data.decode()
        return problem

    def close(self) -> None:
        self._pool.clear()


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[Raw]:
    client = Raw(deployment.api_url)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def nothing_is_kept(deployment: Deployment, request: pytest.FixtureRequest) -> Iterator[None]:
    """The ledger after a test is the ledger before it, to the byte."""
    request.getfixturevalue("known")  # of which there is a line
    before = ledger(deployment)
    yield
    assert ledger(deployment) == before


def ledger(deployment: Deployment) -> dict[tuple[str, str], Any]:
    pages = deployment.client("dynamodb").get_paginator("scan").paginate(
        TableName=deployment["DecisionsTable"], ConsistentRead=True
    )  # fmt: skip
    return {(item["id"]["S"], item["kind"]["S"]): item for page in pages for item in page["Items"]}


@pytest.fixture(scope="module")
def known(api: Api) -> str:
    """A payment of the merchant aurora."""
    assert api.post("aurora", DECISIONS, body(transaction_id="t-of-aurora")).status == 200
    return "t-of-aurora"


BODIES = {
    "no JSON": (b"{", "invalid-body", None),
    "not UTF-8": (b'{"transaction_id": "\xff\xfe"}', "invalid-body", None),
    "a NaN": (raw(amount="NaN"), "invalid-body", None),
    "infinite": (raw(amount="Infinity"), "invalid-body", None),
    "below infinity": (raw(amount="-Infinity"), "invalid-body", None),
    "beyond every float": (raw(amount="1e400"), "invalid-body", None),
    "half a cent": (raw(amount="0.5"), "invalid-field", "amount"),
    "negative": (raw(amount="-1"), "invalid-field", "amount"),
    "too much": (raw(amount=str(10**12 + 1)), "invalid-field", "amount"),
    "no integer of a machine": (raw(amount="9" * 40), "invalid-field", "amount"),
    "deep": (raw(metadata="[" * 5_000 + "]" * 5_000), "invalid-field", "metadata"),
    "too deep": (raw(metadata="[" * 32_000 + "]" * 32_000), "invalid-body", None),
    "twice the same name": (raw(amount='1,"amount":2'), "invalid-body", None),
    "an unknown currency": (raw(currency='"ZZZ"'), "invalid-field", "currency"),
    "a currency that ended": (raw(currency='"DEM"'), "invalid-field", "currency"),
    "no object": (b"[]", "invalid-field", None),
    "nothing": (b"", "invalid-body", None),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_none_is_refused(client: Raw, keys: dict[str, str], name: str) -> None:
    content, kind, field = BODIES[name]
    problem = client.refused(keys["aurora"], content)
    assert (problem.status, problem.type, problem.field or None) == (400, f"/problems/{kind}", field)


@pytest.mark.parametrize("span", [timedelta(minutes=10), timedelta(hours=-25)], ids=["ahead", "behind"])
def test_a_clock_that_is_off_is_told(client: Raw, keys: dict[str, str], span: timedelta) -> None:
    problem = client.refused(keys["aurora"], msgspec.json.encode(body(occurred_at=from_now(span))))
    assert (problem.status, problem.type, problem.field) == (400, "/problems/invalid-field", "occurred_at")


def test_a_body_that_is_too_large_is_refused(client: Raw, keys: dict[str, str]) -> None:
    problem = client.refused(keys["aurora"], msgspec.json.encode(body(metadata={"note": "x" * 70_000})))
    assert (problem.status, problem.type) == (413, "/problems/body-too-large")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"transaction_id": CARD_NUMBER}, "transaction_id"),
        ({"amount": int(CARD_NUMBER)}, "amount"),
        ({"card": {"token": CARD_NUMBER}}, "card.token"),
        ({"customer": {"id": {"deep": [{"er": CARD_NUMBER}]}}}, "customer.id.deep[0].er"),
        ({"metadata": {"note": f"card {SPACED}, thanks"}}, "metadata.note"),
        ({"metadata": {"note": SPACED.replace(" ", "-")}}, "metadata.note"),
        ({"unknown": CARD_NUMBER}, "unknown"),
    ],
    ids=["id", "amount", "token", "nested", "spaced", "dashed", "unknown field"],
)
def test_a_card_number_is_refused_wherever_it_hides(
    client: Raw, keys: dict[str, str], changes: dict[str, Any], field: str
) -> None:
    problem = client.refused(keys["aurora"], msgspec.json.encode(body(**changes)))
    assert (problem.status, problem.type, problem.field) == (400, "/problems/card-number", field)


def test_a_card_number_is_refused_in_a_name_a_path_and_a_header(
    client: Raw, keys: dict[str, str], known: str
) -> None:
    as_name = client.refused(keys["aurora"], msgspec.json.encode(body(metadata={CARD_NUMBER: "x"})))
    in_path = client.refused(keys["aurora"], None, path=f"{DECISIONS}/{CARD_NUMBER}")
    outcome = client.refused(keys["aurora"], b'{"outcome":"declined"}', path=f"{DECISIONS}/{CARD_NUMBER}/outcome")
    label = client.refused(
        keys["aurora"],
        msgspec.json.encode({"transaction_id": CARD_NUMBER, "label": "chargeback"}),
        path="/v1/labels",
    )
    assert {each.type for each in (as_name, in_path, outcome, label)} == {"/problems/card-number"}
    assert {each.field for each in (in_path, outcome, label)} == {"transaction_id"}
    for path, content in ((f"{DECISIONS}/{known}", None), (DECISIONS, msgspec.json.encode(body()))):
        header = client.refused(keys["aurora"], content, path=path, Paywarden_Correlation_Id=CARD_NUMBER)
        assert (header.status, header.type) == (400, "/problems/invalid-field")
        assert header.field == "Paywarden-Correlation-Id"


def test_a_bad_payment_in_a_batch_is_refused_by_itself(api: Api) -> None:
    bad = [body(amount=-1), body(metadata={"note": SPACED}), body(currency="ZZZ")]
    reply = api.post("aurora", "/v1/decisions/batch", {"decisions": bad})
    assert reply.status == 200
    problems = [result["problem"] for result in reply.json()["results"]]
    assert [problem["field"] for problem in problems] == ["amount", "metadata.note", "currency"]
    assert {problem["status"] for problem in problems} == {400}


@pytest.mark.parametrize("path", [DECISIONS, f"{DECISIONS}/t-of-aurora", "/v1/rules"])
def test_who_has_no_good_key_is_refused(client: Raw, keys: dict[str, str], path: str) -> None:
    prefix, key_id, secret = keys["aurora"].split("_", 2)
    content = msgspec.json.encode(body()) if path == DECISIONS else None
    other = keys["meridian"].split("_", 2)[2]
    wrong = [
        f"{prefix}_000000000000_{secret}",
        f"{prefix}_{key_id}_{other}",
        f"{prefix}_{key_id}_",
        "pw_",
        "x" * 500,
    ]
    # One authorizer stands before all paths: every kind of key is tried at one of them.
    for key in (None, *wrong) if path == DECISIONS else (None, wrong[0]):
        problem = client.refused(key, content, path=path)
        assert (problem.status, problem.type) == (401, "/problems/unauthorized")


def test_a_transaction_of_another_merchant_is_an_unknown_one(
    client: Raw, keys: dict[str, str], known: str
) -> None:
    def asked(transaction_id: str) -> list[ProblemDocument]:
        label = msgspec.json.encode({"transaction_id": transaction_id, "label": "chargeback"})
        outcome = b'{"outcome":"declined"}'
        return [
            client.refused(keys["meridian"], None, path=f"{DECISIONS}/{transaction_id}"),
            client.refused(keys["meridian"], outcome, path=f"{DECISIONS}/{transaction_id}/outcome"),
            client.refused(keys["meridian"], label, path="/v1/labels"),
        ]

    theirs, nobodys = asked(known), asked("t-of-nobody")
    assert {each.type for each in theirs} == {"/problems/unknown-transaction"}
    assert [msgspec.structs.replace(each, request_id="") for each in theirs] == [
        msgspec.structs.replace(each, request_id="") for each in nobodys
    ]
