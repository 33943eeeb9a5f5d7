"""From a scored payment to an action: lists, rules and policy, in one order everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fraud.events import Transaction
from fraud.lists import ListDefinition, verdict
from fraud.passing import Draw
from fraud.policy import Action, Allowance, Policy
from fraud.rules import Rulebook, Verdict

__all__ = ["SPOKEN", "Judgement", "judge", "known_values"]

SPOKEN = (
    "currency",
    "bin",
    "issuer_country",
    "billing_country",
    "shipping_country",
    "mcc",
    "channel",
    "entry_mode",
    "three_ds",
)
"""The texts of a transaction that rules may speak of; tokens of people are for lists."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What shall be done with a payment, and what decided it.

    Attributes
    ----------
    rules : tuple of str
        Ids of the rules that matched, in the order in which they were looked at.
    failed : tuple of str
        Ids of rules that could not be evaluated for another reason than something unknown.
    by_policy : str or None
        The policy's action, where it was asked: what counts for its bounds, whatever rules made of it.
    draw : Draw or None
        Where the policy declines and nothing else has a say: whether the payment was let through all the same.
    """

    action: Action
    rules: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    by_policy: Action | None = None
    draw: Draw | None = None

    @property
    def would_be(self) -> Literal["", "decline"]:
        """What the action would have been, had the payment not been let through; empty if it was not."""
        return "decline" if self.draw is not None and self.draw.passed else ""

    @property
    def propensity(self) -> float:
        """With which probability the payment was let on, for one that was; 0 for one that was declined.

        1 wherever nothing was drawn. A payment that was drawn for and declined has 0 like every other decline: it
        is not seen further, and what weighs by one over the propensity leaves it out.
        """
        if self.action == "decline":
            return 0.0
        return self.draw.propensity if self.draw is not None else 1.0


def known_values(
    transaction: Transaction,
    names: Sequence[str],
    vector: Sequence[float],
    *,
    score: float | None,
    lists: Sequence[str] | None,
    degraded: bool,
) -> dict[str, object]:
    """What rules may look at. A rulebook knows that NaN, an empty text and None are not known.

    Parameters
    ----------
    names, vector : sequences of the same length
        The features.
    lists : sequence of str or None
        The lists that the payment is on; None where they could not be looked up.
    """
    values: dict[str, object] = dict(zip(names, vector, strict=True))
    values.update({name: getattr(transaction, name) for name in SPOKEN})
    values.update(
        amount=transaction.amount, score=score, lists=None if lists is None else list(lists), degraded=degraded
    )
    return values


def judge(
    transaction: Transaction,
    values: Mapping[str, object],
    *,
    score: float | None,
    policy: Policy,
    rulebook: Rulebook | None = None,
    lists: Sequence[ListDefinition] = (),
    listed: Sequence[str] = (),
    allowance: Allowance | None = None,
) -> Judgement:
    """Decide what to do.

    The first of these that has something to say decides: the lists that the payment is on, the rules that stand
    before the policy, the policy. Rules that stand after it may then change that. What the policy declines, and no
    rule has a say in, may be let through at random, if the policy says so.

    Parameters
    ----------
    values : mapping
        As `known_values` gives them.
    lists : sequence of ListDefinition
        The merchant's.
    listed : sequence of str
        Names of those that the payment is on.
    allowance : Allowance, optional
        What the policy's bounds on declines and reviews still leave, and what it lets through.
    """
    told: list[Verdict] = []
    action = verdict(lists, listed)
    if action is None and rulebook is not None:
        told.append(rulebook.before(values))
        action = told[-1].action
    by_policy = draw = None
    if action is None:
        action = by_policy = policy.decide(transaction, score, allowance)
    if rulebook is not None:
        told.append(rulebook.after(values, action))
        action = told[-1].action or action
    if by_policy == action == "decline" and allowance is not None and allowance.passing is not None:
        # All that the draw hangs on is looked at before it: an approval that a rule would change is not drawn for.
        silent = rulebook is None or (told[-1].action or rulebook.after(values, "approve").action) is None
        draw = allowance.passing.draw(transaction) if silent else None
        action = "approve" if draw is not None and draw.passed else action
    return Judgement(
        action,
        rules=tuple(name for each in told for name in each.matched),
        failed=tuple(name for each in told for name in each.failed),
        by_policy=by_policy,
        draw=draw,
    )
