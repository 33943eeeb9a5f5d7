"""What a run may not loosen where a deployment's own policy is a floor: its gate, its release, its approval."""

from typing import Any, Literal

import msgspec

from fraud.release import GatePolicy, ReleasePolicy, RunPolicy

__all__ = ["HELD", "loosened"]

type Direction = Literal["up", "down", "fixed", "free"]

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
