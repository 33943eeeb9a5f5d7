"""What is told of a past decision."""

from typing import Any

import msgspec

from fraud.policy import Action, Policy

__all__ = ["Check", "Explanation", "FeatureTold", "Kept", "RuleTold"]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What of a decision's row it follows from; rows of earlier versions lack the last fields.

    Attributes
    ----------
    features : dict of str to float
        As served; what is not in it was missing.
    recorded_at : int
        Milliseconds since the epoch, UTC, by the clock of the process that decided.
    """

    decision: Action
    score: float | None
    raw_score: float | None
    model_version: str
    policy_version: str
    degraded: bool
    features: dict[str, float]
    feature_set: str
    recorded_at: int
    rules_version: str = ""
    rules: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    shadow: dict[str, float] = {}
    would_be: str | None = ""
    propensity: float | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was recorded, beside what the replay gives.

    Attributes
    ----------
    equal : bool or None
        To the last bit; None where it cannot be replayed, and `note` says why.
    """

    name: str
    stored: Any
    replayed: Any
    equal: bool | None
    note: str = ""


class FeatureTold(msgspec.Struct, frozen=True, kw_only=True):
    """A feature of the model: its value (None: missing), and what it added to the score's log-odds."""

    name: str
    value: float | None
    contribution: float


class RuleTold(msgspec.Struct, frozen=True, kw_only=True):
    """An enabled rule of the version that counted."""

    id: str
    words: str
    stage: str
    action: Action
    matched: bool
    failed: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A past decision, with everything that it follows from.

    Attributes
    ----------
    source : str
        Where it was read: ``ledger`` or ``lake``.
    features : tuple of FeatureTold
        The weightiest first; empty if no model scored or it is not kept any more.
    expected : dict of action to float
        What each action was expected to cost, in minor units; empty without costs or without a score.
    champion, canary : str
        What served at that moment; empty for none, or where it is not known.
    """

    merchant_id: str
    transaction_id: str
    source: str
    transaction: dict[str, Any]
    kept: Kept
    champion: str
    canary: str
    policy: Policy | None
    expected: dict[str, float]
    features: tuple[FeatureTold, ...]
    rules: tuple[RuleTold, ...]
    checks: tuple[Check, ...]
    not_replayed: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether anything that can be replayed came out otherwise."""
        return any(each.equal is False for each in self.checks)
