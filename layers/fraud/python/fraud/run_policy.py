"""The policy of one training run: a deployment's own, changed by the run, and which changes would loosen it."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from fraud.release import GatePolicy, ReleasePolicy, RunPolicy

__all__ = ["HELD", "MOST_LOOKS", "PolicyError", "loosened", "policy_of"]

type Direction = Literal["up", "down", "fixed", "free"]

MOST_LOOKS = 2_000
"""Looks at a model in all stages together: an execution keeps 25,000 events, and a look takes 9 to 12 of them."""

HELD: dict[str, type[msgspec.Struct]] = {"gate": GatePolicy, "release": ReleasePolicy}
"""The parts of a policy that are held to."""

_RANKS: dict[str, tuple[str, ...]] = {
    "release.approval": ("bounds", "person"),
    "release.unlabelled": ("pass", "person", "stop"),
}
"""From loose to tight."""

# Where a field's name does not say which way is tighter.
_DIRECTIONS: dict[str, Direction] = {
    # With more, fewer slices are judged.
    "gate.minimum_slice_frauds": "down",
    # With more, rankings are compared less often; with fewer, by luck.
    "release.minimum_shadow_frauds": "fixed",
    "release.shadow_decisions": "up",
    "release.shadow_hours": "up",
    "release.approval_hours": "free",
    "release.canary_share": "down",
    "release.canary_decisions": "up",
    "release.canary_minutes": "up",
    "release.probation_minutes": "up",
    "release.poll_seconds": "down",
}

_BY_NAME: dict[str, Direction] = {"minimum": "up", "maximum": "down"}


class PolicyError(ValueError):
    """A policy that no run can hold to; the message names the field, and the remedy."""


def policy_of(own: RunPolicy, changes: Mapping[str, Any] | None = None, *, loose: bool = True) -> RunPolicy:
    """The policy with some of its fields changed, at any depth.

    Parameters
    ----------
    changes : mapping, optional
        Such as ``{"release": {"approval": "person"}}``; what it does not name stays.
    loose : bool
        Whether a run may loosen gate, release and approval; otherwise it may only tighten them.

    Raises
    ------
    PolicyError
        If a field is unknown or out of its range, a phase would have no end, or a bound is looser than it may be.

    Examples
    --------
    >>> policy_of(RunPolicy(), {"tuning": {"trials": 20}}).tuning.trials
    20
    """
    merged = _merge(msgspec.to_builtins(own), changes or {})
    try:
        policy = msgspec.convert(merged, RunPolicy)
    except msgspec.ValidationError as error:
        raise PolicyError(f"policy: {error}") from None
    _refuse_endless(policy.release)
    if not loose and (wrong := loosened(own, policy)):
        raise PolicyError(f"{wrong}, where a run may tighten its deployment's policy and not loosen it")
    return policy


def loosened(own: RunPolicy, asked: RunPolicy) -> str:
    """The first field in which a policy is looser than another, and what it may be; nothing if it is in none.

    Examples
    --------
    >>> loosened(RunPolicy(), RunPolicy(gate=GatePolicy(minimum_gain=0.0)))
    'policy.gate.minimum_gain: at least 0.002 here'
    """
    for part, kind in HELD.items():
        for field in kind.__struct_fields__:
            name = f"{part}.{field}"
            before, after = (getattr(getattr(policy, part), field) for policy in (own, asked))
            bound = _bound(name, before, after)
            if bound:
                return f"policy.{name}: {bound} here"
    return ""


def _merge(own: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(own)
    for name, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(own.get(name), dict)
        merged[name] = _merge(own[name], value) if nested else value
    return merged


def _refuse_endless(release: ReleasePolicy) -> None:
    if release.shadow_decisions and not release.shadow_hours:
        raise PolicyError(
            "policy.release.shadow_hours: a shadow that waits for decisions needs a longest time; give hours, or "
            "set shadow_decisions to 0 for no shadow"
        )
    if release.canary_share and not release.canary_minutes:
        raise PolicyError(
            "policy.release.canary_minutes: a canary needs a longest time; give minutes, or set canary_share to 0 "
            "for no canary"
        )
    minutes = release.shadow_hours * 60 + release.canary_minutes + release.probation_minutes
    looks = minutes * 60 / release.poll_seconds
    if looks > MOST_LOOKS:
        raise PolicyError(
            f"policy.release.poll_seconds: {looks:,.0f} looks at the model are more than an execution can keep; "
            f"look every {-(-minutes * 60 // MOST_LOOKS):.0f} s or less often"
        )


def _bound(name: str, own: Any, asked: Any) -> str:
    """What is asked of a field; empty if that is kept."""
    if name in _RANKS:
        ranks = _RANKS[name]
        return "" if ranks.index(asked) >= ranks.index(own) else " or ".join(ranks[ranks.index(own) :])
    if name == "release.canary_share" and own and not asked:
        return f"above 0 and at most {own:g}"  # A canary of nobody is none.
    match _direction(name):
        case "up":
            return "" if asked >= own else f"at least {own:g}"
        case "down":
            return "" if asked <= own else f"at most {own:g}"
        case "fixed":
            return "" if asked == own else f"{own:g}"
        case "free":
            return ""


def _direction(name: str) -> Direction:
    if name in _DIRECTIONS:
        return _DIRECTIONS[name]
    return _BY_NAME[name.partition(".")[2].partition("_")[0]]
