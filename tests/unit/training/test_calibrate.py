"""The calibration: monotone whatever it is fitted to, right on scores that are wrong in a known way."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from fraud.calibration import Calibration, calibrate
from training.arrays import Labels, Scores
from training.calibrate import apply_calibration, fit_beta
from training.contract import ProgramError
from training.metrics import RankedScores

slopes = st.one_of(st.just(0.0), st.floats(0.01, 8))
calibrations = st.one_of(
    st.builds(Calibration, method=st.just("platt"), a=st.floats(-6, -0.1), b=st.floats(-5, 5)),
    st.tuples(slopes, slopes, st.floats(-8, 8))
    .filter(lambda drawn: drawn[0] + drawn[1] > 0)
    .map(lambda drawn: Calibration(method="beta", a=drawn[0], b=drawn[1], c=drawn[2])),
)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), calibrations)
def test_calibration_of_arrays_is_that_of_serving_and_never_changes_a_ranking(
    drawn: list[float], calibration: Calibration
) -> None:
    raw = np.sort(np.array(drawn))
    scores = apply_calibration(raw, calibration)
    assert scores == pytest.approx([calibrate(each, calibration) for each in raw], rel=1e-11)
    assert np.all(np.diff(scores) >= -1e-15)
    assert 0 < scores[0] <= scores[-1] < 1


@pytest.mark.parametrize(
    "wrong", [{"a": -0.1, "b": 1.0}, {"a": 1.0, "b": -0.1}, {"a": 0.0, "b": 0.0}, {"a": float("nan"), "b": 1.0}]
)
def test_a_map_that_is_not_monotone_is_no_calibration(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="train again"):
        Calibration(method="beta", **wrong)


def drawn_labels(seed: int, truth: Scores) -> Labels:
    return (np.random.default_rng(seed).uniform(size=len(truth)) < truth).astype(np.int8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.3, 3), st.floats(0.3, 3), st.floats(-3, 1))
def test_the_fit_is_a_logistic_regression_on_both_logarithms(seed: int, a: float, b: float, c: float) -> None:
    raw = np.random.default_rng(seed).uniform(0.001, 0.999, 4_000)
    labels = drawn_labels(seed + 1, apply_calibration(raw, Calibration(method="beta", a=a, b=b, c=c)))
    assume(100 < labels.sum() < 3_900)
    fitted = fit_beta(raw, labels)
    columns = np.column_stack([np.log(raw), -np.log(1 - raw)])
    unfitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000)  # type: ignore[no-untyped-call]  # scikit-learn has no types
    reference = unfitted.fit(columns, labels)
    scores = apply_calibration(raw, fitted)
    if reference.coef_.min() > 0:
        # The targets lie a little inside 0 and 1 and the slopes are drawn to 1, hence not to the last digit.
        assert scores == pytest.approx(reference.predict_proba(columns)[:, 1], abs=0.02)
    assert scores.mean() == pytest.approx(labels.mean(), abs=0.003)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.floats(0.2, 20))
def test_whatever_it_is_fitted_to_it_is_monotone_or_refused(
    seed: int, frauds: int, genuine: int, s: float
) -> None:
    random = np.random.default_rng(seed)
    labels = np.array([1] * frauds + [0] * genuine, dtype=np.int8)
    raw = np.concatenate([random.beta(2, s, frauds), random.beta(1, s, genuine)])
    try:
        fitted = fit_beta(raw, labels)
    except ProgramError as error:
        assert "worse than none" in str(error)  # noqa: PT017 - most draws are fitted, and those are judged below
        return
    assert min(fitted.a, fitted.b) >= 0 < max(fitted.a, fitted.b)
    assert fitted == fit_beta(raw.copy(), labels.copy()), "the same rows give the same map"
    assert np.all(np.diff(apply_calibration(np.linspace(0, 1, 101), fitted)) >= -1e-15)


def test_scores_that_are_wrong_at_both_ends_are_put_right() -> None:
    """An over-confident model, as boosting makes them, with one fraud in fifty; judged on other rows."""
    truth = np.random.default_rng(1).beta(0.3, 14, 60_000)
    margins = np.log(truth / (1 - truth))
    raw = 1 / (1 + np.exp(-np.where(margins > -3, 2.2 * margins + 4, 0.8 * margins)))
    labels = drawn_labels(2, truth)
    fitted = fit_beta(raw[:30_000], labels[:30_000])
    scores = apply_calibration(raw[30_000:], fitted)
    before = RankedScores(labels[30_000:], raw[30_000:]).under().calibration_error()
    after = RankedScores(labels[30_000:], scores).under().calibration_error()
    assert after < 0.004 < 0.03 < before
    assert scores.mean() == pytest.approx(labels[30_000:].mean(), rel=0.08)


def test_scores_that_validation_does_not_have_are_not_stretched() -> None:
    """All below one in a thousand: what that says of the slope at a half is nothing."""
    random = np.random.default_rng(3)
    raw = random.uniform(1e-5, 1e-3, 20_000)
    fitted = fit_beta(raw, drawn_labels(4, 3 * raw))
    assert fitted.b == pytest.approx(1, abs=0.5)
    assert apply_calibration(np.array([0.5]), fitted)[0] < 0.95


def test_it_stays_finite_on_scores_that_separate_the_classes() -> None:
    raw = np.array([1e-9] * 50 + [1 - 1e-9] * 5)
    labels = np.array([0] * 50 + [1] * 5, dtype=np.int8)
    scores = apply_calibration(raw, fit_beta(raw, labels))
    assert 0.001 < scores[0] < 0.05
    assert 0.8 < scores[-1] < 0.999


def test_it_sets_the_level_of_a_constant_model() -> None:
    labels = np.array([1] * 10 + [0] * 90, dtype=np.int8)
    scores = apply_calibration(np.full(100, 0.4), fit_beta(np.full(100, 0.4), labels))
    assert scores == pytest.approx(np.full(100, 0.1), abs=0.02)


def test_it_refuses_one_class_and_a_model_that_is_upside_down() -> None:
    raw = np.linspace(0.01, 0.99, 200)
    with pytest.raises(ProgramError, match="0 frauds and 200 genuine"):
        fit_beta(raw, np.zeros(200, dtype=np.int8))
    with pytest.raises(ProgramError, match="worse than none"):
        fit_beta(raw, (raw < 0.2).astype(np.int8))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_whole_weights_are_repeated_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    raw = random.uniform(0.01, 0.99, 300)
    labels = drawn_labels(seed + 1, raw)
    weights = random.integers(1, 5, 300)
    weighed = fit_beta(raw, labels, weights.astype(np.float64))
    repeated = fit_beta(np.repeat(raw, weights), np.repeat(labels, weights))
    assert (weighed.a, weighed.b, weighed.c) == pytest.approx((repeated.a, repeated.b, repeated.c), abs=1e-6)
    unweighed = fit_beta(raw, labels)
    assert (weighed.a, weighed.b, weighed.c) != pytest.approx((unweighed.a, unweighed.b, unweighed.c), abs=1e-6)
