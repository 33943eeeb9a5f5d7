"""What the platform measures of itself: every metric in its namespace, its unit, and who counts it.

Functions count nothing else, and dashboards and alarms show nothing else: tests hold both to this list. A metric
has the dimension `service`, the function that counts it. Those by tier are counted once more under `service` and
`tier`, the usage plan of the merchant. There is no other dimension, and none whose values merchants make: each
combination is a metric that is paid for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["API", "MEASURES", "NAMESPACE", "TIERS", "Measure", "namespace", "tier_of"]

NAMESPACE = "Paywarden"
"""What every environment's namespace begins with, see `namespace`."""

TIERS = ("standard", "high", "none")
"""The usage plans by name; ``none`` is that of a merchant whose plan is not among them."""

type Unit = Literal["Count", "Milliseconds", "Seconds", "None"]

API = ("score_transaction", "read_decision", "manage_settings", "backtest_rules", "record_outcome", "record_label")
"""The functions that answer merchants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One metric.

    Attributes
    ----------
    of : tuple of str
        The functions that count it.
    means : str
        One sentence.
    by_tier : bool
        Whether it is counted by the merchant's tier as well.
    """

    name: str
    of: tuple[str, ...]
    means: str
    unit: Unit = "Count"
    by_tier: bool = False


_SCORING = ("score_transaction",)
_UPDATES = ("update_features",)
_RELEASE = ("watch_release",)
_DRIFT = ("watch_drift",)

_ALL = (
    Measure(name="Approve", of=_SCORING, by_tier=True, means="Payments that were approved."),
    Measure(name="Challenge", of=_SCORING, by_tier=True, means="Payments that the payer has to confirm."),
    Measure(name="Review", of=_SCORING, by_tier=True, means="Payments that a person has to look at."),
    Measure(name="Decline", of=_SCORING, by_tier=True, means="Payments that were declined."),
    Measure(name="Degraded", of=_SCORING, by_tier=True, means="1 for a decision without state or model, else 0."),
    Measure(name="Batched", of=_SCORING, means="Payments of batches, each answered on its own."),
    Measure(name="FailedInBatch", of=_SCORING, means="Those of them that failed on our side, of `Failed` a part."),
    Measure(name="Repeated", of=_SCORING, means="1 for a request that was answered before, else 0."),
    Measure(name="PassedThrough", of=_SCORING, means="Declines that were let through at random, to learn from."),
    Measure(name="RuleFailed", of=_SCORING, means="Merchants' rules that could not be evaluated."),
    Measure(name="SettingsUnreadable", of=_SCORING, means="Merchants' settings that are not understood."),
    Measure(name="ServingRefreshFailed", of=_SCORING, means="A new serving document that was not taken over."),
    Measure(name="ChallengerFailed", of=_SCORING, means="A challenger that could not be loaded."),
    Measure(
        name="KeyringRefreshFailed",
        of=("score_transaction", "manage_settings"),
        means="Token keys that were not read anew.",
    ),
    Measure(name="Answered", of=API, means="Calls that were answered and counted nothing else."),
    Measure(name="Refused", of=API, means="Requests that were refused by the caller's own fault."),
    Measure(name="Failed", of=API, means="Calls, payments of a batch, or reports that failed on our side."),
    Measure(name="AuthorizerFailed", of=("authorize_merchant",), means="Keys that could not be checked."),
    Measure(name="SettingsChanged", of=("manage_settings",), means="Changes of rules, lists and policies."),
    Measure(name="Backtests", of=("backtest_rules",), means="Drafts that were tried on past decisions."),
    Measure(name="UnreadableDecisions", of=("backtest_rules",), means="Rows of the lake that hold no decision."),
    Measure(name="Outcomes", of=("record_outcome",), means="Reports of what was done with a payment."),
    Measure(name="Labels", of=("record_label",), means="Reports of what became known of a payment."),
    Measure(
        name="LabelLag",
        of=("record_label",),
        unit="Seconds",
        means="From the moment that a label was known to its receipt.",
    ),
    Measure(name="Relayed", of=("relay_decisions",), means="Lines of the ledger that the bus took."),
    Measure(name="RelayFailed", of=("relay_decisions",), means="Lines of the ledger that the bus refused."),
    Measure(name="AuditKept", of=("keep_audit",), means="Entries of the audit trail that were copied and locked."),
    Measure(
        name="AuditAltered", of=("keep_audit",), means="Items of the audit trail that somebody changed, or forged."
    ),
    Measure(name="Applied", of=_UPDATES, means="Events that were folded into their states."),
    Measure(name="Duplicate", of=_UPDATES, means="Events that had been folded before."),
    Measure(name="Late", of=_UPDATES, means="Events that came after their window had gone."),
    Measure(name="Covered", of=_UPDATES, means="Events that a bootstrap had counted already."),
    Measure(name="Mismatched", of=_UPDATES, means="Events whose id was folded with another content."),
    Measure(name="Rejected", of=_UPDATES, means="Events from the future."),
    Measure(name="Conflict", of=_UPDATES, means="Writes that lost a race for a state and were made again."),
    Measure(name="Throttled", of=_UPDATES, means="Writes that the table had no capacity for at first."),
    Measure(name="Poison", of=_UPDATES, means="Messages that hold no event, or an impossible one."),
    Measure(
        name="FeatureLag", of=_UPDATES, unit="Milliseconds", means="From an event's record to its features, each."
    ),
    Measure(name="ReleaseLooks", of=_RELEASE, means="Looks at a model that is being released."),
    Measure(name="ReleaseApprovalChange", of=_RELEASE, unit="None", means="Change of the share approved."),
    Measure(name="ReleaseScoreChange", of=_RELEASE, unit="None", means="Change of the mean score."),
    Measure(name="MonitoredDecisions", of=_DRIFT, means="Decisions that the last report of monitoring looked at."),
    Measure(name="ScoreDrift", of=_DRIFT, unit="None", means="Population stability index of the scores."),
    Measure(name="FeatureDrift", of=_DRIFT, unit="None", means="The largest index of any feature."),
    Measure(name="DriftedFeatures", of=_DRIFT, unit="None", means="Share of the features that have drifted."),
    Measure(name="MissingDrift", of=_DRIFT, unit="None", means="The most that a feature's missing rate grew."),
    Measure(name="SkewedFeatures", of=_DRIFT, means="Features that serving saw otherwise than it should."),
    Measure(name="ApprovalRate", of=_DRIFT, unit="None", means="Share of payments approved."),
    Measure(name="ChallengeRate", of=_DRIFT, unit="None", means="Share of payments challenged."),
    Measure(name="CalibrationError", of=_DRIFT, unit="None", means="Error of probabilities, on matured labels."),
    Measure(name="MaturedAuc", of=_DRIFT, unit="None", means="Area under the ROC curve, on matured labels."),
    Measure(
        name="ExactlyOnceViolations",
        of=_DRIFT,
        means="Payments decided on twice, and reported on but never decided.",
    ),
    Measure(name="LabelSilence", of=_DRIFT, unit="Seconds", means="Since the last label was recorded."),
    Measure(name="FailedFindings", of=_DRIFT, means="Findings of the last report that did not keep their bound."),
)

MEASURES: Mapping[str, Measure] = MappingProxyType({each.name: each for each in _ALL})
"""By name."""


def namespace(environment: str) -> str:
    """CloudWatch's namespace of the metrics of an environment: two in one account are not counted together."""
    return f"{NAMESPACE}/{environment}"


def tier_of(plan: str) -> str:
    """The tier of a merchant, by the name of its usage plan."""
    return plan if plan in TIERS else "none"
