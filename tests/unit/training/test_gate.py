import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.release import GatePolicy
from training.evaluate import _facts as facts_of
from training.gate import Facts, judge

unit = st.floats(0, 1)
policies = st.builds(
    GatePolicy,
    minimum_gain=st.floats(0, 0.2),
    minimum_lift=st.floats(1, 10),
    maximum_calibration_error=st.floats(0.01, 0.2),
)


def _facts(average_precision: float, champion: float | None, error: float = 0.0, base_rate: float = 0.02) -> Facts:
    return Facts(
        rows=1_000,
        frauds=20,
        base_rate=base_rate,
        average_precision=average_precision,
        calibration_error=error,
        champion_average_precision=champion,
        champion_version="v1",
        confidence=1.0,
    )


@settings(deadline=None)
@given(policies, unit, unit)
def test_who_is_not_better_never_takes_the_place(policy: GatePolicy, first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert not judge(_facts(low, high), policy).passed


@settings(deadline=None)
@given(policies, unit, st.one_of(st.none(), unit), unit, unit)
def test_a_better_candidate_is_never_judged_worse(
    policy: GatePolicy, candidate: float, champion: float | None, error: float, more: float
) -> None:
    if judge(_facts(candidate, champion, error), policy).passed:
        assert judge(_facts(min(1.0, candidate + more), champion, error), policy).passed
        assert judge(_facts(candidate, champion, error * more), policy).passed


@settings(deadline=None)
@given(policies, st.one_of(st.none(), unit))
def test_wrong_probabilities_are_refused_however_good_the_ranking(
    policy: GatePolicy, champion: float | None
) -> None:
    verdict = judge(_facts(1.0, champion, policy.maximum_calibration_error + 0.001), policy)
    assert not verdict.passed
    assert "calibration error" in verdict.reason


@settings(deadline=None)
@given(policies, st.sampled_from(["candidate", "champion", "error"]))
def test_a_figure_that_is_not_a_number_is_refused(policy: GatePolicy, place: str) -> None:
    facts = _facts(
        math.nan if place == "candidate" else 1.0,
        math.nan if place == "champion" else 0.0,
        math.nan if place == "error" else 0.0,
    )
    assert not judge(facts, policy).passed


def test_the_first_model_must_clearly_beat_guessing() -> None:
    policy = GatePolicy(minimum_lift=3.0)
    assert judge(_facts(0.07, None), policy).passed
    refused = judge(_facts(0.05, None), policy)
    assert not refused.passed
    assert "hardly better than guessing" in refused.reason
    assert judge(_facts(1.0, None, base_rate=0.5), policy).passed


def test_a_gain_counts_from_the_minimum_on() -> None:
    policy = GatePolicy(minimum_gain=0.25)
    assert judge(_facts(0.75, 0.5), policy).passed
    refused = judge(_facts(0.74, 0.5), policy)
    assert not refused.passed
    assert "champion v1" in refused.reason
    assert "+0.2400" in refused.reason
    assert not judge(_facts(0.5, 0.5), GatePolicy(minimum_gain=0.0)).passed


@settings(deadline=None)
@given(policies, unit, st.one_of(st.none(), unit))
def test_no_model_is_promoted_whose_features_serving_does_not_see(
    policy: GatePolicy, average_precision: float, champion: float | None
) -> None:
    facts = replace(
        _facts(average_precision, champion),
        compared=1_234,
        settled=400,
        settled_feature="card_count_1h",
        settled_mismatch=0.0101,
    )
    verdict = judge(facts, policy)
    assert not verdict.passed
    assert verdict.reason == (
        "Not promoted: serving saw another card_count_1h than it should have in 1.01% of 400 decisions that no "
        "lag explains, above the bound of 1.00%; see consistency.html of the dataset."
    )


@settings(deadline=None)
@given(policies, unit, st.one_of(st.none(), unit), st.sampled_from([0, 7]))
def test_no_model_is_promoted_whose_features_are_far_behind(
    policy: GatePolicy, average_precision: float, champion: float | None, unjudged: int
) -> None:
    facts = replace(
        _facts(average_precision, champion),
        compared=1_234,
        lagging_feature="merchant_count_1h",
        lagging_mismatch=0.7501,
        unjudged=unjudged,
    )
    verdict = judge(facts, policy)
    assert not verdict.passed
    assert (
        "serving saw another merchant_count_1h than it should have in 75.01% of 1,234 decisions, above the bound "
        "of 75.00%: the features are far behind" in verdict.reason
    )
    assert ("7 of its features had too few" in verdict.reason) == bool(unjudged)


@settings(deadline=None)
@given(policies, unit, st.one_of(st.none(), unit))
def test_a_few_mismatches_change_no_verdict(
    policy: GatePolicy, average_precision: float, champion: float | None
) -> None:
    facts = _facts(average_precision, champion)
    few = replace(
        facts,
        compared=1_234,
        settled=100,
        settled_feature="card_count_1h",
        settled_mismatch=0.01,
        lagging_feature="merchant_count_1h",
        lagging_mismatch=0.75,
        unjudged=3,
    )
    first, second = judge(few, policy), judge(facts, policy)
    assert (first.passed, first.reason) == (second.passed, second.reason)


@pytest.mark.parametrize(
    ("changes", "name", "sentence"),
    [
        (
            {"confidence": 0.79},
            "minimum_confidence",
            "the better one in only 79% of the resamples by card where 80%",
        ),
        ({"confidence": math.nan}, "minimum_confidence", "the gain may be luck"),
        (
            {"slice_name": "country FR", "slice_loss": 0.11, "slice_frauds": 40},
            "maximum_slice_loss",
            "for country FR its average precision is 0.1100 below that of champion v1 on 40 frauds",
        ),
        (
            {"calibration_factor": 2.01},
            "maximum_calibration_factor",
            "are a factor of 2.01 apart, above the bound of 2,",
        ),
        ({"calibration_factor": math.inf}, "maximum_calibration_factor", "cannot be read as probabilities"),
        ({"latency_us": 20_001.0}, "maximum_latency_us", "takes 20,001 microseconds in the median"),
        ({"bundle_bytes": 50_000_001}, "maximum_bundle_bytes", "50,000,001 bytes, above the bound of 50,000,000"),
    ],
)
def test_each_bound_fails_a_candidate_with_its_sentence(
    changes: dict[str, object], name: str, sentence: str
) -> None:
    good = _facts(0.8, 0.5)
    assert judge(good, GatePolicy()).passed
    verdict = judge(replace(good, **changes), GatePolicy())  # type: ignore[arg-type] # Names and types are Facts' own.
    assert not verdict.passed
    assert sentence in verdict.reason
    assert [check.name for check in verdict.checks if not check.passed] == [name]


def _document(*slices: dict[str, object], mean_score: float = 0.001) -> dict[str, object]:
    figures = {"average_precision": 0.5, "expected_calibration_error": 0.0004, "mean_score": mean_score}
    return {
        "rows": 100_000,
        "frauds": 100,
        "fraud_rate": 0.001,
        "candidate": {**figures, "average_precision": 0.6},
        "champion": {**figures, "version": "v1"},
        "difference": {"average_precision": {"confidence": 1.0}},
        "consistency": None,
        "slices": slices,
    }


@pytest.mark.parametrize(("mean_score", "passed"), [(0.0019, True), (0.0021, False), (0.0004, False)])
def test_where_fraud_is_rare_the_frauds_promised_are_measured_by_those_there_were(
    mean_score: float, passed: bool
) -> None:
    # 1 in 1,000: even a model that promises none at all has an absolute error of 0.001, far below 0.05.
    verdict = judge(facts_of(_document(mean_score=mean_score)), GatePolicy())
    assert verdict.passed is passed, verdict.reason
    assert [each.name for each in verdict.checks if not each.passed] == ["maximum_calibration_factor"] * (
        not passed
    )


@pytest.mark.parametrize(
    ("reach", "frauds", "passed"),
    [([-0.3, -0.01], 40, False), ([-0.3, 0.01], 40, True), ([-0.3, -0.01], 29, True), (None, 40, True)],
)
def test_a_loss_in_a_slice_counts_if_its_interval_confirms_it(
    reach: list[float] | None, frauds: int, passed: bool
) -> None:
    lost = {"dimension": "country", "value": "FR", "frauds": frauds, "difference": -0.15, "difference_95": reach}
    small = {
        "dimension": "country",
        "value": "DE",
        "frauds": 90,
        "difference": -0.05,
        "difference_95": [-0.08, -0.01],
    }
    verdict = judge(facts_of(_document(small, lost), GatePolicy().minimum_slice_frauds), GatePolicy())
    assert verdict.passed is passed, verdict.reason
    assert ("country FR" in verdict.reason) != passed
