"""Amounts as people write them."""

import pytest

from fraud.currency import written


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [
        (123_456, "EUR", "1,234.56"),
        (123_456, "JPY", "123,456"),
        (123_456, "KWD", "123.456"),
        (-1_234.5, "EUR", "-12.35"),
        (5, "XXX", "0.05"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(minor: float, currency: str, expected: str) -> None:
    assert written(minor, currency) == expected
