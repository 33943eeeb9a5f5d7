"""Every kind of alarm: how bad it is, whose it is, and the runbook that says what to do.

It imports nothing of the CDK, so that the operators' command reads it in milliseconds. An alarm is named
``<prefix>-<kind>``, or ``<prefix>-<kind>-<of>`` where there are several of a kind, such as one for each function.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["HALVES", "KINDS", "AlarmKind", "Owner", "Severity", "kind_of", "name_of", "tells"]

type Severity = Literal["page", "ticket", "none"]
type Owner = Literal["platform", "models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKind:
    """One kind of alarm.

    Attributes
    ----------
    severity : {"page", "ticket", "none"}
        Whether somebody is woken up: because merchants or their money are hurt now, and a person can mend it. None
        hears of what only something of ours acts on.
    owner : {"platform", "models"}
        Who looks at it: those who run the platform, or those who answer for its models.
    means : str
        One sentence.
    runbook : str
        The name of its page under docs/runbooks, without its ending.
    """

    name: str
    severity: Severity
    owner: Owner
    means: str
    runbook: str


def _burns(slo: str, means: str, *, page: bool = True) -> tuple[AlarmKind, ...]:
    severities: tuple[tuple[str, Severity], ...] = (("fast", "page"), ("slow", "page"), ("steady", "ticket"))
    return tuple(
        AlarmKind(name=f"{slo}-{speed}", severity=severity, owner="platform", means=means, runbook=slo)
        for speed, severity in severities
        if page or severity == "ticket"
    )


def _one(name: str, severity: Severity, means: str, *, owner: Owner = "platform", runbook: str = "") -> AlarmKind:
    return AlarmKind(name=name, severity=severity, owner=owner, means=means, runbook=runbook or name)


_ALL = (
    *_burns("decision-availability", "Payments get no decision: the month's allowance is being used up."),
    *_burns("decision-latency", "Calls of merchants are slow: the month's allowance is being used up."),
    *_burns("feature-freshness", "Features are stale: the month's allowance is being used up."),
    *_burns("label-lag", "Labels are recorded long after they were known.", page=False),
    _one(
        "exactly-once",
        "page",
        "A payment was decided on twice, or its decision was lost, or an event came with two contents.",
    ),
    _one("degraded-decisions", "page", "Decisions are made without state or model."),
    # The calls themselves fail, and that the objective tells; this says why.
    _one("authorizer-failures", "ticket", "Merchants' keys cannot be checked."),
    _one("relay-behind", "page", "Decisions do not reach the bus: features and lake are late."),
    # A relay that is not called at all has no age.
    _one("relay-stopped", "page", "Decisions are made, and none reaches the bus.", runbook="relay-behind"),
    # What they name is gone from the stream a day after it was written.
    _one("unrelayed", "page", "Decisions never reached the bus.", runbook="dead-letters"),
    _one("undelivered", "page", "Events that the bus could not deliver.", runbook="dead-letters"),
    _one("dead-letters-updates", "ticket", "Events that could not be folded.", runbook="dead-letters"),
    _one("dead-letters-labels", "ticket", "Labels from the bus that were not recorded.", runbook="dead-letters"),
    _one("unwithdrawn", "page", "The model of a failed retraining is still being released.", owner="models"),
    # While nothing is folded no lag is measured, so the objective is silent.
    _one("updates-behind", "page", "The queue of events for the features stands still."),
    # Nor does a queue that nothing reaches.
    _one("updates-stopped", "page", "Events reach the bus, and none is folded.", runbook="updates-behind"),
    _one("labels-behind", "ticket", "The queue of labels from the bus is behind."),
    _one("stale-serving", "ticket", "A new serving document is not taken over; the one before goes on."),
    _one("unreadable-settings", "ticket", "A merchant's rules, lists or policy are not understood."),
    _one("stale-token-keys", "ticket", "New token keys are not taken over; those before go on."),
    _one("audit-altered", "page", "Somebody changed or removed an entry of the audit trail."),
    _one("function-errors", "ticket", "A function fails, or answers calls with 5xx."),
    _one("function-throttles", "ticket", "A function is throttled."),
    _one("lake-behind", "ticket", "Rows wait too long on their way to the lake."),
    _one("retraining-failed", "ticket", "A retraining failed; the champion stays.", owner="models"),
    _one("monitoring-failed", "ticket", "The monitoring of models and data failed.", owner="models"),
    _one("monitoring-missing", "ticket", "No report of monitoring for two days.", owner="models"),
    _one("score-drift", "ticket", "The scores are distributed otherwise than the champion's.", owner="models"),
    _one("feature-drift", "ticket", "Features are distributed otherwise than in training.", owner="models"),
    _one("feature-skew", "ticket", "Serving saw features otherwise than it should.", owner="models"),
    _one("label-silence", "ticket", "No label was recorded for a long time.", owner="models"),
    _one("monitoring-findings", "ticket", "The daily report has bounds that are passed.", owner="models"),
    *(
        _one(
            f"release-{short}",
            "none",
            f"{what}: a model that is being released goes back, and so does code.",
            owner="models",
            runbook="release-rolled-back",
        )
        for short, what in (
            ("errors", "Calls fail"),
            ("latency", "Calls are slow"),
            ("failed", "Decisions fail"),
            ("degraded", "Decisions are made without state or model"),
            ("stale-serving", "A serving document is not taken over"),
        )
    ),
    *(
        _one(
            f"release-{short}",
            "ticket",
            f"{what} changed with a model that is being released.",
            owner="models",
            runbook="release-changes",
        )
        for short, what in (("approval-change", "Approvals"), ("score-change", "The mean score"))
    ),
)

KINDS: Mapping[str, AlarmKind] = MappingProxyType({each.name: each for each in _ALL})
"""By name."""


HALVES = ("long", "short")
"""What the two alarms are of that a burn is made of, by their windows; they tell nobody, the burn does."""


def name_of(kind: str, *, prefix: str, of: str = "") -> str:
    """The name of an alarm.

    Raises
    ------
    KeyError
        If there is no such kind.
    """
    return "-".join(filter(None, (prefix, KINDS[kind].name, of)))


def kind_of(name: str, *, prefix: str) -> AlarmKind | None:
    """The kind of an alarm by its name; None if it is none of ours."""
    rest = name.removeprefix(f"{prefix}-")
    found = [each for each in KINDS if rest == each or rest.startswith(f"{each}-")]
    return KINDS[max(found, key=len)] if found and rest != name else None


def tells(name: str, *, prefix: str) -> bool:
    """Whether an alarm tells people itself: neither the half of one that does, nor one for none of them."""
    kind = kind_of(name, prefix=prefix)
    return kind is not None and kind.severity != "none" and name.rpartition("-")[2] not in HALVES
