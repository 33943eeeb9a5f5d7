"""What letting declines through would have cost over past decisions, and how much is learned by it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fraud.backtest import Draft, Past
from fraud.policy import Costs
from fraud.windows import DAY

__all__ = ["Expectation", "Money", "Part", "expect"]


@dataclass(slots=True)
class Money:
    """Of one currency, in its minor units.

    Attributes
    ----------
    lost : float
        By the frauds among what is let through.
    regained : float
        By the genuine payments among it, which are no longer turned away.
    """

    lost: float = 0.0
    regained: float = 0.0

    @property
    def net(self) -> float:
        """What it costs on the whole."""
        return self.lost - self.regained


@dataclass(slots=True)
class Part:
    """What is let through, as expected from each payment's propensity and score.

    Attributes
    ----------
    payments, frauds : float
        How many.
    money : mapping of str to Money
        By currency.
    """

    payments: float = 0.0
    frauds: float = 0.0
    money: defaultdict[str, Money] = field(default_factory=lambda: defaultdict(Money))

    def add(self, past: Past, score: float, propensity: float, costs: Costs) -> None:
        """Count one more payment that can be let through."""
        money, expected = self.money[past.transaction.currency], costs.expected(past.transaction.amount, score)
        self.payments += propensity
        self.frauds += propensity * score
        money.lost += propensity * expected["approve"]
        money.regained += propensity * expected["decline"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of the past decisions, judged again.

    Attributes
    ----------
    days : float
        From the first of them to the end of the time that was looked at; 1 at least.
    decisions, declined, eligible : int
        How many there were, the policy would decline, and could be let through of those.
    within : Part
        As one process lets through that decides on all, within the day's bounds.
    most : Part
        As if no day's bound were ever touched: more than this is let through by no number of processes.
    counts_for : float
        As many labels at one and the same propensity say as much as those of `within`: the square of the sum of
        their weights over the sum of the squares (Kish, "Survey Sampling", 1965), each sum in expectation.
    smallest : float or None
        The smallest propensity, hence one over the largest weight; None if nothing is eligible.
    """

    days: float
    decisions: int
    declined: int
    eligible: int
    within: Part
    most: Part
    counts_for: float
    smallest: float | None

    @property
    def currencies(self) -> Mapping[str, tuple[Money, Money]]:
        """Within the bounds and at the most, by currency."""
        return {name: (self.within.money[name], self.most.money[name]) for name in sorted(self.within.money)}

    def per(self, days: float, sum_: float) -> float:
        """A sum over all the time as one over so many days."""
        return sum_ * days / self.days


def expect(decisions: Iterable[Past], draft: Draft, *, until: int) -> Expectation:
    """Ask a draft that lets declines through about past decisions.

    Each payment counts with its propensity, however its draw falls out: no salt changes the answer. Costs are
    the policy's, or the defaults where it has none.

    Parameters
    ----------
    decisions : iterable of Past
        In the order of their events, each once.
    until : int
        The end of the time that is looked at, in ms since the epoch.

    Raises
    ------
    ValueError
        If the draft's policy lets nothing through.
    """
    passing, costs = draft.policy.pass_through, draft.policy.costs or Costs()
    if passing is None:
        raise ValueError("policy: it has no pass_through; name its share and its largest amount")
    allowance = draft.policy.allowance()
    within, most, first, found, declined = Part(), Part(), until, 0, 0
    propensities: list[float] = []
    for past in decisions:
        found += 1
        first = min(first, past.transaction.event_time)
        judgement = draft.judged(past, allowance)
        declined += judgement.by_policy == "decline" and "decline" in (judgement.action, judgement.would_be)
        if judgement.draw is not None and past.score is not None:
            propensities.append(judgement.draw.propensity)
            within.add(past, past.score, judgement.draw.propensity, costs)
            most.add(past, past.score, passing.share, costs)
    weights = sum(1.0 / each for each in propensities)
    return Expectation(
        days=max((until - first) / DAY, 1.0),
        decisions=found,
        declined=declined,
        eligible=len(propensities),
        within=within,
        most=most,
        counts_for=len(propensities) ** 2 / weights if weights else 0.0,
        smallest=min(propensities, default=None),
    )
