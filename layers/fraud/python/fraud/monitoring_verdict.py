"""The verdict on what a look at the lake measured: each bound in a sentence, and the metrics for alarms."""

from collections.abc import Callable

from fraud.monitoring import Figures, Finding, MonitoringPolicy, MonitoringVerdict, Subject

__all__ = ["counted", "judge"]

_HOUR = 3_600.0


def judge(figures: Figures, policy: MonitoringPolicy) -> MonitoringVerdict:
    """Hold the figures to the bounds; the reason is made of the sentences of those that are passed."""
    findings = tuple(each(figures, policy) for each in _LOOKS)
    passed = [each for each in findings if not each.kept]
    retrain = any(each.subject in policy.retrain_on for each in passed)
    unjudged = sum(not each.judged for each in findings)
    if passed:
        reason = " ".join(each.sentence for each in passed)
    else:
        reason = f"{len(findings) - unjudged} of {len(findings)} bounds were judged, and all are kept."
    return MonitoringVerdict(passed=not passed, retrain=retrain, reason=reason, findings=findings)


def counted(figures: Figures, policy: MonitoringPolicy) -> dict[str, float]:
    """The figures under the names of `fraud.measures`.

    Those that an alarm stands on are 0 where the verdict does not judge them: an alarm keeps its state until the
    next figure, and must not keep one that no verdict bears out. Others that the rows cannot tell are left out.
    """
    findings = {each.subject: each for each in judge(figures, policy).findings}

    def judged(subject: Subject, value: float | None) -> float:
        return 0.0 if value is None or not findings[subject].judged else float(value)

    told = {
        "MonitoredDecisions": figures.decisions,
        "FailedFindings": sum(not each.kept for each in findings.values()),
        "ScoreDrift": judged("scores", figures.score_index),
        "FeatureDrift": figures.feature_index,
        "DriftedFeatures": judged("features", findings["features"].measured),
        "MissingDrift": judged("missing values", figures.missing_change),
        "SkewedFeatures": judged("consistency", figures.skewed),
        "ApprovalRate": figures.approve,
        "ChallengeRate": figures.challenge,
        "CalibrationError": figures.calibration_error,
        "MaturedAuc": figures.auc,
        "ExactlyOnceViolations": figures.decided_twice + figures.lost,
        "LabelSilence": judged("labels", figures.label_silence),
    }
    return {name: float(value) for name, value in told.items() if value is not None}


def _scores(figures: Figures, policy: MonitoringPolicy) -> Finding:
    return _upper(
        "scores",
        figures.score_index if _enough(figures, policy) else None,
        policy.maximum_score_index,
        lambda value, bound: f"The champion's scores have an index of {value:.3f}, and {bound:g} is allowed.",
        "There are too few scores of the champion to compare.",
    )


def _features(figures: Figures, policy: MonitoringPolicy) -> Finding:
    share = figures.drifted / figures.features if figures.features and _enough(figures, policy) else None
    worst = f", most of all {figures.drifted_feature}" if figures.drifted else ""
    return _upper(
        "features",
        share,
        policy.maximum_drifted,
        lambda _value, bound: (
            f"{figures.drifted} of {figures.features} features have drifted (index above "
            f"{policy.drifted_from:g}){worst}, and {bound:.0%} may."
        ),
        "There are too few decisions, or no champion, to compare features with.",
    )


def _calibration(figures: Figures, policy: MonitoringPolicy) -> Finding:
    return _upper(
        "calibration",
        figures.calibration_least if figures.frauds >= policy.minimum_frauds else None,
        policy.maximum_calibration_factor,
        lambda value, bound: (
            f"Expected and known frauds are a factor of {figures.calibration_factor or value:.2f} apart, at least "
            f"{value:.2f}, and {bound:g} is allowed."
        ),
        "There are too few known frauds to judge the probabilities by.",
    )


def _ranking(figures: Figures, policy: MonitoringPolicy) -> Finding:
    known = figures.auc, figures.auc_most, figures.auc_before
    loss = None
    if figures.frauds >= policy.minimum_frauds and figures.auc_most is not None and figures.auc_before is not None:
        loss = max(figures.auc_before - figures.auc_most, 0.0)
    now, _, before = (0.0 if each is None else each for each in known)
    return _upper(
        "ranking",
        loss,
        policy.maximum_auc_loss,
        lambda value, bound: (
            f"The AUC is {now:.4f} where the evaluation had {before:.4f}: a loss of {value:.4f} or more, and "
            f"{bound:g} is allowed."
        ),
        "There are too few known frauds, or no evaluation, to judge the ranking by.",
    )


def _missing(figures: Figures, policy: MonitoringPolicy) -> Finding:
    change = figures.missing_change if _enough(figures, policy) else None
    return _upper(
        "missing values",
        change,
        policy.maximum_missing_change,
        lambda value, bound: (
            f"{figures.missing_feature} lacks a value in {value:.1%} more of the payments than before, and "
            f"{bound:.0%} is allowed."
            if figures.missing_feature
            else "No feature lacks a value more often than before."
        ),
        "There are too few decisions, or no champion, to compare missing values with.",
    )


def _rates(figures: Figures, policy: MonitoringPolicy) -> Finding:
    change = figures.rate_change if _enough(figures, policy) else None
    return _upper(
        "decisions",
        None if change is None else abs(change),
        policy.maximum_rate_change,
        lambda _value, bound: (
            f"The share of {figures.rate_action!r} moved by {change:+.1%} against the window before, and "
            f"{bound:.0%} is allowed."
            if figures.rate_action
            else "No action's share moved against the window before."
        ),
        "There are too few decisions in this window or in the one before.",
    )


def _consistency(figures: Figures, policy: MonitoringPolicy) -> Finding:
    return _upper(
        "consistency",
        figures.skew,
        policy.maximum_mismatch,
        lambda value, bound: (
            f"{figures.skewed_feature} was other than it should have been in {value:.2%} of the decisions that no "
            f"lag excuses, and {bound:.2%} is allowed."
            if figures.skewed_feature
            else "Every feature was what it should have been in all decisions that no lag excuses."
        ),
        "There are too few decisions that no lag excuses.",
    )


def _once(figures: Figures, policy: MonitoringPolicy) -> Finding:
    del policy
    return _upper(
        "exactly once",
        float(figures.decided_twice + figures.lost),
        0.0,
        lambda _value, _bound: (
            f"{figures.decided_twice} payments were decided on a second time, and otherwise, in the window, and "
            f"{figures.lost} that were reported on in it have no decision in the lake."
        ),
        "",
    )


def _labels(figures: Figures, policy: MonitoringPolicy) -> Finding:
    return _upper(
        "labels",
        None if figures.label_silence is None else figures.label_silence / _HOUR,
        policy.maximum_label_silence_hours,
        lambda value, bound: f"The last label was recorded {value:.1f} hours ago, and {bound:g} are allowed.",
        "No label was ever recorded.",
    )


_LOOKS: tuple[Callable[[Figures, MonitoringPolicy], Finding], ...] = (
    _once,
    _consistency,
    _scores,
    _features,
    _missing,
    _rates,
    _calibration,
    _ranking,
    _labels,
)


def _enough(figures: Figures, policy: MonitoringPolicy) -> bool:
    return figures.decisions >= policy.minimum_decisions


def _upper(
    subject: Subject, measured: float | None, bound: float, told: Callable[[float, float], str], untold: str
) -> Finding:
    if measured is None:
        return Finding(subject=subject, kept=True, judged=False, sentence=untold, bound=bound)
    return Finding(
        subject=subject,
        kept=measured <= bound,
        judged=True,
        sentence=told(measured, bound),
        measured=measured,
        bound=bound,
    )
