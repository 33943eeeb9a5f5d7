"""The stability index and its noise: what moved is told, and what is chance is not."""

import numpy as np
import pytest

from training.drift import (
    MOST_DRAWN,
    Sample,
    feature_drift,
    in_deciles,
    in_steps,
    noise,
    score_drift,
    surely_moved,
)
from training.profile import profile_of, stability_index

NAMES = tuple(f"f{number}" for number in range(20))


def _rows(seed: int, rows: int, *, shift: float = 0.0) -> np.ndarray:
    found = np.random.default_rng(seed).gamma(2.0, 100.0, (rows, len(NAMES)))
    found[:, 0] += shift
    return found


def test_noise_is_what_chance_reaches_and_hardly_more() -> None:
    # Of 1,000 worlds without drift, 1 in 100 may be above the level of 1 in 100: some 10, and never 25 or none.
    above = 0
    generator = np.random.default_rng(3)
    for _ in range(1_000):
        before, now = generator.normal(size=(2, 500))
        profile = in_deciles(before)
        above += stability_index(profile, 500, now) > noise(10, 500, 500, 0.01)
    assert 2 <= above <= 25


def test_fewer_rows_make_more_noise_and_none_make_it_infinite() -> None:
    levels = [noise(11, rows, 10_000, 0.001) for rows in (10_000, 1_000, 100, 10)]
    assert levels == sorted(levels)
    assert levels[0] < 0.01 < 0.25 < levels[2]
    assert noise(11, 0, 100, 0.001) == float("inf")


@pytest.mark.parametrize(("rows", "drifted"), [(2_000, {"f0"}), (40, set())])
def test_a_shift_is_drift_where_there_are_rows_enough_to_tell(rows: int, drifted: set[str]) -> None:
    profile = profile_of(NAMES, _rows(1, 5_000), np.zeros(5_000, np.int8))
    moved = 150.0 if rows > 40 else 30.0
    found = feature_drift(
        profile, NAMES, _rows(2, rows, shift=moved), Sample(rows, rows), bound=0.25, chance=0.001
    )
    assert {each.name for each in found if each.drifted} == drifted
    assert len(found) == len(NAMES)
    assert [each.bins is not None for each in found] == [True] * MOST_DRAWN + [False] * (len(NAMES) - MOST_DRAWN)
    assert found[0].name == "f0" or not drifted


def test_rows_of_one_card_do_not_count_as_many() -> None:
    profile = profile_of(NAMES, _rows(1, 5_000), np.zeros(5_000, np.int8))
    shifted = _rows(2, 2_000, shift=150.0)
    many, one = (
        feature_drift(profile, NAMES, shifted, Sample(2_000, cards), bound=0.25, chance=0.001)
        for cards in (2_000, 5)
    )
    assert [each.index for each in many] == sorted((each.index for each in many), reverse=True)
    assert many[0].drifted
    assert not any(each.drifted for each in one)


def test_a_feature_that_begins_to_be_missing_is_seen_and_one_row_less_is_not() -> None:
    profile = profile_of(NAMES, _rows(1, 5_000), np.zeros(5_000, np.int8))
    now = _rows(2, 2_000)
    now[:300, 4] = np.nan
    now[0, 5] = np.nan
    found = {
        each.name: each
        for each in feature_drift(profile, NAMES, now, Sample(2_000, 2_000), bound=0.25, chance=0.001)
    }
    assert [name for name, each in found.items() if each.missing_moved] == ["f4"]
    assert found["f4"].missing == pytest.approx(0.15)


def test_only_what_both_sides_have_is_compared() -> None:
    profile = profile_of(("f1", "gone"), _rows(1, 100)[:, :2], np.zeros(100, np.int8))
    found = feature_drift(profile, NAMES, _rows(2, 100), Sample(100, 100), bound=0.25, chance=0.001)
    assert [each.name for each in found] == ["f1"]


def test_scores_are_compared_with_the_steps_of_an_evaluation() -> None:
    generator = np.random.default_rng(5)
    edges = [step / 20 for step in range(21)]
    counts = np.histogram(generator.beta(1, 15, 20_000), edges)[0].tolist()
    same, other = generator.beta(1, 15, 3_000), generator.beta(3, 15, 3_000)
    told = [
        score_drift("evaluation", in_steps(edges, counts), 20_000, scores, Sample(3_000, 3_000), chance=0.001)
        for scores in (same, other)
    ]
    assert told[0].told == 0.0
    assert told[0].index < told[0].noise
    assert told[1].told == told[1].index > 0.25
    assert sum(told[1].bins.now) == pytest.approx(1) == sum(told[1].bins.before)


def test_a_share_moves_surely_or_by_chance() -> None:
    assert surely_moved(0.10, 0.05, 2_000, 2_000)
    assert not surely_moved(0.10, 0.05, 50, 2_000)
    assert not surely_moved(0.0, 0.0, 10, 10)
