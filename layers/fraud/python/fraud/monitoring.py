"""What a look at the lake is judged by: bounds as data, the figures that they bound, and the verdict.

A figure that the rows cannot tell is None and is not judged. What could be chance is told as no change at all: the
job that measures knows how many rows there were, and nobody after it has to.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["Figures", "Finding", "MonitoringPolicy", "MonitoringVerdict", "Subject"]

type Share = Annotated[float, Meta(ge=0, le=1)]
type Positive = Annotated[float, Meta(gt=0)]
type Count = Annotated[int, Meta(ge=0)]

Subject = Literal[
    "scores",
    "features",
    "calibration",
    "ranking",
    "missing values",
    "decisions",
    "consistency",
    "exactly once",
    "labels",
]
"""What a finding is about."""


class MonitoringPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the monitoring of models and data; each environment has its own.

    Attributes
    ----------
    days : float
        How long before its moment a report looks back on decisions; what came before is compared over as long.
    labelled_days : float
        How long before the maturity of labels it looks back for figures that need them.
    minimum_decisions : int
        With fewer, nothing about their distribution is judged.
    minimum_frauds : int
        With fewer known ones, nothing that needs labels is judged.
    chance : float
        Probability that a report without any drift tells of one, over all features together.
    drifted_from : float
        Population stability index from which a feature counts as drifted.
    maximum_drifted : float
        Share of the features that may have.
    maximum_score_index : float
        The same index of the champion's scores.
    maximum_missing_change : float
        The share of payments without a value may grow by so much (absolute), for any feature. That it shrinks is
        how a young history grows older.
    maximum_rate_change : float
        The share of payments approved, challenged, reviewed or declined may move by so much (absolute).
    maximum_calibration_factor : float
        Known frauds may be so many times those that the scores promised, or the other way round.
    maximum_auc_loss : float
        The area under the ROC curve may be so far below that of the champion's evaluation.
    maximum_mismatch : float
        Share of settled decisions in which a feature may be other than it should have been; as in the gate.
    maximum_label_silence_hours : float
        Since the last label was recorded.
    retrain_on : tuple of str
        Which findings start a retraining. Those that a new model mends: a world that changed. Missing values and
        inconsistent features are defects, from which a model must not learn.
    cool_down_days : float
        So long after one was started for drift, no other one is, unless it failed. Above 0, since it also keeps
        two looks apart.
    """

    days: Annotated[float, Meta(gt=0, le=31)] = 7.0
    labelled_days: Annotated[float, Meta(gt=0, le=366)] = 30.0
    minimum_decisions: Annotated[int, Meta(ge=1)] = 1_000
    minimum_frauds: Annotated[int, Meta(ge=1)] = 30
    chance: Annotated[float, Meta(gt=0, lt=1)] = 0.001
    drifted_from: Positive = 0.25
    maximum_drifted: Share = 0.2
    maximum_score_index: Positive = 0.25
    maximum_missing_change: Share = 0.1
    maximum_rate_change: Share = 0.1
    maximum_calibration_factor: Annotated[float, Meta(ge=1)] = 2.0
    maximum_auc_loss: Share = 0.05
    maximum_mismatch: Share = 0.01
    maximum_label_silence_hours: Positive = 72.0
    retrain_on: tuple[Literal["scores", "features", "calibration", "ranking"], ...] = (
        "scores",
        "features",
        "calibration",
        "ranking",
    )
    cool_down_days: Annotated[float, Meta(gt=0, le=366)] = 7.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a report comes to, in numbers.

    Attributes
    ----------
    decisions : int
        In its window, each once.
    champion : str
        The model that is watched; empty before the first one.
    score_index : float or None
        Population stability index of its scores, against the evaluation or the window before, whichever is larger.
    features, drifted : int
        Compared, and beyond the bound.
    feature_index, drifted_feature : float or None, str
        The largest of any, and whose it is.
    missing_change, missing_feature : float or None, str
        The most that the share without a value grew.
    approve, challenge, review, decline : float or None
        Shares of the decisions.
    rate_change, rate_action : float or None, str
        The largest change of these against the window before, with its sign.
    matured, frauds : int
        Decisions old enough for the absence of a label to tell something, and known frauds among them.
    calibration_error : float or None
        Expected calibration error.
    calibration_factor, calibration_least : float or None
        How many times the expected frauds are the known ones or the other way round, and the least of that which
        its 95 % interval leaves possible.
    auc, auc_most, auc_before : float or None
        Area under the ROC curve, the upper end of its 95 % interval, and that of the evaluation.
    skewed, skewed_feature, skew : int, str, float or None
        Features that differ in more settled decisions than allowed; the worst, and its share.
    decided_twice, lost : int
        Payments whose second, different decision was recorded in the window, and payments without any on which a
        label or an outcome was recorded in it.
    label_silence : float or None
        Seconds since the last label was recorded; None if there was never one.
    """

    decisions: Count = 0
    champion: str = ""
    score_index: float | None = None
    features: Count = 0
    drifted: Count = 0
    feature_index: float | None = None
    drifted_feature: str = ""
    missing_change: float | None = None
    missing_feature: str = ""
    approve: float | None = None
    challenge: float | None = None
    review: float | None = None
    decline: float | None = None
    rate_change: float | None = None
    rate_action: str = ""
    matured: Count = 0
    frauds: Count = 0
    calibration_error: float | None = None
    calibration_factor: float | None = None
    calibration_least: float | None = None
    auc: float | None = None
    auc_most: float | None = None
    auc_before: float | None = None
    skewed: Count = 0
    skewed_feature: str = ""
    skew: float | None = None
    decided_twice: Count = 0
    lost: Count = 0
    label_silence: float | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes
    ----------
    judged : bool
        Whether there was enough to judge it by; if not, it counts as kept.
    measured, bound : float or None
    """

    subject: Subject
    kept: bool
    judged: bool
    sentence: str
    measured: float | None = None
    bound: float | None = None


class MonitoringVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a report comes to, in words.

    Attributes
    ----------
    passed : bool
        All bounds are kept.
    retrain : bool
        One of those is passed that a new model mends.
    """

    passed: bool
    retrain: bool
    reason: str
    findings: tuple[Finding, ...] = ()
