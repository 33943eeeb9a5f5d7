"""What a look at a release comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .counting import Change, Counts, Stage

__all__ = ["FEWEST", "Judged", "Look", "enough_to_judge", "judge"]

FEWEST = 200
"""Decisions below which no change of a share or a mean sends a model back, however sure it looks."""

_FEWEST_OF_ALL = 30
"""The same where a policy takes fewer for enough: standard errors of fewer mean nothing."""

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


def enough_to_judge(stage: Stage, decisions: int) -> bool:
    """Whether changes against the champion mean anything yet."""
    return decisions >= min(FEWEST, max(stage.policy.minimum_canary_decisions, _FEWEST_OF_ALL))


def _trouble(look: Look) -> str:
    stage, counts, policy = look.stage, look.counts, look.stage.policy
    if not look.role:
        return "somebody took it out of the serving document"
    if stage.stage == "shadow":
        return ""  # It decides on nothing, so nothing that goes wrong is its doing.
    if look.alarms:
        return f"the alarm {', '.join(look.alarms)} went off"
    if counts.without is not None and _grew(counts.without, policy.maximum_without_model):
        return (
            f"the share of payments decided without a model grew by {counts.without.value:+.4f} against the day "
            f"before, and may by {policy.maximum_without_model:g}"
        )
    if not enough_to_judge(stage, counts.decisions):
        return ""
    bounds = (
        ("the share of payments approved", counts.approval, policy.maximum_approval_change),
        ("the mean score", counts.score, policy.maximum_score_change),
    )
    return next((_told(what, change, bound) for what, change, bound in bounds if _beyond(change, bound)), "")


def _beyond(change: Change | None, bound: float) -> bool:
    return change is not None and change.certain and abs(change.value) > bound


def _grew(change: Change, bound: float) -> bool:
    return change.certain and change.value > bound


def _told(what: str, change: Change | None, bound: float) -> str:
    value = 0.0 if change is None else change.value
    return f"{what} moved by {value:+.4f} against the champion, and may by {bound:g}"


def _progress(look: Look) -> Judged:
    stage, policy, decisions = look.stage, look.stage.policy, look.counts.decisions
    most, minutes, least = {
        "shadow": (policy.shadow_decisions, policy.shadow_hours * 60, 0),
        "canary": (policy.canary_decisions, policy.canary_minutes, policy.minimum_canary_decisions),
        "probation": (0, policy.probation_minutes, policy.minimum_canary_decisions),
    }[stage.stage]
    gone = max(look.now - stage.since, 0) / _MINUTE
    told = f"{stage.stage} of {stage.version}: {decisions} decisions in {gone:.0f} minutes"
    # A bound of 0 is none where the other one is set.
    enough = bool(most) and decisions >= max(most, least)
    over = gone >= minutes and bool(minutes or not most)
    if over and decisions < least:
        return Judged("back", f"{told}, and {least} are needed to trust it (release.minimum_canary_decisions)")
    return Judged("done" if enough or over else "wait", told)
