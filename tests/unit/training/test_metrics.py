import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from training.bootstrap import difference_interval
from training.curves import curves
from training.metrics import (
    RankedScores,
    card_precision_at_k,
    expected_calibration_error,
    recall_at_false_positive_rate,
    summarise,
)

# Few distinct scores, so that ties are the rule.
rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(0, 4)), min_size=2, max_size=60)


@settings(deadline=None)
@given(rows)
def test_average_precision_is_that_of_scikit_learn_with_ties_and_weights(
    drawn: list[tuple[int, int, int]],
) -> None:
    labels = np.array([row[0] for row in drawn], dtype=np.int8)
    scores = np.array([row[1] / 12 for row in drawn])
    weights = np.array([row[2] for row in drawn], dtype=np.float64)
    ranked = RankedScores(labels, scores)
    if labels.any():
        assert ranked.average_precision() == pytest.approx(sk.average_precision_score(labels, scores))
    else:
        assert np.isnan(ranked.average_precision())
    kept = weights > 0
    if labels[kept].any():
        expected = sk.average_precision_score(labels[kept], scores[kept], sample_weight=weights[kept])
        assert ranked.average_precision(weights) == pytest.approx(expected)
    else:
        assert np.isnan(ranked.average_precision(weights))


@settings(deadline=None)
@given(rows, st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]))
def test_recall_at_a_false_positive_rate_by_trying_every_threshold(
    drawn: list[tuple[int, int, int]], rate: float
) -> None:
    labels = np.array([row[0] for row in drawn], dtype=np.int8)
    scores = np.array([row[1] / 12 for row in drawn])
    found = recall_at_false_positive_rate(labels, scores, rate)
    if not 0 < labels.sum() < len(labels):
        assert np.isnan(found)
        return
    best = 0.0
    for threshold in {*scores.tolist(), 2.0}:
        flagged = scores >= threshold
        if flagged[labels == 0].mean() <= rate:
            best = max(best, float(flagged[labels == 1].mean()))
    assert found == pytest.approx(best)


def test_calibration_error_by_hand() -> None:
    scores = np.array([0.1, 0.1, 0.8, 0.8])
    labels = np.array([0, 1, 1, 1], dtype=np.int8)
    # |0.1 - 0.5| on one half of the rows, |0.8 - 1.0| on the other.
    assert expected_calibration_error(labels, scores, bins=2) == pytest.approx(0.3)


def test_card_precision_by_hand() -> None:
    day = 86_400_000
    cards = np.array([0, 0, 1, 2, 0, 1], dtype=np.int64)
    times = np.array([0, 1, 2, 3, day, day + 1], dtype=np.int64)
    scores = np.array([0.1, 0.9, 0.5, 0.2, 0.3, 0.4])
    labels = np.array([1, 0, 0, 1, 1, 0], dtype=np.int8)
    # Day one: cards 0 (fraud) and 1 look worst; day two has fewer cards than three only for k = 3.
    assert card_precision_at_k(labels, scores, cards, times, k=2) == pytest.approx((0.5 + 0.5) / 2)
    assert card_precision_at_k(labels, scores, cards, times, k=3) == pytest.approx(2 / 3)
    assert np.isnan(card_precision_at_k(labels, scores, cards, times, k=4))


def test_a_summary_says_none_where_one_class_cannot_tell() -> None:
    labels, scores = np.zeros(5, dtype=np.int8), np.linspace(0.1, 0.5, 5)
    numbers = np.arange(5, dtype=np.int64)
    figures = summarise(labels, scores, numbers, numbers)
    assert figures["auc"] is None
    assert figures["average_precision"] is None
    assert figures["brier"] == pytest.approx(float(np.mean(scores**2)))


def _noisy_pair(cards: int) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(3)
    owner = generator.integers(0, cards, 4_000)
    labels = (generator.uniform(size=4_000) < 0.05).astype(np.int8)
    good = np.clip(labels * 0.5 + generator.normal(0.2, 0.2, 4_000), 0, 1)
    return labels, good, generator.uniform(size=4_000), owner


def test_the_interval_finds_a_clear_difference_and_no_difference() -> None:
    labels, good, random, owner = _noisy_pair(400)
    clear = difference_interval(labels, good, random, owner, resamples=100, seed=1)
    assert clear is not None
    assert 0.2 < clear.low < clear.high
    same = difference_interval(labels, good, good, owner, resamples=20, seed=1)
    assert same is not None
    assert (same.low, same.high) == (0.0, 0.0)
    assert clear == difference_interval(labels, good, random, owner, resamples=100, seed=1)


def test_the_interval_is_wider_when_few_cards_hold_the_frauds() -> None:
    labels, good, random, owner = _noisy_pair(4_000)
    grouped = owner.copy()
    grouped[labels == 1] = grouped[labels == 1] % 6
    many = difference_interval(labels, good, random, owner, resamples=150, seed=1)
    few = difference_interval(labels, good, random, grouped, resamples=150, seed=1)
    assert many is not None
    assert few is not None
    assert few.high - few.low > 1.2 * (many.high - many.low)


def test_no_fraud_gives_no_interval() -> None:
    nothing = np.zeros(10, dtype=np.int8)
    scores, cards = np.linspace(0, 1, 10), np.arange(10)
    assert difference_interval(nothing, scores, scores, cards, resamples=5, seed=1) is None


def test_curves_are_points_of_the_full_curve_and_count_every_row() -> None:
    labels, good, _, _ = _noisy_pair(50)
    drawn = curves(labels, good)
    precision, recall, _ = sk.precision_recall_curve(labels, good)
    full = {(round(float(r), 6), round(float(p), 6)) for r, p in zip(recall, precision, strict=True)}
    points = drawn["precision_recall"]
    assert 50 < len(points["recall"]) <= 200
    assert set(zip(points["recall"], points["precision"], strict=True)) <= full
    assert (points["recall"][0], points["recall"][-1]) == (0.0, 1.0)
    assert sum(each["rows"] for each in drawn["reliability"]) == len(labels)
    histogram = drawn["score_histogram"]
    assert sum(histogram["genuine"]) + sum(histogram["fraud"]) == len(labels)
