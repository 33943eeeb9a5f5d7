"""From a score to an action."""

from typing import Literal

import msgspec

from fraud.events import Transaction

__all__ = ["Action", "Policy", "Thresholds"]

Action = Literal["approve", "challenge", "review", "decline"]


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lowest calibrated score, in [0, 1], at which each action is taken."""

    challenge: float
    review: float
    decline: float

    def __post_init__(self) -> None:
        if not 0 <= self.challenge <= self.review <= self.decline <= 1:
            raise ValueError("thresholds: need 0 <= challenge <= review <= decline <= 1")


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do at which score, and without one.

    Parameters
    ----------
    unscored_limit : int
        Without a score (no model yet, or no state in time), payments of up to this many minor units
        are approved and larger ones are reviewed: degrade, never guess.
    """

    version: str
    thresholds: Thresholds
    unscored_limit: int = 5_000

    def decide(self, transaction: Transaction, score: float | None) -> Action:
        """The action for a transaction with a calibrated score, or without one."""
        if score is None:
            return "approve" if transaction.amount <= self.unscored_limit else "review"
        if score >= self.thresholds.decline:
            return "decline"
        if score >= self.thresholds.review:
            return "review"
        return "challenge" if score >= self.thresholds.challenge else "approve"
