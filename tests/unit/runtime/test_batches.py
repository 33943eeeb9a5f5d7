"""A batch is opened, not judged: each payment in it keeps its own bytes, digest and problem."""

import json

import msgspec
import pytest

from runtime.api import DecisionRequest, body_digest, parse, parse_batch
from runtime.contract.answers import BatchAnswer, batch_answer
from runtime.http import Problem

CARD_NUMBER = "42" * 8
ONE = b'{"transaction_id":"t1", "amount":1,"currency":"EUR","card":{"token":"a"},"customer":{"id":"c"}}'
DECISION = (
    '{"transaction_id":"t1","decision":"approve","score":null,"reasons":[],"rules":[],"lists":[],"signals":{},'
    '"model":null,"policy":"1","degraded":true,"evaluated_at":1}'
)


def batch(*payments: bytes) -> bytes:
    return b'{"decisions": [' + b" , ".join(payments) + b"]}"


def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as found:
        parse_batch(body)
    return found.value


def test_each_payment_is_as_it_was_sent_and_has_the_digest_that_it_has_alone() -> None:
    first, second = parse_batch(batch(ONE, b'{"b": 1.50, "a": "\\u00e9"}'))
    assert first == ONE
    assert body_digest(first) == body_digest(ONE)
    assert second == b'{"b": 1.50, "a": "\\u00e9"}'


def test_a_bad_payment_is_a_problem_of_its_own() -> None:
    given = parse_batch(batch(ONE, b"7", b'{"card": "' + CARD_NUMBER.encode() + b'"}'))
    assert parse(given[0], DecisionRequest).transaction_id == "t1"
    kinds = []
    for each in given[1:]:
        with pytest.raises(Problem) as found:
            parse(each, DecisionRequest)
        kinds.append(found.value.body["type"])
    assert kinds == ["/problems/invalid-field", "/problems/card-number"]


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        (b"", "invalid-body", None),
        (b"[" * 5_000, "invalid-body", None),
        (b"\xef\xbb\xbf" + batch(ONE), "invalid-body", None),
        (b"[]", "invalid-field", None),
        (b"{}", "invalid-field", "decisions"),
        (b'{"decisions": {}}', "invalid-field", "decisions"),
        (b'{"decisions": null}', "invalid-field", "decisions"),
        (batch(), "invalid-field", "decisions"),
        (batch(*[b"1"] * 101), "invalid-field", "decisions"),
        (b'{"decisions": [1], "more": 1}', "invalid-field", "more"),
        (b'{"decisions": [1], "decisions": [2]}', "invalid-body", None),
        (b'{"decisions": [{"a": 1, "a": 2}]}', "invalid-body", None),
        (b'{"decisions": [1], "' + CARD_NUMBER.encode() + b'": 1}', "card-number", "body"),
        (b'{"decisions": [1], "note": "' + CARD_NUMBER.encode() + b'"}', "card-number", "note"),
        (b'"' + CARD_NUMBER.encode() + b'"', "card-number", "body"),
    ],
)
def test_what_is_no_batch_is_one_problem(body: bytes, kind: str, field: str | None) -> None:
    problem = refused(body)
    assert (problem.status, problem.body["type"]) == (400, f"/problems/{kind}")
    assert problem.body.get("field") == field
    assert CARD_NUMBER not in str(problem.body)


def test_half_a_megabyte_is_read_and_more_is_not() -> None:
    assert parse_batch(batch(ONE).ljust(524_288)) == [ONE]
    assert refused(batch(ONE).ljust(524_289)).status == 413
    assert len(parse_batch(batch(*[ONE] * 100))) == 100


def test_an_answer_holds_each_decision_byte_for_byte_and_each_problem() -> None:
    told = batch_answer([DECISION, Problem(409, "id-reused", "Id used before", "New id.", "transaction_id")], "r1")
    assert f'"decision":{DECISION}' in told
    first, second = msgspec.json.decode(told, type=BatchAnswer).results
    assert (first.status, second.status) == (200, 409)
    assert first.problem is msgspec.UNSET
    assert json.loads(told)["results"][1] == {
        "status": 409,
        "problem": {
            "type": "/problems/id-reused",
            "title": "Id used before",
            "status": 409,
            "detail": "New id.",
            "field": "transaction_id",
            "request_id": "r1",
        },
    }


@pytest.mark.parametrize(
    "body",
    [b'{"a": 1, "a": 1}', b'{"x": [{"b": {"c": 1, "c": {}}}]}', b'{"a": 1, "\\u0061": 2}', b'{"": 1, "": 2}'],
)
def test_a_field_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as found:
        parse(body, DecisionRequest)
    assert found.value.body["type"] == "/problems/invalid-body"
    assert "twice" in str(found.value)
