"""Verdict and alarms of a report cannot disagree: whatever it measured."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fraud.monitoring import Figures, MonitoringPolicy, Subject
from fraud.monitoring_verdict import counted, judge
from infra.observability.bounds import bounds

POLICY = MonitoringPolicy()
TOLD_BY: dict[str, Subject] = {
    "ExactlyOnceViolations": "exactly once",
    "ScoreDrift": "scores",
    "DriftedFeatures": "features",
    "MissingDrift": "missing values",
    "SkewedFeatures": "consistency",
    "LabelSilence": "labels",
}

_shares = st.floats(0, 1) | st.sampled_from([0.01, 0.1, 0.2, 0.25])
_indices = st.none() | st.floats(0, 2) | st.just(POLICY.maximum_score_index)
_counts = st.sampled_from([0, 1, 5])


@st.composite
def figures(draw: st.DrawFn) -> Figures:
    features = draw(st.sampled_from([0, 10, 90]))
    skew = draw(st.none() | _shares)
    silence = draw(st.none() | st.integers(0, 200 * 3_600) | st.just(72 * 3_600))
    return Figures(
        decisions=draw(st.sampled_from([0, 999, 1_000, 50_000])),
        score_index=draw(_indices),
        features=features,
        drifted=draw(st.integers(0, features)),
        missing_change=draw(st.none() | _shares),
        rate_change=draw(st.none() | st.floats(-1, 1)),
        frauds=draw(st.sampled_from([0, 29, 30, 900])),
        calibration_least=draw(st.none() | st.floats(1, 5)),
        auc_most=draw(st.none() | _shares),
        auc_before=draw(st.none() | _shares),
        # The job tells both of the same features: see test_monitor.
        skewed=draw(st.integers(1, 9)) if skew is not None and skew > POLICY.maximum_mismatch else 0,
        skew=skew,
        decided_twice=draw(_counts),
        lost=draw(_counts),
        label_silence=None if silence is None else float(silence),
    )


@given(figures())
def test_an_alarm_goes_off_exactly_where_the_verdict_finds_its_bound_passed(found: Figures) -> None:
    verdict, told = judge(found, POLICY), counted(found, POLICY)
    kept = {each.subject: each.kept for each in verdict.findings}
    loud = {each.measure for each in bounds(POLICY) if told[each.measure] > each.most}
    assert loud - {"FailedFindings"} == {name for name, subject in TOLD_BY.items() if not kept[subject]}
    assert verdict.passed == (not loud)


def test_every_bound_is_one_of_these() -> None:
    assert {each.measure for each in bounds(POLICY)} == {*TOLD_BY, "FailedFindings"}
    # The next report always says something of each, so that no alarm outlives its cause.
    assert {each.measure for each in bounds(POLICY)} <= counted(Figures(), POLICY).keys()
    assert msgspec.structs.asdict(POLICY)["maximum_score_index"] == 0.25
