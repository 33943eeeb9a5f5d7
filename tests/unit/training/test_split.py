import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.split import cut_by_time, too_thin


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=80).map(sorted), st.floats(0.05, 0.4), st.floats(0.05, 0.4)
)
def test_every_part_is_strictly_later_than_the_one_before(
    times: list[int], validation: float, evaluation: float
) -> None:
    array = np.array(times, dtype=np.int64)
    parts = cut_by_time(array, validation_share=validation, evaluation_share=evaluation).slices(len(times))
    pieces = [array[rows] for rows in parts.values()]
    assert np.concatenate(pieces).tolist() == times
    filled = [piece for piece in pieces if len(piece)]
    assert all(first.max() < second.min() for first, second in itertools.pairwise(filled))


def test_shares_are_those_asked_for_when_no_times_are_equal() -> None:
    parts = cut_by_time(np.arange(200), validation_share=0.15, evaluation_share=0.2).slices(200)
    assert {name: rows.stop - rows.start for name, rows in parts.items()} == {
        "train": 130,
        "validation": 30,
        "evaluation": 40,
    }


@pytest.mark.parametrize(
    ("frauds", "message"),
    [
        ([], "The train part .* holds 0 frauds and 130 genuine"),
        ([*range(0, 130), 131], "The train part .* holds 130 frauds and 0 genuine"),
        ([*range(10), *range(130, 134), *range(160, 170)], "The validation part .* holds 4 frauds and 26 genuine"),
        (
            [*range(10), *range(130, 140)],
            "The evaluation part .* holds 0 frauds and 40 genuine .*minimum_frauds",
        ),
    ],
)
def test_a_thin_part_is_told_with_its_counts(frauds: list[int], message: str) -> None:
    times = np.arange(200) * 3_600_000
    labels = np.zeros(200, dtype=np.int8)
    labels[frauds] = 1
    cuts = cut_by_time(times, validation_share=0.15, evaluation_share=0.2)
    assert re.match(message, too_thin(times, labels, cuts, minimum=5))


def test_parts_that_hold_enough_are_not_too_thin() -> None:
    times, labels = np.arange(200), np.zeros(200, dtype=np.int8)
    labels[::10] = 1
    cuts = cut_by_time(times, validation_share=0.15, evaluation_share=0.2)
    assert too_thin(times, labels, cuts, minimum=3) == ""
    assert "validation" in too_thin(times, labels, cuts, minimum=4)
