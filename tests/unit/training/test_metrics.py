import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from fraud.calibration import Calibration, calibrate
from training.bootstrap import difference_interval
from training.contract import ProgramError
from training.curves import curves
from training.metrics import (
    RankedScores,
    card_precision_at_k,
    expected_calibration_error,
    recall_at_false_positive_rate,
    summarise,
)
from training.platt import apply_platt, fit_platt, margins

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


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(-6, -0.1), st.floats(-5, 5))
def test_calibration_of_arrays_is_that_of_serving(raw: float, a: float, b: float) -> None:
    calibration = Calibration(a=a, b=b)
    assert apply_platt(np.array([raw]), calibration)[0] == pytest.approx(calibrate(raw, calibration), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.3, 3), st.floats(-4, 1))
def test_platt_is_an_unpenalised_logistic_regression(seed: int, slope: float, level: float) -> None:
    generator = np.random.default_rng(seed)
    raw = generator.uniform(0.001, 0.999, 3_000)
    truth = 1 / (1 + np.exp(-(slope * margins(raw) + level)))
    labels = (generator.uniform(size=len(raw)) < truth).astype(np.int8)
    fitted = fit_platt(raw, labels)
    unfitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000)  # type: ignore[no-untyped-call]
    reference = unfitted.fit(margins(raw)[:, None], labels)
    # Platt's targets lie a little inside 0 and 1, hence not to the last digit.
    assert -fitted.a == pytest.approx(float(reference.coef_[0, 0]), rel=0.05, abs=0.02)
    assert -fitted.b == pytest.approx(float(reference.intercept_[0]), rel=0.05, abs=0.05)
    assert apply_platt(raw, fitted).mean() == pytest.approx(labels.mean(), abs=0.005)


def test_platt_stays_finite_on_scores_that_separate_the_classes() -> None:
    raw = np.array([1e-9] * 50 + [1 - 1e-9] * 5)
    labels = np.array([0] * 50 + [1] * 5, dtype=np.int8)
    fitted = fit_platt(raw, labels)
    assert np.isfinite([fitted.a, fitted.b]).all()
    assert fitted.a < 0
    scores = apply_platt(raw, fitted)
    assert scores[0] < 0.05
    assert scores[-1] > 0.8


def test_platt_sets_the_level_of_a_constant_model() -> None:
    labels = np.array([1] * 10 + [0] * 90, dtype=np.int8)
    scores = apply_platt(np.full(100, 0.4), fit_platt(np.full(100, 0.4), labels))
    assert scores == pytest.approx(np.full(100, 11 / 102))


def test_platt_refuses_one_class_and_a_model_that_is_upside_down() -> None:
    raw = np.linspace(0.01, 0.99, 200)
    with pytest.raises(ProgramError, match="0 frauds and 200 genuine"):
        fit_platt(raw, np.zeros(200, dtype=np.int8))
    with pytest.raises(ProgramError, match="worse than none"):
        fit_platt(raw, (raw < 0.2).astype(np.int8))


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
