"""Raw card numbers are found wherever they hide, and are never repeated.

The numbers are the ones that card schemes publish for tests, or are made here with a valid check digit.
"""

import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.cards import card_number_at, is_card_number

VISA = "4111111111111111"
AMEX = "378282246310005"
LONG = "6304000000000000018"


def _with_check_digit(stem: str) -> str:
    for digit in "0123456789":
        total = 0
        for place, each in enumerate(reversed(stem + digit)):
            doubled = int(each) * (1 + place % 2)
            total += sum(map(int, str(doubled)))
        if total % 10 == 0:
            return stem + digit
    raise AssertionError("one of ten digits always fits")


numbers = st.integers(12, 18).flatmap(
    lambda size: st.from_regex(rf"[3-6][0-9]{{{size - 1}}}", fullmatch=True).map(_with_check_digit)
)


@given(numbers)
def test_every_valid_number_of_13_to_19_digits_is_found(number: str) -> None:
    assert is_card_number(number)


@given(numbers, st.integers(1, 9))
def test_a_number_with_another_check_digit_passes(number: str, wrong: int) -> None:
    assert not is_card_number(number[:-1] + str((int(number[-1]) + wrong) % 10))


@pytest.mark.parametrize(
    "text",
    [
        VISA,
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "3782 822463 10005",
        LONG,
        f"paid with {VISA}, thanks",
        f"card={VISA};",
        f"x{VISA}x",
        f"order 1234 {VISA}",
        f"ref 123 {VISA}",
        f"{VISA} 12/27",
        f"{VISA} 123",
        "4111 1111 1111 1111 12/27",
        "4111-1111-1111-1111-123",
        f"{AMEX} 1234",
        f"8888888888888888 {VISA}",
        f"{VISA}\n{VISA}",
    ],
)
def test_a_number_is_found_however_it_is_written_and_whatever_stands_beside_it(text: str) -> None:
    assert is_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4111111111111112",
        "411111111111",  # twelve digits
        "41111111111111111111",  # twenty
        "tok_visa_7fA2",
        "2026-01-31T12:00:00.000Z",
        "+33 1 23 45 67 89",
        "1.2.3.4",
        "9a1f4111c1111d1111e1111",
    ],
)
def test_other_texts_pass(text: str) -> None:
    assert not is_card_number(text)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"card": {"token": VISA}}, "card.token"),
        ({"amount": 1, "metadata": {"note": f"card {AMEX}"}}, "metadata.note"),
        ({"items": [{"a": 1}, {"b": ["x", int(VISA)]}]}, "items[1].b[1]"),
        ({"amount": int(VISA)}, "amount"),
        ({"metadata": {VISA: "yes"}}, "metadata"),
        ({VISA: 1}, "body"),
        ([[VISA]], "[0][0]"),
        (VISA, "body"),
        (int(VISA), "body"),
        (-int(VISA), "body"),
    ],
)
def test_it_is_found_at_its_path(body: object, where: str) -> None:
    assert card_number_at(body) == where


@pytest.mark.parametrize(
    "body", [None, True, 1.5, {}, [], "", {"a": None, "b": [True, 2.5, "text"]}, {"card": {"token": "tok_1"}}]
)
def test_a_body_without_one_passes(body: object) -> None:
    assert card_number_at(body) is None


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 999), st.text("abc ", max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(plain, numbers, st.randoms(use_true_random=False))
def test_wherever_it_is_planted_it_is_found_and_never_repeated(body: Any, number: str, rng: random.Random) -> None:
    assert card_number_at(body) is None
    planted = _planted(body, rng.choice([number, int(number), " ".join(number), {number: 1}]), rng)
    where = card_number_at(planted)
    assert where is not None
    assert number not in where.replace(" ", "")


def _planted(body: Any, secret: Any, rng: random.Random) -> Any:
    """The body with the secret somewhere inside, however deep."""
    if isinstance(body, dict) and body and rng.random() < 0.8:
        name = rng.choice(sorted(body))
        return body | {name: _planted(body[name], secret, rng)}
    if isinstance(body, list) and body and rng.random() < 0.8:
        place = rng.randrange(len(body))
        return [*body[:place], _planted(body[place], secret, rng), *body[place + 1 :]]
    return secret


def test_a_large_body_of_digits_is_searched_quickly() -> None:
    """Work grows with the length of the text, not with its square: 64 kB is the most that a request has."""
    for text in ("1 " * 32_000, "1234 " * 13_000, "1" * 64_000, "12345678901234567 " * 3_600):
        start = time.process_time()
        is_card_number(text)
        assert time.process_time() - start < 2
