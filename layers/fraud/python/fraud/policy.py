"""From a score to an action: by thresholds or by expected cost, within hard bounds."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fraud.events import Transaction
from fraud.passing import Draw, PassingBudget, PassThrough

__all__ = ["Action", "Allowance", "Costs", "Policy", "Share", "Thresholds"]

Action = Literal["approve", "challenge", "review", "decline"]

Share = Annotated[float, Meta(ge=0, le=1)]
"""A part of a whole, from 0 to 1."""

Cost = Annotated[int, Meta(ge=0, le=10**9)]
"""Minor units of the payment's currency."""


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lowest calibrated score, in [0, 1], at which each action is taken."""

    challenge: Share
    review: Share
    decline: Share

    def __post_init__(self) -> None:
        if not 0 <= self.challenge <= self.review <= self.decline <= 1:
            raise ValueError("thresholds: need 0 <= challenge <= review <= decline <= 1")

    def ranking(self, score: float) -> tuple[Action, ...]:
        """What a score calls for, and then the milder actions, the strictest of them first."""
        if score >= self.decline:
            return "decline", "review", "challenge", "approve"
        if score >= self.review:
            return "review", "challenge", "approve"
        return ("challenge", "approve") if score >= self.challenge else ("approve",)


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each action is expected to cost, for a payment of amount a that is fraud with probability p.

    With L = `loss_share` a + `chargeback_fee`, the loss by a fraud that passes, and
    G = `margin_share` a + `goodwill`, the loss by a genuine payment that does not::

        approve      p L
        challenge    challenge_cost + p (1 - challenge_stops) L + (1 - p) challenge_loses G
        review       review_cost + p (1 - review_finds) L + (1 - p) review_turns_away G
        decline      (1 - p) G

    The defaults are a start for a seller of goods, to be replaced by the merchant's own figures.

    Attributes
    ----------
    loss_share : float
        Share of the amount that a fraud costs: 1 where goods and money are both gone, the cost of goods where the
        merchant can sell at that price again, 0 where the issuer bears it.
    chargeback_fee : int
        What the acquirer charges for a chargeback, and the work with it.
    margin_share : float
        Share of the amount that the merchant would have earned by a genuine payment.
    goodwill : int
        What a customer who is turned away is worth beyond this payment.
    challenge_cost : int
        Fee of one authentication.
    challenge_stops : float
        Share of frauds that an authentication stops, or that it shifts to the issuer.
    challenge_loses : float
        Share of genuine payers who give up over it.
    review_cost : int
        The minutes of the person who reviews one payment.
    review_finds : float
        Share of frauds that a review finds.
    review_turns_away : float
        Share of genuine payments that a review declines, or that are gone when it ends.
    """

    loss_share: Share = 1.0
    chargeback_fee: Cost = 2_000
    margin_share: Share = 0.2
    goodwill: Cost = 500
    challenge_cost: Cost = 10
    challenge_stops: Share = 0.85
    challenge_loses: Share = 0.08
    review_cost: Cost = 300
    review_finds: Share = 0.9
    review_turns_away: Share = 0.03

    def expected(self, amount: int, score: float) -> dict[Action, float]:
        """The expected cost of each action.

        Parameters
        ----------
        amount : int
            Minor units.
        score : float
            Probability of fraud, in [0, 1].

        Returns
        -------
        dict of action to float
            Minor units; the mildest action first.
        """
        loss = self.loss_share * amount + self.chargeback_fee
        earned = self.margin_share * amount + self.goodwill
        genuine = 1.0 - score
        return {
            "approve": score * loss,
            "challenge": self.challenge_cost
            + score * (1.0 - self.challenge_stops) * loss
            + genuine * self.challenge_loses * earned,
            "review": self.review_cost
            + score * (1.0 - self.review_finds) * loss
            + genuine * self.review_turns_away * earned,
            "decline": genuine * earned,
        }

    def ranking(self, amount: int, score: float) -> tuple[Action, ...]:
        """The actions by their expected cost, the cheapest first; of two that cost the same, the milder first."""
        costs = self.expected(amount, score)
        return tuple(sorted(costs, key=costs.__getitem__))


class Allowance:
    """What a policy's bounds still leave: of declines and reviews a token bucket for each, and of passing through.

    It starts with one token. Every payment that the policy decides adds the share as a part of a token; a bounded
    action takes a whole one. So of any n payments since the start at most 1 + share n are declined, and what was
    saved in quiet times is bounded as well. One process knows its own payments only; the bound holds in each, and
    so in all together but for the first token of each.

    Parameters
    ----------
    most_declined, most_reviewed : float or None
        Shares in [0, 1]; None for no bound.
    passing : PassThrough, optional
        Which declines are let through; they count as declines here.
    """

    MOST_SAVED = 100
    """Tokens that a quiet time can save: an attack meets no larger allowance than this and its share."""

    # Whole numbers, so that a million additions of a share do not drift. The share is rounded down.
    _TOKEN = 1_000_000

    def __init__(
        self, *, most_declined: float | None, most_reviewed: float | None, passing: PassThrough | None = None
    ) -> None:
        bounds: dict[Action, float | None] = {"decline": most_declined, "review": most_reviewed}
        self._shares = {action: int(share * self._TOKEN) for action, share in bounds.items() if share is not None}
        self._tokens = dict.fromkeys(self._shares, self._TOKEN)
        self.passing = PassingBudget(passing) if passing is not None else None

    def first(self, ranking: tuple[Action, ...]) -> Action:
        """Of the actions for one payment, in the order of preference, the first that is within its bound."""
        for action, share in self._shares.items():
            self._tokens[action] = min(self._tokens[action] + share, self.MOST_SAVED * self._TOKEN)
        for action in ranking:
            if action not in self._tokens:
                return action
            if self._tokens[action] >= self._TOKEN:
                self._tokens[action] -= self._TOKEN
                return action
        return "approve"

    def give_back(self, action: Action, draw: Draw | None = None) -> None:
        """Undo `first`, and the draw if there was one, for a payment that was decided before or was not kept.

        So that it counts once.
        Never leaves more than there was before.
        """
        for bounded, share in self._shares.items():
            self._tokens[bounded] -= share
        if action in self._tokens:
            self._tokens[action] += self._TOKEN
        if self.passing is not None and draw is not None:
            self.passing.give_back(draw)


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do at which score, and without one: exactly one of `thresholds` and `costs`.

    Parameters
    ----------
    unscored_limit : int
        Without a score (no model yet, or no state in time), payments of up to this many minor units
        are approved and larger ones are reviewed: degrade, never guess.
    most_declined, most_reviewed : float or None
        The largest shares of payments that the policy declines and has reviewed, as one process counts them; see
        `Allowance`. An action past its bound becomes the next one: the next milder of thresholds, the next
        cheapest of costs. Lists and rules are not bounded.
    pass_through : PassThrough or None
        Which of the policy's declines are let through at random, to learn from them; None for none.
    """

    version: str
    thresholds: Thresholds | None = None
    costs: Costs | None = None
    unscored_limit: Annotated[int, Meta(ge=0)] = 5_000
    most_declined: Share | None = None
    most_reviewed: Share | None = None
    pass_through: PassThrough | None = None

    def __post_init__(self) -> None:
        if (self.thresholds is None) == (self.costs is None):
            raise ValueError("policy: give either thresholds or costs")

    def allowance(self) -> Allowance | None:
        """A fresh count of what may be declined, reviewed and let through; None if nothing is bounded or drawn."""
        if self.most_declined is None and self.most_reviewed is None and self.pass_through is None:
            return None
        return Allowance(
            most_declined=self.most_declined, most_reviewed=self.most_reviewed, passing=self.pass_through
        )

    def ranking(self, transaction: Transaction, score: float | None) -> tuple[Action, ...]:
        """The actions for a transaction, the preferred one first."""
        if score is None:
            return (
                ("approve",) if transaction.amount <= self.unscored_limit else ("review", "challenge", "approve")
            )
        if self.thresholds is not None:
            return self.thresholds.ranking(score)
        return (self.costs or Costs()).ranking(transaction.amount, score)

    def decide(self, transaction: Transaction, score: float | None, allowance: Allowance | None = None) -> Action:
        """The action for a transaction with a calibrated score, or without one.

        Parameters
        ----------
        allowance : Allowance, optional
            Counts this payment, and bounds the action.
        """
        ranking = self.ranking(transaction, score)
        return allowance.first(ranking) if allowance is not None else ranking[0]
