"""What a look at a release comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .counting import Change, Counts, Stage

__all__ = ["FEWEST", "Judged", "Look", "judge"]

FEWEST = 200
"""Decisions below which no change of a share or a mean sends a model back, however sure it looks."""

_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen of a stage.

    Attributes
    ----------
    now : int
        Milliseconds since the epoch.
    alarms : sequence of str
        Those that went off.
    role : bool
        Whether the model still is what the stage made it.
    """

    stage: Stage
    now: int
    counts: Counts
    alarms: Sequence[str]
    role: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What to do next, and the sentence that a person reads."""

    verdict: Literal["wait", "done", "back"]
    reason: str


def judge(look: Look) -> Judged:
    """Back for trouble; done once there are enough decisions, or enough time is over; wait otherwise."""
    trouble = _trouble(look)
    if trouble:
        return Judged("back", f"{look.stage.stage} of {look.stage.version}: {trouble}")
    return _progress(look)


def _trouble(look: Look) -> str:
    stage, counts, policy = look.stage, look.counts, look.stage.policy
    if not look.role:
        return "somebody took it out of the serving document"
    if stage.stage == "shadow":
        return ""  # It decides on nothing, so nothing that goes wrong is its doing.
    if look.alarms:
        return f"the alarm {', '.join(look.alarms)} went off"
    if counts.decisions < FEWEST:
        return ""
    bounds = (
        ("the share of payments approved", counts.approval, policy.maximum_approval_change),
        ("the mean score", counts.score, policy.maximum_score_change),
    )
    return next((_told(what, change, bound) for what, change, bound in bounds if _beyond(change, bound)), "")


def _beyond(change: Change | None, bound: float) -> bool:
    return change is not None and change.certain and abs(change.value) > bound


def _told(what: str, change: Change | None, bound: float) -> str:
    value = 0.0 if change is None else change.value
    return f"{what} moved by {value:+.4f} against the champion, and may by {bound:g}"


def _progress(look: Look) -> Judged:
    stage, policy, decisions = look.stage, look.stage.policy, look.counts.decisions
    most, minutes = {
        "shadow": (policy.shadow_decisions, policy.shadow_hours * 60),
        "canary": (policy.canary_decisions, policy.canary_minutes),
        "probation": (0, policy.probation_minutes),
    }[stage.stage]
    gone = max(look.now - stage.since, 0) / _MINUTE
    told = f"{stage.stage} of {stage.version}: {decisions} decisions in {gone:.0f} minutes"
    # A bound of 0 is none where the other one is set.
    enough = bool(most) and decisions >= most
    over = gone >= minutes and bool(minutes or not most)
    return Judged("done" if enough or over else "wait", told)
