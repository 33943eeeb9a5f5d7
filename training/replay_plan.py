"""What a replay is asked, and all that it needs to know of settings: `plan.json`, which `paywarden replay` writes.

The job reads no table. Which rules, policies and lists counted when is written down beforehand, as data.
"""

from typing import Literal

import msgspec

from fraud.features import STANDARD, FeatureSet
from fraud.features.extended import extended
from fraud.features.handbook import modelled
from fraud.lists import StoredLists
from fraud.policy import Policy
from fraud.rules import StoredRules
from training.contract import Contract, ProgramError

__all__ = [
    "FEATURE_SETS",
    "SERVED",
    "FeaturesAsked",
    "MerchantPast",
    "PolicySince",
    "ReplayPlan",
    "Which",
    "feature_set",
    "read_replay_plan",
]

SERVED = "served"

Which = Literal["served", "current", "given"]
"""Whose rules, or whose policy: those that decided, those of today, or one document for everybody."""

FeaturesAsked = Literal["served", "standard", "handbook", "all"]
FEATURE_SETS: tuple[FeaturesAsked, ...] = ("standard", "handbook", "all")
"""The feature sets that there are definitions of; their features can be computed for any stretch of the past."""


class PolicySince(msgspec.Struct, frozen=True, kw_only=True):
    """The platform's policy from a moment on, in ms since the epoch, UTC."""

    at: int
    policy: Policy


class MerchantPast(msgspec.Struct, frozen=True, kw_only=True):
    """What one merchant has set, and had.

    Attributes
    ----------
    rules : dict of str to StoredRules
        By version, as decisions name it: those versions that decided in the stretch.
    policies : dict of str to Policy
        The merchant's own, by version.
    lists : tuple of StoredLists
        Every version of the definitions that may have counted, the newest first.
    current_rules, current_policy : optional
        Of today; None for none of its own.
    """

    rules: dict[str, StoredRules] = {}
    policies: dict[str, Policy] = {}
    lists: tuple[StoredLists, ...] = ()
    current_rules: StoredRules | None = None
    current_policy: Policy | None = None


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to replay, through what.

    Attributes
    ----------
    since, until : int
        since <= event_time < until, in ms since the epoch, UTC.
    as_of : int
        What was known of the payments by then counts as the truth about them; in ms.
    merchant : str
        Only this one's; empty for all.
    features : str
        ``served``: the vectors as they were recorded. Else the name of a feature set that is computed anew.
    model : str
        ``served``: for each decision the model that decided it. Else the version of a bundle.
    given_rules, given_policy : optional
        Where `rules` or `policy` is ``given``.
    platform : tuple of PolicySince
        The policies that served merchants without one of their own, the newest first.
    merchants : dict of str to MerchantPast
        Those that have decisions in the stretch and ever set something.
    minimum_confidence : float
        A label of less is no verdict.
    """

    id: str
    since: int
    until: int
    as_of: int
    merchant: str = ""
    features: FeaturesAsked = "served"
    model: str = SERVED
    rules: Which = "served"
    policy: Which = "served"
    given_rules: StoredRules | None = None
    given_policy: Policy | None = None
    platform: tuple[PolicySince, ...] = ()
    merchants: dict[str, MerchantPast] = {}
    minimum_confidence: float = 0.0

    @property
    def as_served(self) -> bool:
        """Whether everything is as it was, so that nothing may change."""
        return {self.features, self.model, self.rules, self.policy} == {SERVED}


def feature_set(name: FeaturesAsked) -> FeatureSet:
    """The feature set of a name; vectors as served have the features of the standard set."""
    match name:
        case "handbook":
            return modelled()
        case "all":
            return extended()
        case "served" | "standard":
            return STANDARD


def read_replay_plan(contract: Contract) -> ReplayPlan:
    """Read the plan.

    Raises
    ------
    ProgramError
        There is none, or it does not hold together.
    """
    path = contract.processing_input("plan") / "plan.json"
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=ReplayPlan)
    except (OSError, msgspec.MsgspecError) as error:
        raise ProgramError(f"{path} is not usable ({error}); start the replay with `paywarden replay`.") from error
    if not 0 <= plan.since < plan.until:
        raise ProgramError("The plan's `since` is not before its `until`; name a time and its end.")
    for name, which, given in (
        ("rules", plan.rules, plan.given_rules),
        ("policy", plan.policy, plan.given_policy),
    ):
        if (which == "given") != (given is not None):
            raise ProgramError(f"The plan's `{name}` is {which!r}, which does not go with `given_{name}`.")
    return plan
