"""Declines that are let through at random, so that some of what is blocked gets a label.

A blocked payment never shows whether it was fraud, and a model that learns from labels alone learns less and less
of what it blocks. So, where a policy asks for it, a few of its declines become approvals: drawn by a hash,
bounded, and recorded with their propensity, the probability of having been let through.

The sum of x / propensity over the payments let through then estimates the sum of x over all that could have been,
without bias, whatever x is: the estimator of Horvitz and Thompson, "A generalization of sampling without
replacement from a finite universe" (1952). That needs each propensity to be the probability of the draw itself,
and never to depend on how earlier draws fell out. See `PassingBudget`.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from fraud.events import Transaction
from fraud.features.keys import hash64
from fraud.windows import DAY

__all__ = ["MOST_SHARE", "Draw", "PassThrough", "PassingBudget"]

MOST_SHARE = 0.2
"""Who lets more of what it declines through means another policy."""

type _Money = Annotated[int, Meta(ge=1, le=10**9)]


class PassThrough(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of its declines a policy lets through, and how many.

    Only what the policy itself declines is drawn for: never what a list or a rule declines, nor what a rule would
    not let pass as an approval.

    Attributes
    ----------
    share : float
        The probability with which a decline becomes an approval, while the day's bounds are not touched.
    most_amount : int
        Minor units; a larger payment is never let through.
    most_a_day : int
        How many are let through a day (UTC) on average, at the most, of the payments of one merchant that one
        process decides on. The more of it is used, the lower the propensity: see `PassingBudget`.
    most_money_a_day : int or None
        The same for their amounts together, in minor units; None for no bound beyond `most_a_day` times
        `most_amount`.
    salt : str
        Part of the draw: who knows it can tell beforehand which ids are let through.
    """

    share: Annotated[float, Meta(gt=0, le=MOST_SHARE)]
    most_amount: _Money
    most_a_day: Annotated[int, Meta(ge=1, le=100_000)] = 20
    most_money_a_day: _Money | None = None
    salt: Annotated[str, Meta(max_length=64)] = ""

    def __post_init__(self) -> None:
        if self.most_money_a_day is not None and self.share * self.most_amount > self.most_money_a_day:
            raise ValueError("most_money_a_day: need at least share times most_amount; raise it, or lower those")

    def takes(self, event_id: str, propensity: float) -> bool:
        """Whether a payment is let through at a propensity: a repeat meets the same draw."""
        return hash64(f"pass-through\0{self.salt}\0{event_id}") < propensity * 2**64


@dataclass(frozen=True, slots=True)
class Draw:
    """One payment that was drawn for.

    Attributes
    ----------
    propensity : float
        With which probability it was let through, in (0, 1].
    passed : bool
        Whether it was.
    day, amount : int
        What it counts for: days since the epoch, and minor units.
    """

    propensity: float
    passed: bool
    day: int
    amount: int


class PassingBudget:
    """What is left of a day's bounds, as one process knows it.

    Each payment that is drawn for takes its *expected* part of the bounds, propensity and propensity times amount,
    whether or not it is let through, and its propensity is the share times the smaller of the parts still left. So
    the propensities of a day sum to less than `most_a_day`, and those times the amounts to less than
    `most_money_a_day`; how many are let through is spread around that sum by no more than the root of it.

    A propensity hence follows from the payments before and not from the draws before, and it is never 0. A bound
    that counted the payments let through, and stopped at so many, would make later propensities hang on earlier
    draws and some of them 0, and what stands for a whole day would stand for its morning.

    A process knows its own payments only and starts anew when it is started anew: n processes that a day needs let
    through n times the bounds at the most, and all together never more than the share of what is declined.
    """

    __slots__ = ("_count", "_day", "_given", "_money")

    def __init__(self, given: PassThrough) -> None:
        self._given = given
        self._day = 0
        self._count = self._money = 0.0

    def draw(self, transaction: Transaction) -> Draw | None:
        """Draw for a payment that would be declined; None if it is too large to be let through."""
        given = self._given
        if transaction.amount > given.most_amount:
            return None
        day = transaction.event_time // DAY
        if day > self._day:  # what is late, as in a replay, counts for the day that has begun
            self._day, self._count, self._money = day, 0.0, 0.0
        left = 1.0 - self._count / given.most_a_day
        if given.most_money_a_day is not None:
            left = min(left, 1.0 - self._money / given.most_money_a_day)
        propensity = given.share * left
        if propensity <= 0.0:  # rounding, after a million millions of draws
            return None
        self._count += propensity
        self._money += propensity * transaction.amount
        passed = given.takes(transaction.event_id, propensity)
        return Draw(propensity, passed, self._day, transaction.amount)

    def give_back(self, draw: Draw) -> None:
        """Undo `draw` for a payment that was decided before, or whose decision was not kept."""
        if draw.day == self._day:
            self._count = max(self._count - draw.propensity, 0.0)
            self._money = max(self._money - draw.propensity * draw.amount, 0.0)
