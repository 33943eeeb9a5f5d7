"""Figures against bounds: what is judged, what is said of it, and what calls for a retraining."""

import msgspec
import pytest

from fraud.measures import MEASURES
from fraud.monitoring import Figures, MonitoringPolicy
from fraud.monitoring_verdict import counted, judge

POLICY = MonitoringPolicy()
WELL = Figures(
    decisions=5_000,
    champion="run-1",
    score_index=0.02,
    features=90,
    drifted=2,
    feature_index=0.4,
    drifted_feature="card_count_30d",
    missing_change=0.01,
    missing_feature="ip_count_1h",
    approve=0.9,
    challenge=0.06,
    review=0.03,
    decline=0.01,
    rate_change=-0.02,
    rate_action="approve",
    matured=4_000,
    frauds=60,
    calibration_error=0.004,
    calibration_factor=1.3,
    calibration_least=1.0,
    auc=0.93,
    auc_most=0.96,
    auc_before=0.95,
    skewed=0,
    skewed_feature="card_count_1h",
    skew=0.001,
    label_silence=3_600.0,
)


def test_a_world_as_it_was_passes_and_every_bound_is_judged() -> None:
    verdict = judge(WELL, POLICY)
    assert (verdict.passed, verdict.retrain) == (True, False)
    assert all(each.judged and each.kept for each in verdict.findings)
    assert verdict.reason == "9 of 9 bounds were judged, and all are kept."


@pytest.mark.parametrize(
    ("change", "subject", "retrains", "sentence"),
    [
        ({"score_index": 0.3}, "scores", True, "an index of 0.300, and 0.25 is allowed"),
        ({"drifted": 30}, "features", True, "30 of 90 features have drifted"),
        ({"calibration_factor": 3.0, "calibration_least": 2.2}, "calibration", True, "factor of 3.00 apart"),
        ({"auc": 0.8, "auc_most": 0.85}, "ranking", True, "a loss of 0.1000 or more"),
        ({"missing_change": 0.4}, "missing values", False, "ip_count_1h lacks a value in 40.0% more"),
        ({"rate_change": -0.2}, "decisions", False, "'approve' moved by -20.0%"),
        ({"skew": 0.5}, "consistency", False, "card_count_1h was other than it should have been in 50.00%"),
        ({"decided_twice": 1}, "exactly once", False, "1 payments were decided on a second time"),
        ({"lost": 2}, "exactly once", False, "2 that were reported on in it have no decision"),
        ({"label_silence": 4 * 86_400.0}, "labels", False, "96.0 hours ago, and 72 are allowed"),
    ],
)
def test_each_bound_is_told_in_a_sentence_and_only_a_changed_world_is_learned_anew(
    change: dict[str, float], subject: str, retrains: bool, sentence: str
) -> None:
    verdict = judge(msgspec.structs.replace(WELL, **change), POLICY)
    assert [each.subject for each in verdict.findings if not each.kept] == [subject]
    assert (verdict.passed, verdict.retrain) == (False, retrains)
    assert sentence in verdict.reason


def test_what_starts_a_retraining_is_the_policys_to_say() -> None:
    drifted = msgspec.structs.replace(WELL, score_index=0.3)
    assert not judge(drifted, MonitoringPolicy(retrain_on=("features",))).retrain
    assert judge(drifted, MonitoringPolicy(retrain_on=("scores",))).retrain


def test_few_rows_and_few_frauds_are_not_judged() -> None:
    few = msgspec.structs.replace(
        WELL,
        decisions=999,
        frauds=29,
        score_index=9.0,
        drifted=90,
        missing_change=1.0,
        rate_change=1.0,
        auc_most=0.1,
    )
    verdict = judge(few, POLICY)
    assert verdict.passed
    unjudged = {each.subject for each in verdict.findings if not each.judged}
    assert unjudged == {"scores", "features", "missing values", "decisions", "calibration", "ranking"}


def test_nothing_at_all_is_not_judged_but_for_once() -> None:
    verdict = judge(Figures(), POLICY)
    assert verdict.passed
    assert [each.subject for each in verdict.findings if each.judged] == ["exactly once"]


def test_every_measure_of_drift_is_counted_and_no_other_one() -> None:
    declared = {name for name, each in MEASURES.items() if "watch_drift" in each.of}
    assert counted(WELL, POLICY).keys() == declared
    assert counted(msgspec.structs.replace(WELL, decided_twice=2, lost=1), POLICY)["ExactlyOnceViolations"] == 3
    assert counted(WELL, POLICY)["FailedFindings"] == 0
    assert counted(msgspec.structs.replace(WELL, rate_change=-0.2, lost=1), POLICY)["FailedFindings"] == 2


def test_what_is_not_judged_ends_an_alarm_and_is_shown_only_if_known() -> None:
    shown = {"FeatureDrift", "ApprovalRate", "ChallengeRate", "CalibrationError", "MaturedAuc"}
    assert counted(WELL, POLICY).keys() - counted(Figures(), POLICY).keys() == shown
    assert set(counted(Figures(), POLICY).values()) == {0.0}
    few = msgspec.structs.replace(WELL, decisions=999, score_index=9.0, drifted=90, missing_change=1.0)
    told = counted(few, POLICY)
    assert [told[name] for name in ("ScoreDrift", "DriftedFeatures", "MissingDrift")] == [0, 0, 0]
    assert told["FeatureDrift"] == 0.4


@pytest.mark.parametrize(
    "field", [{"days": 0}, {"cool_down_days": 0}, {"chance": 1}, {"retrain_on": ["labels"]}, {"x": 1}]
)
def test_a_policy_that_cannot_be_meant_is_refused(field: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(field, MonitoringPolicy)
