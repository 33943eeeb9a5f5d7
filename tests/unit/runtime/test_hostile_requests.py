"""Requests written to break things: each is a problem with a status that blames the client, never more.

Where the request is a good one, its digest can be made. The number below is one that schemes publish for tests.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.api import (
    DecisionRequest,
    LabelRequest,
    OutcomeRequest,
    body_digest,
    check_occurred_at,
    parse,
    receipt_time,
    transaction_in_path,
)
from runtime.http import Problem, Request

NOON = 1_770_000_000_000
NUMBER = "4242424242424242"
GOOD: dict[str, Any] = {
    "transaction_id": "t1",
    "amount": 100,
    "currency": "EUR",
    "card": {"token": "tok"},
    "customer": {"id": "c1"},
}


def caught(call: Callable[[], object]) -> Problem | None:
    """The problem that a call ends with; anything else that it raises fails the test."""
    try:
        call()
    except Problem as problem:
        return problem
    return None


def problem_of(body: bytes, model: type[Any] = DecisionRequest) -> Problem | None:
    """The problem that a body is answered with, itself checked; None for a good one."""

    def use() -> None:
        request = parse(body, model)
        if isinstance(request, DecisionRequest):
            check_occurred_at(request.occurred_at, NOON)
            request.transaction("shop", NOON)
        assert len(body_digest(body)) == 64

    problem = caught(use)
    if problem is not None:
        assert problem.status in (400, 413)
        told = msgspec.json.decode(problem.answer("r1")["body"])
        assert told["status"] == problem.status
        assert told["detail"]
    return problem


def with_member(raw: bytes) -> bytes:
    return msgspec.json.encode(GOOD)[:-1] + b"," + raw + b"}"


def field_of(changes: dict[str, Any]) -> str:
    problem = problem_of(msgspec.json.encode(GOOD | changes))
    assert problem is not None
    return str(problem.body["field"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metadata": {"k" * 41: "v"}}, "metadata"),
        ({"metadata": {str(number): "v" for number in range(21)}}, "metadata"),
        ({"metadata": {"k": "v" * 501}}, "metadata[...]"),
        ({"card": {"token": "t", "cvv": "1"}}, "card.cvv"),
        ({"a - at `$.b": 1}, "a - at `$.b"),
        ({"Object missing required field `x`": 1}, "Object missing required field `x`"),
        ({"line\nfeed": 1}, "line\nfeed"),
    ],
)
def test_a_field_is_named_whatever_its_name_looks_like(changes: dict[str, Any], field: str) -> None:
    assert field_of(changes) == field


def test_a_field_without_a_name_is_a_problem() -> None:
    assert problem_of(with_member(b'"":1')) is not None


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [10, 100, 200, 300, 400, 700, 1_000, 1_500, 5_000])
def test_no_depth_is_more_than_a_problem(opening: bytes, depth: int) -> None:
    closing = b"]" if opening == b"[" else b"}"
    assert problem_of(with_member(b'"x":' + opening * depth + b"1" + closing * depth)) is not None


@pytest.mark.parametrize("digits", [18, 19, 20, 25, 309, 4_299, 4_300, 4_301, 20_000, 60_000])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_no_number_is_more_than_a_problem(digits: int, sign: bytes) -> None:
    assert problem_of(b'{"amount":' + sign + b"7" * digits + b"}") is not None
    assert problem_of(with_member(b'"x":' + sign + b"7" * digits)) is not None


@pytest.mark.parametrize("amount", [b"1.0", b"1e2", b"1E400", b"-0.0", b"NaN", b"Infinity", b"-Infinity", b"01"])
def test_an_amount_is_a_whole_number_as_it_stands(amount: bytes) -> None:
    body = msgspec.json.encode(GOOD)
    assert problem_of(body.replace(b"100", b"0")) is None
    assert problem_of(body.replace(b"100", amount)) is not None


@pytest.mark.parametrize(
    "body",
    [
        b'{"transaction_id": "\\ud83d"}',
        b'{"\\udc00": 1}',
        b'{"transaction_id": "\xc3\x28"}',
        b"\xef\xbb\xbf{}",
        '{"transaction_id": "t"}'.encode("utf-16"),
        b"\x00",
        b"{}{}",
        b"{} x",
        b'{"a":1,}',
        b"'t'",
    ],
)
def test_what_is_not_one_utf8_document_is_refused(body: bytes) -> None:
    problem = problem_of(body)
    assert problem is not None
    assert problem.body["type"] == "/problems/invalid-body"


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00Z",
        "2026-02-02T02:40:60Z",
        "2026-02-02T02:40:00",
        "2026-02-02",
        1_770_000_000,
        1.5,
        {},
    ],
)
def test_no_time_is_more_than_a_problem(moment: Any) -> None:
    assert field_of({"occurred_at": moment}) == "occurred_at"


@pytest.mark.parametrize(
    ("segment", "kind"),
    [
        (NUMBER, "card-number"),
        (f"o-{NUMBER}", "card-number"),
        ("4242%204242%204242%204242", "card-number"),
        ("%34242424242424242", "card-number"),
        *(
            (each, "invalid-field")
            for each in ("", "a b", "a%20b", "a%2Fb", "a/b", "%ff", "%00", "t1%0A", "t\u0661")
        ),
        *((each, "invalid-field") for each in ("%", "%2", "%zz", "a#b", "\ud800", "x" * 65, "%61" * 65)),
    ],
)
def test_a_path_that_no_transaction_can_have_is_a_problem(segment: str, kind: str) -> None:
    problem = caught(lambda: transaction_in_path({"transaction_id": segment}))
    assert problem is not None
    assert (problem.status, problem.body["type"]) == (400, f"/problems/{kind}")
    assert problem.body["field"] == "transaction_id"
    assert "4242" not in problem.answer("r1")["body"]


def test_a_path_without_its_parameter_is_a_problem() -> None:
    problem = caught(lambda: transaction_in_path({}))
    assert problem is not None
    assert problem.body["field"] == "transaction_id"


@pytest.mark.parametrize(
    ("segment", "meant"),
    [("T_1.a:b-c", "T_1.a:b-c"), ("T_1.a%3Ab%2dc", "T_1.a:b-c"), ("batch.", "batch."), ("...", "...")],
)
def test_an_id_in_a_path_may_be_percent_encoded(segment: str, meant: str) -> None:
    assert transaction_in_path({"transaction_id": segment}) == meant


@given(st.text(max_size=80))
def test_any_path_at_all_is_an_id_or_a_problem(segment: str) -> None:
    caught(lambda: transaction_in_path({"transaction_id": segment}))


@pytest.mark.parametrize("model", [DecisionRequest, LabelRequest])
def test_65_kilobytes_are_read_and_more_are_not(model: type[Any]) -> None:
    padded = msgspec.json.encode(
        GOOD if model is DecisionRequest else {"transaction_id": "t", "label": "chargeback"}
    )
    assert problem_of(padded.ljust(65_536), model) is None
    for size in (65_537, 70_000):
        problem = problem_of(padded.ljust(size), model)
        assert problem is not None
        assert (problem.status, problem.body["type"]) == (413, "/problems/body-too-large")
        assert "transaction" not in str(problem)  # rules are bodies too


def test_a_body_that_is_too_large_is_not_searched() -> None:
    problem = problem_of(with_member(b'"x":"' + b"1 " * 40_000 + NUMBER.encode() + b'"'))
    assert problem is not None
    assert problem.status == 413


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"metadata": {"note": f"{NUMBER} 12/27"}}, "metadata.note"),
        ({"metadata": {"note": f"order 7 {NUMBER}"}}, "metadata.note"),
        ({"metadata": {"note": "4242-4242-4242-4242-123"}}, "metadata.note"),
        ({"metadata": {"note": "4242\u00a04242\u00a04242\u00a04242"}}, "metadata.note"),
        ({"transaction_id": f"o-{NUMBER}"}, "transaction_id"),
        ({"customer": {"id": "c", "email": f"{NUMBER}@example.org"}}, "customer.email"),
        ({"amount": -int(NUMBER)}, "amount"),
        ({f"{NUMBER} 123": 1}, "body"),
        ({"card": {"token": "t", NUMBER: {"a": 1}}}, "card"),
        ({"x": [[], [{"y": [0, {"z": "4242 4242 4242 4242"}]}]]}, "x[1][0].y[1].z"),
    ],
)
def test_a_card_number_is_refused_first_and_never_repeated(changes: dict[str, Any], where: str) -> None:
    problem = problem_of(msgspec.json.encode(GOOD | changes))
    assert problem is not None
    assert (problem.body["type"], problem.body["field"]) == ("/problems/card-number", where)
    assert "4242" not in problem.answer("r1")["body"]


@pytest.mark.parametrize(
    ("report", "model"),
    [
        ({"transaction_id": NUMBER, "label": "chargeback"}, LabelRequest),
        ({"outcome": NUMBER}, OutcomeRequest),
        ({"outcome": "declined", "note": NUMBER}, OutcomeRequest),
    ],
)
def test_a_report_with_a_card_number_is_refused_too(report: dict[str, str], model: type[Any]) -> None:
    problem = problem_of(msgspec.json.encode(report), model)
    assert problem is not None
    assert problem.body["type"] == "/problems/card-number"


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "\x00", "\n", "2026-02-02T02:40:00Z", "EUR", "a@b", "0" * 300, NUMBER])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)
PARTS = st.dictionaries(
    st.sampled_from(["token", "bin", "brand", "issuer_country", "id", "email", "country", "postcode", "x"]),
    ANYTHING,
    max_size=4,
)
NAMES = (
    *DecisionRequest.__struct_fields__,
    *LabelRequest.__struct_fields__,
    "unknown",
)


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING | PARTS, max_size=5), st.sets(st.sampled_from([*GOOD])))
def test_any_mixture_of_our_fields_is_a_request_or_a_problem(changes: dict[str, Any], dropped: set[str]) -> None:
    body = {name: value for name, value in (GOOD | changes).items() if name not in dropped or name in changes}
    problem_of(msgspec.json.encode(body))
    label = {"transaction_id": "t1", "label": "chargeback", "known_at": "2026-02-02T02:40:00Z"} | changes
    problem_of(msgspec.json.encode(label), LabelRequest)


@given(ANYTHING)
def test_any_document_at_all_is_a_request_or_a_problem(document: Any) -> None:
    for model in (DecisionRequest, LabelRequest, OutcomeRequest):
        problem_of(msgspec.json.encode(document), model)


@given(st.integers(0, 400), st.integers(0, 255), st.booleans())
def test_a_good_body_with_a_byte_changed_or_cut_off_is_a_request_or_a_problem(
    at: int, byte: int, cut: bool
) -> None:
    full = GOOD | {"metadata": {"order": "7"}, "occurred_at": "2026-02-02T02:39:00Z", "billing": {"country": "FR"}}
    body = bytearray(msgspec.json.encode(full))
    at %= len(body)
    if cut:
        assert problem_of(bytes(body[:at])) is not None
    else:
        body[at] = byte
        problem_of(bytes(body))


@given(
    st.permutations(list((GOOD | {"metadata": {"b": "1", "a": "2"}}).items())), st.sampled_from(["", " ", "\n\t "])
)
def test_the_digest_is_of_the_meaning_not_of_the_spelling(members: list[tuple[str, Any]], space: str) -> None:
    plain = msgspec.json.encode(GOOD | {"metadata": {"a": "2", "b": "1"}})
    spelt = (
        f"{{{space}"
        + f"{space},{space}".join(
            f"{msgspec.json.encode(name).decode()}{space}:{space}{msgspec.json.encode(value).decode()}"
            for name, value in members
        )
        + f"{space}}}"
    )
    assert body_digest(spelt.encode()) == body_digest(plain)
    assert body_digest(spelt.replace("100", "101").encode()) != body_digest(plain)


@given(st.text(max_size=20) | st.from_regex(r"\A\d{11,15}\Z"))
def test_any_replay_header_is_a_time_or_a_problem(text: str) -> None:
    problem = caught(lambda: receipt_time({"paywarden-replay-time": text}, NOON, replay=True))
    if problem is None:
        assert text.isascii()
        assert receipt_time({"paywarden-replay-time": text}, NOON, replay=True) == int(text)
    else:
        assert (problem.status, problem.body["field"]) == (400, "Paywarden-Replay-Time")


def proxied(text: str, encoded: bool) -> Request:
    context = {"authorizer": {"merchant_id": "shop"}, "requestId": "r1"}
    return Request.of({"requestContext": context, "headers": None, "body": text, "isBase64Encoded": encoded})


@given(st.text(st.characters(), max_size=60), st.booleans())
def test_any_proxy_body_is_bytes_or_a_problem(text: str, encoded: bool) -> None:
    problem = caught(lambda: proxied(text, encoded))
    if problem is None:
        problem_of(proxied(text, encoded).body)
    else:
        assert problem.status == 400


@pytest.mark.parametrize("text", ["\u00e9", "e30", "e3 0=", "e30=\n", "\ud800"])
def test_what_is_no_base64_is_a_problem(text: str) -> None:
    problem = caught(lambda: proxied(text, True))
    assert problem is not None
    assert problem.status == 400
