"""The policy of one training run: a deployment's own, with what the run asked to be different."""

from collections.abc import Mapping
from typing import Any

import msgspec

from fraud.floor import loosened
from fraud.release import ReleasePolicy, RunPolicy

__all__ = ["MOST_LOOKS", "PolicyError", "policy_of"]

MOST_LOOKS = 2_000
"""Looks at a model in all stages together: an execution keeps 25,000 events, and a look takes 9 to 12 of them."""


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
