"""Sizes and units as the developer guide of DynamoDB counts them."""

import pytest

from ops.capacity.prices import PRICES, price, tiered
from ops.capacity.units import read_units, write_units
from tests.unit.capacity.sizes import item_size


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"key": {"S": "abc"}}, 6),
        ({"é": {"S": "ü"}}, 4),
        ({"b": {"B": b"12345"}}, 6),
        ({"n": {"N": "27"}}, 3),
        ({"n": {"N": "-27"}}, 4),
        ({"n": {"N": "1767225600000"}}, 1 + 5),
        ({"n": {"N": "0"}}, 2),
        ({"t": {"BOOL": True}, "u": {"NULL": True}}, 4),
        ({"s": {"SS": ["a", "bc"]}}, 4),
        ({"l": {"L": [{"S": "a"}, {"S": "b"}]}}, 1 + 3 + 4),
        ({"m": {"M": {"x": {"S": "a"}}}}, 1 + 3 + 3),
    ],
)
def test_the_size_of_an_item(item: dict[str, dict[str, object]], size: int) -> None:
    assert item_size(item) == size


def test_an_attribute_of_an_unknown_type_is_named() -> None:
    with pytest.raises(ValueError, match="type Q has no size"):
        item_size({"a": {"Q": 1}})


def test_units_are_whole_steps_and_nothing_costs_one() -> None:
    assert [write_units(size) for size in (0, 1, 1_024, 1_025, 3_620)] == [1, 1, 1, 2, 4]
    assert [write_units(size, transactional=True) for size in (121, 1_501)] == [2, 4]
    assert [read_units(size, consistent=True) for size in (0, 4_096, 4_097, 8_193)] == [1, 1, 2, 3]
    assert read_units(100, consistent=False) == 0.5


def test_each_part_of_an_amount_has_the_price_of_its_tier() -> None:
    tiers = ((10.0, 3.0), (20.0, 2.0), (float("inf"), 1.0))
    assert [tiered(tiers, amount) for amount in (0, 5, 10, 15, 20, 25)] == [0, 15, 30, 40, 50, 55]
    assert price("rest call", 1_000e6) == pytest.approx(333 * 3.5 + 667 * 2.8)


def test_every_price_has_a_source_and_falls_with_the_amount() -> None:
    for each in PRICES.values():
        assert each.source.startswith("https://aws.amazon.com/")
        bounds, dollars = zip(*each.tiers, strict=True)
        assert list(bounds) == sorted(bounds)
        assert bounds[-1] == float("inf")
        assert list(dollars) == sorted(dollars, reverse=True)
        assert min(dollars) > 0
