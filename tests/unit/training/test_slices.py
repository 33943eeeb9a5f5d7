"""Slices and weeks: a row of weight n is the row n times."""

import numpy as np
import pytest

from training.assessment import Assessment
from training.money import BY_DEFAULT
from training.parts import Part
from training.slices import slice_figures, weekly_figures

DAY = 86_400_000
ROWS = 400
RANDOM = np.random.default_rng(3)
LABELS = (RANDOM.random(ROWS) < 0.2).astype(np.int8)
SCORES = np.clip(0.2 * RANDOM.random(ROWS) + 0.3 * LABELS * (RANDOM.random(ROWS) < 0.6), 0, 1)
CHAMPION = RANDOM.random(ROWS) * 0.3
TIMES = RANDOM.integers(0, 20, ROWS)


def _part(places: np.ndarray, weights: np.ndarray) -> Part:
    return Part(
        times=TIMES[places] * DAY,
        cards=places % 40,
        vectors=np.zeros((len(places), 1)),
        labels=LABELS[places],
        amounts=20_000 + places,
        merchants=np.array(["shop", "stall"], object)[places % 2],
        countries=np.array(["FR", ""], object)[places % 2],
        new_cards=places % 3 == 0,
        weights=weights,
    )


def test_a_weight_is_as_many_rows_in_every_slice_and_week() -> None:
    times = np.where(np.arange(ROWS) % 5 == 0, 7, 1)
    every, repeated = np.arange(ROWS), np.repeat(np.arange(ROWS), times)
    whole, long = _part(every, times.astype(np.float64)), _part(repeated, np.ones(len(repeated)))
    one = slice_figures(whole, SCORES, CHAMPION, resamples=20)
    two = slice_figures(long, SCORES[repeated], CHAMPION[repeated], resamples=20)
    plain = slice_figures(_part(every, np.ones(ROWS)), SCORES, CHAMPION, resamples=20)
    for name in ("candidate", "champion", "difference", "difference_95"):
        assert [each.get(name) for each in one] == [pytest.approx(each.get(name)) for each in two]
        assert [each.get(name) for each in one] != [pytest.approx(each.get(name)) for each in plain]

    books = [
        Assessment.of(part, scores, BY_DEFAULT) for part, scores in ((whole, SCORES), (long, SCORES[repeated]))
    ]
    weeks = [weekly_figures(each.part, each.scores, each.ledger) for each in books]
    assert len(weeks[0]) >= 3
    for first, second in zip(*weeks, strict=True):
        counted = ("rows", "frauds")
        assert {name: each for name, each in first.items() if name not in counted} == {
            name: each if isinstance(each, str) else pytest.approx(each)
            for name, each in second.items()
            if name not in counted
        }
