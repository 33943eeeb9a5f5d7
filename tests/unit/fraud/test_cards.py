"""Raw card numbers are found wherever they hide, and are never repeated.

The numbers are the ones that card schemes publish for tests, or are made here with a valid check digit.
"""

import random
import re
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fraud.cards import card_number_at, is_card_number, is_phone_number, without_card_numbers
from fraud.tokens import IDENTIFIERS

VISA = "4111111111111111"
AMEX = "378282246310005"
LONG = "6304000000000000018"
DIALLED = "+4915112345678"
"""A German mobile number whose 13 digits pass the Luhn check."""
ADDRESS = "2a01:4860:4860:0:1111::1000"
"""Its digits, side by side, hold a number that passes too."""


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
        "4111  1111  1111  1111",
        "4111_1111_1111_1111",
        "4111/1111/1111/1111",
        "4111\t1111\t1111\t1111",
        "4111\r\n1111\r\n1111\r\n1111",
        "4111 - 1111 - 1111 - 1111",
        '["4111","1111","1111","1111"]',
        "(4111) 1111 ** 1111 :: 1111",
        "4111\u00a01111\u20031111\u30001111",
        "4111\u200b1111\u200d1111\ufeff1111",
        "\u200b".join(VISA),
        "4111\N{MIDDLE DOT}1111\N{BULLET}1111\N{EM DASH}1111",
        "".join(chr(0xFF10 + int(digit)) for digit in VISA),
        "".join(chr(0x0660 + int(digit)) for digit in VISA),
        " ".join(chr(0x0966 + int(digit)) for digit in VISA),
        "".join(chr(0x1D7CE + int(digit)) for digit in VISA),
        "".join(f"{digit}\ufe0f\u20e3" for digit in VISA),
        "\u2463" + "\u2460" * 15,
        "\u2074" + "\u00b9" * 15,
        "\u248b" + "\u2488" * 15,
        "2221 0000 0000 0009",
        f"né le 1.1.1990, carte {VISA}",
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
        "2026-01-31 12:00:00.000",
        "2026-11-24 18:18:38,123+0000",
        "192.168.100.200, 10.0.0.1",
        "10.0.0.1 10.0.0.2 10.0.0.3",
        "0000 0000 0000 0000",  # no issuer's number begins with a nought
        "5d0f2f7e-93f1-4c57-9d2a-0c9c6f1e2a31",
        "\N{SNOWMAN}" * 40,
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
        (4.111111111111111e15, "body"),
        ({"amount": 37828224631000.5e1}, "amount"),
        ({"amount": 6.304e18}, "amount"),  # a float of 19 digits stands for hundreds of numbers
        ({"phone": f"+{AMEX}"}, "phone"),
        ({"customer": {"phone": VISA}}, "customer.phone"),
        ({"customer": {"phone": f"+{VISA}"}}, "customer.phone"),
        ({"customer": {"phone": f"+{AMEX}"}}, "customer.phone"),
        ({"metadata": {"phone": DIALLED}}, "metadata.phone"),
        ({"metadata": {"customer.phone": DIALLED}}, "metadata.customer.phone"),
        ({"ip": VISA}, "ip"),
        ({"ip": "4111:1111:1111:1111"}, "ip"),
        ({"metadata": {"ip": ADDRESS}}, "metadata.ip"),
        ({"decisions": [{"metadata": {"ip": ADDRESS}}]}, "decisions[0].metadata.ip"),
    ],
)
def test_it_is_found_at_its_path(body: object, where: str) -> None:
    assert card_number_at(body) == where


@pytest.mark.parametrize(
    "body",
    [
        None,
        True,
        1.5,
        {},
        [],
        "",
        {"a": None, "b": [True, 2.5, "text"]},
        {"card": {"token": "tok_1"}},
        {"customer": {"phone": DIALLED}, "ip": ADDRESS},
        {"decisions": [{"customer": {"phone": DIALLED}, "ip": ADDRESS}]},
        {"score": 0.30000000000000004, "cost": 1e12, "big": 1e300, "huge": 10**300},
    ],
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


def _slow(text: str) -> bool:
    """What `is_card_number` says of ASCII texts, as directly as it can be said."""
    for run in re.findall(r"[0-9](?:[^A-Za-z0-9]*[0-9])*", text):
        groups = re.findall("[0-9]+", run)
        for start in range(len(groups)):
            for end in range(start + 1, len(groups) + 1):
                digits = "".join(groups[start:end])
                begins = (
                    end == start + 1 or digits[0] in "3456789" or ("22" <= digits[:2] < "28" and len(digits) > 15)
                )
                if 13 <= len(digits) <= 19 and begins and _with_check_digit(digits[:-1]) == digits:
                    return True
    return False


@settings(max_examples=400)
@given(st.lists(st.from_regex(r"[0-9]{1,20}", fullmatch=True), max_size=12), st.text("- ./:_x", max_size=3))
def test_every_start_and_end_of_a_group_is_tried(groups: list[str], separator: str) -> None:
    text = (separator or " ").join(groups)
    assert is_card_number(text) == _slow(text)


@pytest.mark.parametrize("text", [DIALLED, "+33123456789", "+18005551234567"[:12], "+1234567", "+358401234567890"])
def test_a_telephone_number_is_one_as_e_164_writes_it(text: str) -> None:
    assert is_phone_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "+123456",
        "+0123456789",
        "33123456789",
        "+1234567890123456",
        f"+{AMEX}",
        "+30569309025904",
        "+٣٣١٢٣٤٥٦٧٨٩",
        "+33 1 23 45 67 89",
        "+33123456789\n",
        "0049151123456",
        "+101000000000008",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_phone_number(text)


def test_a_card_number_is_taken_out_of_a_text_and_the_rest_stays() -> None:
    assert without_card_numbers(f"paid with {VISA[:4]} {VISA[4:]}, thanks") == "paid with [card number], thanks"
    assert without_card_numbers("order 2026-01-31, 3 items") == "order 2026-01-31, 3 items"
    assert without_card_numbers(f"é {VISA} and 4111111111111112") == "é [card number] and 4111111111111112"


def _steps(text: str) -> int:
    """How many lines of Python are run to search a text."""
    count = 0

    def step(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        is_card_number(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "pattern",
    [
        "3 ",
        "1 ",
        "3-33-",
        "1234 ",
        "3",
        "12345678901234567 ",
        "3 3 3 3 3 3 3 3 3 3 3 3 a",
        "1" + " " * 100,
        "\u0663 ",
    ],
)
def test_the_work_grows_with_the_length_of_a_text_and_not_with_its_square(pattern: str) -> None:
    """64 kB is the most that a request has."""
    size = 64_000 // len(pattern)
    half, whole = _steps(pattern * (size // 2)), _steps(pattern * size)
    assert whole <= 2.1 * half + 50
    assert whole <= 8 * 64_000


TIMES = (
    "2026-11-24T18:56:22.846227+00:00",  # its last sixteen digits begin as a card number does, and pass
    "2026-12-24T18:56:18.033707+00:00",
    "2026-11-24T18:56:22.846227123Z",
    "2026-01-31T12:00:00Z",
)


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_no_card_number_wherever_it_stands(text: str) -> None:
    assert card_number_at({"occurred_at": text, "deep": [{"metadata": {"note": text}}]}) is None


@pytest.mark.parametrize("text", ["2026-11-24T18:56:22.4242424242424242Z", f"{TIMES[0]} 4242424242424242"])
def test_what_only_begins_like_a_time_hides_nothing(text: str) -> None:
    assert card_number_at({"occurred_at": text}) == "occurred_at"


def _token(kind: str, number: str, digits: str, at: int) -> str:
    at %= 33 - len(number)
    return f"{kind}_{(digits[:at] + number + digits[at:])[:32]}"


tokens = st.builds(
    _token,
    st.sampled_from(sorted(IDENTIFIERS.values())),
    numbers,
    st.text("0123456789abcdef", min_size=32, max_size=32).map(lambda text: f"a{text}"),
    st.integers(0, 32),
)


@given(tokens)
def test_a_token_of_ours_is_no_card_number_where_lists_hold_them(token: str) -> None:
    for body in ({"cursor": token}, {"remove": [token]}, {"add": [{"value": token}]}):
        assert card_number_at(body) is None


@given(tokens)
def test_a_token_hides_nothing_anywhere_else_nor_anything_beside_it(token: str) -> None:
    assume(is_card_number(token))
    assert card_number_at({"metadata": {"note": token}}) == "metadata.note"
    assert card_number_at({"transaction_id": token}) == "transaction_id"
    kind, _, digits = token.partition("_")
    for text in (f"{token} {VISA}", f"{VISA} {token}", f"x{token}", f"{kind}-{digits}", digits, f"{token}\n"):
        assert card_number_at({"cursor": text}) == "cursor"
