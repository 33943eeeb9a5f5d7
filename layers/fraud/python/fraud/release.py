"""What a training run is asked to hold to, as data: checks, gate, release.

The numbers travel with the run: an execution's input may change any of them, the plan keeps what counted, and
every verdict repeats the bound that it was measured by.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["DataPolicy", "GatePolicy", "ReleasePolicy", "RunPolicy", "TuningPolicy", "Verdict"]

type Share = Annotated[float, Meta(ge=0, le=1)]
type Positive = Annotated[float, Meta(gt=0)]
type Count = Annotated[int, Meta(ge=0)]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to go on, and the sentence that a person reads; every report's JSON holds one as ``verdict``."""

    passed: bool
    reason: str


class _Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class DataPolicy(_Policy, frozen=True, kw_only=True):
    """What a dataset has to be before anything is learned from it.

    Attributes
    ----------
    minimum_frauds : int
        Frauds, and genuine rows, that each part must hold.
    drifted_from : float
        Population stability index, against the champion's training data, from which a feature counts as drifted.
    maximum_drifted : float
        Share of the features that may have.
    maximum_rate_factor : float
        The fraud rate may be so many times what it was in that training data, or the other way round.
    maximum_single_auc : float
        A single feature that tells fraud better than this is taken for the label in disguise.
    minimum_confidence : float
        A label of less is no verdict: a payment with none above is left out.
    maturity_days : float
        Age from which a payment without a label counts as genuine, in the dataset and in the comparison in shadow.
    minimum_known_share : float
        Of the frauds, so large a share must be known at that age, as measured; 0 warns and stops nothing.
    """

    minimum_frauds: Annotated[int, Meta(ge=1)] = 10
    drifted_from: Positive = 0.25
    maximum_drifted: Share = 0.5
    maximum_rate_factor: Annotated[float, Meta(ge=1)] = 5.0
    maximum_single_auc: Annotated[float, Meta(ge=0.5, le=1)] = 0.995
    minimum_confidence: Share = 0.5
    maturity_days: Annotated[float, Meta(ge=0, le=3_650)] = 3.0
    minimum_known_share: Share = 0.0

    @property
    def maturity(self) -> int:
        """`maturity_days` in milliseconds."""
        return round(self.maturity_days * 86_400_000)


class TuningPolicy(_Policy, frozen=True, kw_only=True):
    """How long to look for better parameters; no trials, no search.

    Attributes
    ----------
    seconds : int
        No trial begins later than this.
    """

    trials: Annotated[int, Meta(ge=0, le=1_000)] = 0
    seconds: Annotated[int, Meta(ge=1, le=6 * 3_600)] = 1_800


class GatePolicy(_Policy, frozen=True, kw_only=True):
    """What is asked of a candidate on later rows.

    Attributes
    ----------
    minimum_gain : float
        Average precision that a candidate must be above the champion's by (absolute).
    minimum_confidence : float
        Share of bootstrap resamples by card in which the candidate is the better one.
    minimum_lift : float
        Without a champion: average precision over the rate of fraud, which is what guessing reaches.
    maximum_calibration_error : float
        Thresholds are on probabilities, so a better ranking with wrong probabilities is not better.
    maximum_calibration_factor : float
        The frauds that the scores promise may be so many times those that there were, or the other way round.
        Where fraud is rare, every absolute error is small and this is the bound that binds.
    maximum_slice_loss : float
        Average precision that a candidate may be below the champion's by in any slice whose 95 % interval of the
        difference shows a loss; where it does not, the loss may be luck.
    minimum_slice_frauds : int
        Slices with fewer frauds are shown and not judged.
    maximum_mismatch : float
        Share of settled decisions, those that no lag can excuse, in which a feature of the model was not what it
        should have been.
    maximum_lagging : float
        The same share of all decisions. Wide: a feature that is fresh after a second differs often for a busy
        merchant. It catches a feature store that stands still.
    maximum_latency_us : float
        Median time of one score with exact reasons, on the machine that judges, in microseconds.
    maximum_bundle_bytes : int
    """

    minimum_gain: float = 0.002
    minimum_confidence: Share = 0.8
    minimum_lift: Positive = 3.0
    maximum_calibration_error: Share = 0.05
    maximum_calibration_factor: Annotated[float, Meta(ge=1)] = 2.0
    maximum_slice_loss: Share = 0.1
    minimum_slice_frauds: Annotated[int, Meta(ge=1)] = 30
    maximum_mismatch: Share = 0.01
    maximum_lagging: Share = 0.75
    maximum_latency_us: Positive = 20_000.0
    maximum_bundle_bytes: Annotated[int, Meta(ge=1)] = 50_000_000


class ReleasePolicy(_Policy, frozen=True, kw_only=True):
    """How a model that passed the gate comes to serve.

    Attributes
    ----------
    shadow_decisions, shadow_hours : int, float
        Scored beside the champion until there are so many decisions, or for so long, whichever comes first; both 0
        for no shadow and no comparison.
    minimum_shadow_gain : float
        Average precision over the champion's on matured labels of decisions that both scored, where there are
        `minimum_shadow_frauds` of them; with fewer, see `unlabelled`.
    minimum_shadow_saving : float
        Minor units that the payment policy saves per 1,000 of these payments by its scores above what it saves by
        the champion's; a little below 0, since two models that are as good differ by luck.
    minimum_shadow_confidence : float
        Share of bootstrap resamples by card in which either bound is kept.
    unlabelled : str
        With fewer such frauds than that: ``person``, somebody has to approve whatever `approval` says; ``pass``,
        the bounds that need no labels are enough; ``stop``.
    maximum_approval_change : float
        The share of payments approved may move by so much (absolute), in shadow and while a canary serves.
    maximum_score_change : float
        The mean score may move by so much (absolute) against the champion's.
    maximum_score_factor : float
        It may be so many times the champion's, or the other way round, in the comparison in shadow.
    approval : str
        ``bounds``: what kept to the bounds goes on without a person; ``person``: somebody has to approve.
    approval_hours : float
        How long a person has; nobody's word is no.
    canary_share, canary_decisions, canary_minutes
        Decides on this share until there are so many decisions, or for so long; a share of 0 for no canary.
    minimum_canary_decisions : int
        Of its own that a canary, and a champion on probation, must have made when its time is over, or it goes
        back: nothing speaks against a model that nobody met. Fewer than 200 are for platforms with few payments.
    maximum_without_model : float
        The share of payments decided without any model may grow by so much (absolute) while it decides.
    probation_minutes : float
        How long the champion before it stays in shadow and alarms still send it back.
    poll_seconds : int
        Between two looks.
    """

    shadow_decisions: Count = 10_000
    shadow_hours: Annotated[float, Meta(ge=0, le=24 * 28)] = 72.0
    minimum_shadow_gain: float = 0.0
    minimum_shadow_saving: float = -100.0
    minimum_shadow_confidence: Share = 0.5
    minimum_shadow_frauds: Annotated[int, Meta(ge=1)] = 30
    unlabelled: Literal["person", "pass", "stop"] = "person"
    maximum_approval_change: Share = 0.05
    maximum_score_change: Share = 0.05
    maximum_score_factor: Annotated[float, Meta(ge=1)] = 2.0
    approval: Literal["bounds", "person"] = "bounds"
    approval_hours: Annotated[float, Meta(gt=0, le=24 * 28)] = 72.0
    canary_share: Share = 0.05
    canary_decisions: Count = 2_000
    canary_minutes: Annotated[float, Meta(ge=0, le=60 * 24 * 7)] = 240.0
    minimum_canary_decisions: Count = 200
    maximum_without_model: Share = 0.01
    probation_minutes: Annotated[float, Meta(ge=0, le=60 * 24 * 7)] = 60.0
    poll_seconds: Annotated[int, Meta(ge=1, le=3_600)] = 300

    @property
    def shadows(self) -> bool:
        """Whether a candidate scores in shadow, and is compared, first."""
        return self.shadow_decisions > 0 or self.shadow_hours > 0


class RunPolicy(_Policy, frozen=True, kw_only=True):
    """All that a run holds to."""

    data: DataPolicy = DataPolicy()
    tuning: TuningPolicy = TuningPolicy()
    gate: GatePolicy = GatePolicy()
    release: ReleasePolicy = ReleasePolicy()
