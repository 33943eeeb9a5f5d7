"""What lists, rules and policy make of a past payment: those that decided it, those of today, or others.

They are asked through `fraud.judgement.judge`, as a payment that arrives is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fraud.events import Transaction
from fraud.judgement import Judgement, judge, known_values
from fraud.lists import ListDefinition
from fraud.passing import Draw, PassingBudget
from fraud.policy import Action, Allowance, Policy
from fraud.rules import Rulebook
from training.replay_past import PastDecision
from training.replay_plan import SERVED, MerchantPast, ReplayPlan

__all__ = ["SETTLING", "Judge", "Judged"]

SETTLING = 600_000
"""Milliseconds for which what was replaced may have gone on counting in some process: each looks for itself."""

_NOTHING = MerchantPast()


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one payment.

    Attributes
    ----------
    note : str
        What it leans on beside the documents; empty for nothing. ``within_a_bound``: a bound on declines or
        reviews was reached, as the process counted it that decided. ``let_through``: a decline that was let
        through at random, and is again.
    """

    action: Action
    rules: tuple[str, ...] = ()
    note: str = ""


class Judge:
    """Judges past payments through the plan's rules, lists and policies.

    Parameters
    ----------
    names : tuple of str
        The features that vectors have, in their order.

    Attributes
    ----------
    needs : frozenset of str
        All that some rule of the plan looks at.
    """

    def __init__(self, plan: ReplayPlan) -> None:
        self._plan = plan
        self._given = Rulebook.of(plan.given_rules) if plan.given_rules else None
        self._kept = {
            (merchant, version): Rulebook.of(rules)
            for merchant, past in plan.merchants.items()
            for version, rules in past.rules.items()
        }
        self._current = {
            merchant: Rulebook.of(past.current_rules)
            for merchant, past in plan.merchants.items()
            if past.current_rules is not None
        }
        self._counted: dict[tuple[str, str], Allowance | None] = {}
        used = {
            SERVED: self._kept.values(),
            "current": self._current.values(),
            "given": [self._given] if self._given else [],
        }[plan.rules]
        self.needs = frozenset(name for book in used for name in book.needs)

    def left_out(self, past: PastDecision) -> str:
        """Why a decision cannot be judged: ``rules_not_kept`` or ``policy_not_kept``; empty where it can."""
        merchant = past.transaction.merchant_id
        if self._plan.rules == SERVED and past.rules_version and (merchant, past.rules_version) not in self._kept:
            return "rules_not_kept"
        return "policy_not_kept" if self._policy(past) is None else ""

    def judge(
        self, past: PastDecision, values: Mapping[str, float], score: float | None, *, same_score: bool
    ) -> Judged:
        """Judge a payment; `left_out` has nothing to say of it.

        Where everything is as it was, the action is the recorded one if the documents allow for it: which version
        of the lists had reached a process, and what it had counted for its policy's bounds, is not kept.

        Parameters
        ----------
        values : mapping of str to float
            The features that rules look at; nan for those that are not known.
        same_score : bool
            Whether the score is the recorded one, to the last bit.
        """
        policy = self._policy(past)
        if policy is None:
            raise AssertionError("the decision had to be left out")
        rulebook = self._rulebook(past)
        told = (
            known_values(
                past.transaction,
                tuple(values),
                tuple(values.values()),
                score=score,
                lists=past.lists if past.was_read else None,
                degraded=score is None,
            )
            if rulebook is not None
            else {}
        )
        as_served = same_score and self._plan.rules == self._plan.policy == SERVED
        first: Judged | None = None
        for lists in self._lists(past):
            for reached, allowance in self._allowances(past, policy, score, as_served=as_served):
                found = judge(
                    past.transaction,
                    told,
                    score=score,
                    policy=policy,
                    rulebook=rulebook,
                    lists=lists,
                    listed=past.lists,
                    allowance=allowance,
                )
                judged = Judged(found.action, found.rules, _note(found, reached=reached))
                if not as_served or (judged.action, judged.rules) == (past.decision, past.rules):
                    return judged
                first = first or judged
        if first is None:
            raise AssertionError("there is always a likeliest")
        return first

    def _rulebook(self, past: PastDecision) -> Rulebook | None:
        merchant = past.transaction.merchant_id
        match self._plan.rules:
            case "given":
                return self._given
            case "current":
                return self._current.get(merchant)
            case "served":
                return self._kept.get((merchant, past.rules_version))

    def _policy(self, past: PastDecision) -> Policy | None:
        merchant = self._plan.merchants.get(past.transaction.merchant_id, _NOTHING)
        match self._plan.policy:
            case "given":
                return self._plan.given_policy
            case "current":
                platform = self._plan.platform
                return merchant.current_policy or (platform[0].policy if platform else None)
            case "served":
                own = merchant.policies.get(past.policy_version)
                if own is not None and own.version == past.policy_version:
                    return own
                served = (each.policy for each in self._plan.platform if each.at <= past.recorded_at)
                return next((each for each in served if each.version == past.policy_version), None)

    def _lists(self, past: PastDecision) -> Iterator[tuple[ListDefinition, ...]]:
        """The definitions that may have counted, the likeliest first; at least one."""
        merchant = self._plan.merchants.get(past.transaction.merchant_id, _NOTHING)
        for stored in merchant.lists if past.lists else ():
            if stored.changed_at <= past.recorded_at:
                yield stored.lists
                if stored.changed_at <= past.recorded_at - SETTLING:
                    return
        yield ()

    def _allowances(
        self, past: PastDecision, policy: Policy, score: float | None, *, as_served: bool
    ) -> Iterator[tuple[bool, Allowance | None]]:
        """What the policy's bounds leave, and whether one of them was reached for it."""
        passing = _Recorded(past.propensity) if past.would_be else None
        if as_served:
            bounded = {"decline": policy.most_declined, "review": policy.most_reviewed}
            for place, action in enumerate(policy.ranking(past.transaction, score)):
                unbounded = bounded.get(action) is None
                free = place == 0 and unbounded and passing is None
                yield place > 0, None if free else _Tried(action, passing)
                if unbounded:
                    return
            return
        key = (past.transaction.merchant_id, policy.version)
        if key not in self._counted:
            bounds = policy.most_declined, policy.most_reviewed
            self._counted[key] = (
                None if bounds == (None, None) else Allowance(most_declined=bounds[0], most_reviewed=bounds[1])
            )
        allowance = self._counted[key]
        if allowance is None and passing is not None:
            allowance = Allowance(most_declined=None, most_reviewed=None)
        if allowance is not None:
            allowance.passing = passing
        yield False, allowance


class _Tried(Allowance):
    """Bounds that leave the action that is tried."""

    def __init__(self, action: Action, passing: PassingBudget | None) -> None:
        super().__init__(most_declined=None, most_reviewed=None)
        self._action = action
        self.passing = passing

    def first(self, ranking: tuple[Action, ...]) -> Action:
        return self._action if self._action in ranking else ranking[0]


class _Recorded(PassingBudget):
    """A draw that fell out as it was recorded: nothing is drawn anew in a replay."""

    __slots__ = ("_propensity",)

    def __init__(self, propensity: float) -> None:
        self._propensity = propensity

    def draw(self, transaction: Transaction) -> Draw:
        return Draw(self._propensity, passed=True, day=0, amount=transaction.amount)


def _note(found: Judgement, *, reached: bool) -> str:
    if found.would_be:
        return "let_through"
    return "within_a_bound" if reached else ""
