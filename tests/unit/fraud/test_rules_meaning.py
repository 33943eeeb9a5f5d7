"""What a condition means, from its text to the engine's answer."""

import math
import operator
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud.features import STANDARD
from fraud.rules import Rule, Rulebook, RuleError
from fraud.rules.cel import write
from fraud.rules.check import check_expression, check_rules
from fraud.rules.engine import engine
from fraud.rules.vocabulary import Vocabulary
from fraud.rules.words import explained
from tests.unit.fraud.conditions import LISTS, UNKNOWN, Condition, conditions, known_values

VOCABULARY = Vocabulary(STANDARD, LISTS)
_SLOW = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answer(source: str, values: Mapping[str, Any]) -> object:
    """What the engine says of a condition; UNKNOWN if it cannot tell."""
    program = engine().compile(write(check_expression(source, VOCABULARY)))
    try:
        return program.execute(engine().Context(dict(values)))
    except (RuntimeError, ArithmeticError):
        return UNKNOWN


def matches(source: str, values: Mapping[str, Any]) -> bool:
    book = Rulebook(check_rules([Rule(id="r", when=source, action="review")], STANDARD, LISTS))
    return book.before(values).action == "review"


@_SLOW
@given(conditions(), known_values())
def test_a_condition_means_what_kleenes_logic_says(condition: Condition, values: dict[str, Any]) -> None:
    assert answer(condition.text, values) == condition.of(values)


@_SLOW
@given(conditions(), known_values())
def test_what_is_written_reads_back_as_the_same_and_has_words(
    condition: Condition, values: dict[str, Any]
) -> None:
    checked = check_expression(condition.text, VOCABULARY)
    assert explained(checked, VOCABULARY)
    # Quotients and conversions are written in CEL that the language itself does not have.
    if not any(beyond in write(checked) for beyond in ("?", "double(", "e+")):
        again = check_expression(write(checked), VOCABULARY)
        assert again == checked
        assert answer(write(again), values) == condition.of(values)


@pytest.mark.parametrize("unknown", [None, math.nan, ""])
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("score > 0.5", False),
        ("!(score > 0.5)", False),
        ("score > 0.5 || amount > 10", True),
        ("amount > 10 || score > 0.5", True),
        ("score > 0.5 && amount > 10", False),
        ("!(score > 0.5 && amount < 10)", True),
        ("score != 3", False),
    ],
)
def test_what_is_not_known_decides_nothing(source: str, expected: bool, unknown: object) -> None:
    assert matches(source, {"amount": 11, "score": unknown}) is expected
    assert matches(source, {"amount": 11}) is expected


@pytest.mark.parametrize(
    "fragments",
    [
        partial(operator.mul, "("),
        partial(operator.mul, "!"),
        partial(operator.mul, "-"),
        partial(operator.mul, "["),
        partial(operator.mul, "count("),
        partial(operator.mul, "bin."),
        lambda n: "(" * n + "degraded" + ")" * n + " &&",
        lambda n: "amount" + " + amount" * n + " > 1",
        lambda n: "!" * n + "degraded",
        lambda n: "[" * n + "1" + "]" * n + " == 1",
        lambda n: "1" * n + " < amount",
        lambda n: "0." + "1" * n + "1e9 < amount",
        lambda n: "amount in [" + ", ".join("1" for _ in range(n)) + "]",
        lambda n: f'"{"a" * n}" in lists',
    ],
)
@pytest.mark.parametrize("size", [300, 1_990, 100_000])
def test_what_is_too_deep_or_too_large_is_refused(fragments: Any, size: int) -> None:
    with pytest.raises(RuleError):
        check_expression(fragments(size), VOCABULARY)


@pytest.mark.parametrize(
    "source",
    [
        "[1, 2].all(x, x > 0)",
        "[1, 2].exists(x, x == amount)",
        'bin.matches("(a+)+$")',
        "has(score)",
        "{'a': 1}.a == 1",
        "score > 0.5 ? true : false",
        "lists[0] == 'vip'",
        "null == null",
        "1u < 2u",
        "b'abc' == b'abc'",
        "r'abc' == bin",
        '"""abc""" == bin',
        "amount > 0x10",
        "amount > 1e3",
        "timestamp('2026-01-01T00:00:00Z') < timestamp('2027-01-01T00:00:00Z')",
        "type(amount) == int",
        "dyn(amount) > 1",
        "size(lists) > 0",
        "cel.bind(x, 1, x > 0)",
        "amount > 1 // a comment",
        "bin == 'a\\nb'",
        "bin == '\\x41'",
        "bin == 'a\x00b'",
        "\x00",
        "amount\u00a0> 1",
        "amount > \u0661",
        "\uff41mount > 1",
        "bin == '\ud800'",
        "__import__('os') == 1",
        "",
        "   ",
    ],
)
def test_no_more_of_cel_gets_through_than_the_grammar_has(source: str) -> None:
    with pytest.raises(RuleError):
        check_expression(source, VOCABULARY)


_PIECES = (
    *("amount", "score", "degraded", "lists", '"vip"', "bin", "card", "count", "card_count_1h", "true", "null"),
    *("(", ")", "[", "]", ",", ".", "startsWith", '"1h"', "1", "2.5", "0", "&&", "||", "!", "==", "!=", "<"),
    *(">=", "in", "+", "-", "*", "/", "%", "?", ":", "'", '"', "\\", "\n", "\x00", "é", "😀"),
)


@_SLOW
@given(st.one_of(st.text(), st.lists(st.sampled_from(_PIECES), max_size=14).map(" ".join)))
def test_whatever_is_sent_is_refused_or_runs(source: str) -> None:
    try:
        checked = check_expression(source, VOCABULARY)
    except RuleError:
        return
    engine().compile(write(checked))
    assert explained(checked, VOCABULARY)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20), st.sampled_from("'\""))
def test_a_text_arrives_as_it_was_written(text: str, quote: str) -> None:
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    assert answer(f"bin.startsWith({quote}{escaped}{quote})", {"bin": f"{text}4"}) is True
    assert answer(f"bin.startsWith({quote}{escaped}4{quote})", {"bin": text}) is False


def test_the_longest_and_widest_expressions_compile() -> None:
    wide = " && ".join(["score>0"] * 66)
    deep = "!" * 17 + "(degraded || degraded)"
    for source in (wide, deep):
        engine().compile(write(check_expression(source, VOCABULARY)))
