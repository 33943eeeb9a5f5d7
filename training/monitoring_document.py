"""monitoring.json: what a look at the lake holds, for programs; report.html says the same to people."""

import msgspec

from fraud.monitoring import Figures, MonitoringPolicy, MonitoringVerdict

__all__ = [
    "DOCUMENT",
    "PAGE",
    "Audit",
    "Distribution",
    "FeatureDrift",
    "Quality",
    "Report",
    "ScoreDrift",
    "SliceTold",
]

DOCUMENT = "monitoring.json"
PAGE = "report.html"


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of rows in bins, then and now.

    Attributes
    ----------
    edges : tuple of float
        The inner edges; bin i holds what is above edge i - 1 and up to edge i.
    before, now : tuple of float
        One more than edges, and those without a value last.
    """

    edges: tuple[float, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One feature, now and when the champion was trained.

    Attributes
    ----------
    index : float
        Population stability index; see `training.profile.stability_index`.
    noise : float
        What the index stays below by chance alone; see `training.drift.noise`.
    drifted : bool
        Above the policy's bound, and above noise.
    missing, missing_before : float
        Shares of the rows without a value.
    missing_moved : bool
        Whether their difference is more than chance.
    bins : Distribution or None
        Of those that drifted most.
    """

    name: str
    index: float
    noise: float
    drifted: bool
    missing: float
    missing_before: float
    missing_moved: bool
    bins: Distribution | None = None


class ScoreDrift(msgspec.Struct, frozen=True, kw_only=True):
    """The champion's scores against some earlier ones.

    Attributes
    ----------
    against : str
        ``evaluation``, or ``window before``.
    rows, rows_before : int
    """

    against: str
    rows: int
    rows_before: int
    index: float
    noise: float
    bins: Distribution

    @property
    def told(self) -> float:
        """The index, or 0 where it may be chance."""
        return self.index if self.index > self.noise else 0.0


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """The champion on matured labels.

    Attributes
    ----------
    rows, frauds : int
    expected, known : float
        Frauds as the scores promise them and as they became known, by weight.
    calibration_error, auc, average_precision : float or None
    intervals : dict of str to (float, float) or None
        95 % intervals of these and of ``factor`` (known over expected), by bootstrap over the cards.
    auc_evaluated, average_precision_evaluated : float or None
        In the evaluation that let the champion in.
    promised, observed : tuple of float
        Rates of fraud by score from the lowest up, in bins of equal weight.
    """

    rows: int
    frauds: int
    expected: float
    known: float
    calibration_error: float | None
    auc: float | None
    average_precision: float | None
    intervals: dict[str, tuple[float, float] | None]
    auc_evaluated: float | None
    average_precision_evaluated: float | None
    promised: tuple[float, ...]
    observed: tuple[float, ...]


class SliceTold(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the decisions, by what they have in common; every value beyond the largest few is one together.

    Attributes
    ----------
    actions : dict of str to float
        Shares of the decisions.
    score, score_before : float or None
        Mean score of the champion, in this window and in the one before.
    matured, frauds : int
    expected, auc : float or None
        Frauds that the scores promise among the matured; None where the rows cannot tell.
    """

    dimension: str
    value: str
    decisions: int
    actions: dict[str, float]
    score: float | None
    score_before: float | None
    matured: int
    frauds: int
    expected: float | None
    auc: float | None


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What the days of the lake that were read can tell of exactly-once.

    Attributes
    ----------
    looked_at : int
        Payments with a decision.
    delivered_again : int
        Rows that repeat another one: allowed, since delivery is at least once.
    decided_twice, lost : int
        Payments with two different decisions, and labels or outcomes of payments without any, whenever recorded.
    decided_twice_now, lost_now : int
        Those of them that the window brought: see `fraud.monitoring.Figures`.
    examples : tuple of str
        Event ids of any, the first few; those of the window first.
    """

    looked_at: int
    delivered_again: int
    decided_twice: int
    lost: int
    decided_twice_now: int
    lost_now: int
    examples: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The document.

    Attributes
    ----------
    as_of : int
        Milliseconds, UTC.
    window, window_before : (int, int)
        Times of record, in ms: after the first and up to the second.
    deciders : dict of str to int
        Decisions of the window by the model that made them; empty for none.
    actions, actions_before : dict of str to float
        Shares; empty without decisions.
    degraded : int
        Decisions of the window without state or model; nothing but their actions counts.
    features_against : str
        ``training``, ``window before`` or nothing.
    consistency : str
        In a sentence; consistency.html lies beside.
    """

    run_id: str
    as_of: int
    window: tuple[int, int]
    window_before: tuple[int, int]
    champion: str
    verdict: MonitoringVerdict
    figures: Figures
    policy: MonitoringPolicy
    deciders: dict[str, int]
    actions: dict[str, float]
    actions_before: dict[str, float]
    degraded: int
    scores: tuple[ScoreDrift, ...]
    features_against: str
    features: tuple[FeatureDrift, ...]
    quality: Quality | None
    slices: tuple[SliceTold, ...]
    consistency: str
    audit: Audit
