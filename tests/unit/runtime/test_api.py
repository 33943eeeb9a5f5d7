"""Nothing a client sends may be answered with anything but a decision or a problem that names the field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.api import (
    MOST_BYTES,
    DecisionRequest,
    LabelRequest,
    body_digest,
    check,
    check_occurred_at,
    parse,
    receipt_time,
)
from runtime.http import Problem

NOON = 1_770_000_000_000
# Numbers from card schemes' published test ranges; the check is on length and Luhn's sum only.
TEST_NUMBER = "4242424242424242"


def good(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "transaction_id": "t1",
        "amount": 100,
        "currency": "EUR",
        "card": {"token": "tok"},
        "customer": {"id": "c1"},
    }
    return body | changes


def refused(body: bytes | dict[str, Any], model: type[Any] = DecisionRequest) -> Problem:
    with pytest.raises(Problem) as found:
        parse(body if isinstance(body, bytes) else msgspec.json.encode(body), model)
    return found.value


def test_a_good_body_is_read() -> None:
    request = parse(msgspec.json.encode(good(metadata={"order": "7"})), DecisionRequest)
    assert request.transaction("shop", NOON).event_id == "shop/t1"
    assert request.transaction("shop", NOON).event_time == NOON


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": -1}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 10**13}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"transaction_id": ""}, "transaction_id"),
        ({"transaction_id": "a b"}, "transaction_id"),
        ({"transaction_id": "x" * 65}, "transaction_id"),
        ({"transaction_id": "batch"}, "transaction_id"),
        ({"transaction_id": "."}, "transaction_id"),
        ({"transaction_id": ".."}, "transaction_id"),
        ({"card": {"token": "t", "issuer_country": "Germany"}}, "card.issuer_country"),
        ({"card": {"token": "t", "number": "1"}}, "card.number"),
        ({"card": {}}, "card.token"),
        ({"card": None}, "card"),
        ({"customer": {"id": "c", "email": "nobody"}}, "customer.email"),
        ({"mcc": "12"}, "mcc"),
        ({"channel": "carrier pigeon"}, "channel"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"amout": 1}, "amout"),
        ({"metadata": {"k": 1}}, "metadata"),
    ],
)
def test_an_invalid_field_is_named_and_its_value_is_not(changes: dict[str, Any], field: str) -> None:
    problem = refused(good(**changes))
    assert problem.status == 400
    assert str(problem.body["field"]).startswith(field)
    assert "pigeon" not in str(problem.body)
    assert "nobody" not in str(problem.body)


def test_a_missing_field_is_named() -> None:
    body = good()
    del body["currency"]
    assert refused(body).body["field"] == "currency"
    assert refused({"transaction_id": "t"}, LabelRequest).body["field"] == "label"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"metadata": {"note": TEST_NUMBER}}, "metadata.note"),
        ({"metadata": {"note": "4242 4242 4242 4242"}}, "metadata.note"),
        ({"metadata": {"note": "pay 4242-4242-4242-4242 now"}}, "metadata.note"),
        ({"metadata": {TEST_NUMBER: "x"}}, "metadata"),
        ({"card": {"token": TEST_NUMBER}}, "card.token"),
        ({"amount": int(TEST_NUMBER)}, "amount"),
        ({"unknown": [{"deep": [TEST_NUMBER]}]}, "unknown[0].deep[0]"),
    ],
)
def test_a_raw_card_number_is_refused_wherever_it_hides(changes: dict[str, Any], where: str) -> None:
    problem = refused(good(**changes))
    assert problem.body["type"] == "/problems/card-number"
    assert problem.body["field"] == where
    assert "4242" not in str(problem.body)


def test_numbers_that_are_no_card_pass() -> None:
    almost = TEST_NUMBER[:-1] + "3"
    assert (
        parse(msgspec.json.encode(good(metadata={"parcel": almost})), DecisionRequest).metadata["parcel"] == almost
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"a": "\\ud800"}',
        b"[" * 5_000 + b"]" * 5_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"NaN",
        b'{"amount": Infinity}',
        b'{"amount": 1e999}',
        b"null",
        b"[]",
        b'"text"',
        b"1" * 4_000,
    ],
)
def test_what_is_no_request_is_a_problem(body: bytes) -> None:
    assert refused(body).status == 400


def test_a_body_that_is_too_large_is_a_problem() -> None:
    assert refused(b" " * (MOST_BYTES + 1)).status == 413


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("transaction_id", "amount", "currency", "card", "customer", "metadata", "occurred_at", "billing", "x")


@given(st.binary(max_size=300))
@example(b'{"transaction_id": 1}')
def test_any_bytes_are_a_request_or_a_problem(body: bytes) -> None:
    _request_or_problem(body)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_any_json_is_a_request_or_a_problem(changes: dict[str, Any]) -> None:
    _request_or_problem(msgspec.json.encode(good() | changes))


def _request_or_problem(body: bytes) -> None:
    problem: Problem | None = None
    try:
        parse(body, DecisionRequest)
    except Problem as found:
        problem = found
    if problem is None:
        assert len(body_digest(body)) == 64
    else:
        assert problem.body["status"] in (400, 413)
        assert msgspec.json.decode(problem.answer("request-1")["body"])["request_id"] == "request-1"


def test_the_digest_sees_through_spelling_and_nothing_else() -> None:
    assert body_digest(b'{"a": 1, "b": [1, 2]}') == body_digest(b'{"b":[1,2],"a":1}')
    assert body_digest(b'{"a": 1}') != body_digest(b'{"a": 2}')
    assert body_digest(b'{"b": [1, 2]}') != body_digest(b'{"b": [2, 1]}')


def test_the_replay_header_counts_only_where_replay_is_allowed() -> None:
    assert receipt_time({}, NOON, replay=False) == NOON
    assert receipt_time({"paywarden-replay-time": "1700000000000"}, NOON, replay=True) == 1_700_000_000_000
    with pytest.raises(Problem) as found:
        receipt_time({"paywarden-replay-time": "1700000000000"}, NOON, replay=False)
    assert found.value.body["field"] == "Paywarden-Replay-Time"
    with pytest.raises(Problem):
        receipt_time({"paywarden-replay-time": "noon"}, NOON, replay=True)


def test_a_time_that_no_honest_clock_sends_is_refused() -> None:
    received = datetime.fromtimestamp(NOON / 1_000, UTC)
    for fine in (timedelta(minutes=1, seconds=59), -timedelta(hours=23, minutes=59)):
        check_occurred_at(received + fine, NOON)
    check_occurred_at(None, NOON)
    for odd in (
        received + timedelta(minutes=2, seconds=1),
        received - timedelta(hours=24, seconds=1),
        received.replace(tzinfo=None),
    ):
        with pytest.raises(Problem) as found:
            check_occurred_at(odd, NOON)
        assert found.value.body["field"] == "occurred_at"


@pytest.mark.parametrize("ip", ["192.0.2.1", "::1", "2001:db8::1", "::ffff:192.0.2.1"])
def test_an_address_of_either_kind_is_one(ip: str) -> None:
    check(parse(msgspec.json.encode(good(ip=ip)), DecisionRequest), NOON)


@pytest.mark.parametrize(
    "ip",
    [
        "",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1\n",
        "::1%eth0",
        ":::",
        "1.2.3.4/8",
        "\u0661.0.0.1",
        "\0",
    ],
)
def test_what_is_no_address_is_refused(ip: str) -> None:
    with pytest.raises(Problem) as found:
        check(parse(msgspec.json.encode(good(ip=ip)), DecisionRequest), NOON)
    assert (found.value.status, found.value.body["field"]) == (400, "ip")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"customer": {"id": "c", "created_at": "2100-01-01T00:00:00Z"}}, "customer.created_at"),
        ({"customer": {"id": "c", "created_at": "2020-01-01T00:00:00"}}, "customer.created_at"),
        ({"occurred_at": "2100-01-01T00:00:00Z"}, "occurred_at"),
        ({"currency": "ZZZ"}, "currency"),
    ],
)
def test_what_the_model_cannot_see_is_checked_too(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as found:
        check(parse(msgspec.json.encode(good(**changes)), DecisionRequest), NOON)
    assert (found.value.status, found.value.body["field"]) == (400, field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"card": {"token": "t", "expiry": "2027-13"}}, "card.expiry"),
        ({"card": {"token": "t", "expiry": "12/27"}}, "card.expiry"),
        ({"customer": {"id": "c", "phone": "0301234567"}}, "customer.phone"),
        ({"customer": {"id": "c", "phone": "+0301234567"}}, "customer.phone"),
        ({"customer": {"id": "c", "created_at": "yesterday"}}, "customer.created_at"),
        ({"device": {"id": "d", "user_agent": "x" * 513}}, "device.user_agent"),
        ({"device": {"user_agent": "x"}}, "device.id"),
    ],
)
def test_what_is_only_checked_is_checked(changes: dict[str, Any], field: str) -> None:
    assert refused(good(**changes)).body["field"] == field


def test_everything_that_may_be_sent_is_taken() -> None:
    request = parse(
        msgspec.json.encode(
            good(
                card={"token": "t", "bin": "411111", "brand": "visa", "issuer_country": "FR", "expiry": "2027-12"},
                customer={
                    "id": "c",
                    "email": "a@example.com",
                    "phone": "+33123456789",
                    "created_at": "2020-01-01T00:00:00Z",
                },
                device={"id": "d", "user_agent": "Mozilla/5.0"},
                billing={"country": "FR", "postcode": "75011"},
            )
        ),
        DecisionRequest,
    )
    check(request, NOON)
    assert request.transaction("shop", NOON).phone == "+33123456789"
