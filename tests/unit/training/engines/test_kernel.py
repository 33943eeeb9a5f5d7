"""What the kernel has of its own: 128-bit arithmetic and the grouping by key, against Python's integers."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.events import MOST_AMOUNT
from fraud.features import derive
from training.engines.kernel import group_by_key, spread
from training.engines.vectorised import _SAFE

amounts = st.lists(
    st.tuples(st.one_of(st.integers(0, 1_000), st.integers(0, MOST_AMOUNT)), st.integers(1, 2**31)),
    min_size=1,
    max_size=4,
)
"""(amount, how many of it)"""


def _compiled(count: int, total: int, squares: int) -> float:
    high, low = divmod(squares, 2**64)
    return float(spread(count, total, np.uint64(high), np.uint64(low)))


@given(amounts)
@settings(max_examples=500)
def test_spread_is_that_of_serving_up_to_what_the_kernel_takes(paid: list[tuple[int, int]]) -> None:
    largest = max(amount for amount, _ in paid)
    paid = [(amount, max(1, min(times, (_SAFE - 1) // max(largest, 1) // len(paid)))) for amount, times in paid]
    count = sum(times for _, times in paid)
    assert count * largest < _SAFE
    total = sum(amount * times for amount, times in paid)
    squares = sum(amount**2 * times for amount, times in paid)
    assert _compiled(count, total, squares) == derive.spread(count, total, squares)


@given(st.integers(1, 2**20), st.integers(0, 2**40), st.integers(-3, 3), st.integers(0, 120))
@settings(max_examples=500)
def test_spread_rounds_to_the_nearest_and_ties_to_even(count: int, total: int, off: int, shift: int) -> None:
    """Around every power of two, where a float has no place for the last bits."""
    squares = (total * total + (1 << shift) + off + (1 << max(0, shift - 53))) // count + 1
    if squares < 2**106:
        assert _compiled(count, total, squares) == derive.spread(count, total, squares)


@given(st.lists(st.integers(-1, 5), max_size=40), st.randoms(use_true_random=False))
def test_rows_are_grouped_by_key_in_the_order_given(codes: list[int], rng: object) -> None:
    order = rng.sample(range(len(codes)), len(codes))  # type: ignore[attr-defined]
    for given_order in ([], order):
        starts, members = group_by_key(np.array(codes, np.int32), np.array(given_order, np.int32), 6)
        found = [members[a:b].tolist() for a, b in pairwise(starts)]
        rows = given_order or range(len(codes))
        assert found == [[row for row in rows if codes[row] == key] for key in range(6)]
