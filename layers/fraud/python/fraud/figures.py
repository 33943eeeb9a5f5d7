"""The figures of a backtest: what is told of a draft, by action, by change and by rule."""

import math
from typing import Annotated

import msgspec
from msgspec import Meta

from fraud.policy import Action

__all__ = [
    "ActionFigures",
    "Change",
    "CurrencyFigures",
    "Interval",
    "Report",
    "RuleFigures",
    "Total",
    "wilson",
]

_Z = 1.959963984540054
"""The quantile of the normal distribution that leaves 2.5 % on either side."""


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """How many payments, and their amounts together in minor units."""

    count: int = 0
    amount: int = 0


class ActionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Payments, and what is known of them by now: `all` is the sum of the other three."""

    all: Total = Total()
    frauds: Total = Total()
    genuine: Total = Total()
    unknown: Total = Total()


class CurrencyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The payments of one currency by what was done, and by what the draft does.

    Frauds under `approve` are fraud let through; genuine payments under the other actions are false positives.
    """

    before: dict[Action, ActionFigures]
    after: dict[Action, ActionFigures]


class Change(msgspec.Struct, frozen=True, kw_only=True, rename={"was": "from", "becomes": "to"}):
    """Payments of one currency that the draft decides in another way."""

    was: Action
    becomes: Action
    currency: str
    payments: ActionFigures
    examples: Annotated[tuple[str, ...], Meta(description="Transaction ids of the first of them, five at most.")]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A share, and the 95 % interval that it lies in for all that these payments tell."""

    value: float
    low: float
    high: float


class RuleFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule of the draft matched, whether or not it decided."""

    id: str
    matched: Annotated[dict[str, ActionFigures], Meta(description="By currency.")]
    precision: Annotated[
        Interval | None,
        Meta(description="Frauds among the matched payments of which the verdict is known; null without any."),
    ]
    failed: Annotated[int, Meta(description="Payments that it could not be evaluated for, as by a zero divisor.")]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a draft would have done.

    Attributes
    ----------
    labelled : int
        Decisions of which it is known whether they were fraud.
    degraded, degraded_changed : int
        Decisions without a score, which the draft decides without one as well, and how many of them change.
    """

    decisions: int
    changed: int
    labelled: int
    degraded: Annotated[int, Meta(description="Those without a score; the draft decides them without one too.")]
    degraded_changed: int
    currencies: dict[str, CurrencyFigures]
    changes: tuple[Change, ...]
    rules: tuple[RuleFigures, ...]


def wilson(hits: int, trials: int) -> Interval | None:
    """The share of hits with its 95 % score interval; None without trials.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    Examples
    --------
    >>> found = wilson(8, 10)
    >>> (found.value, round(found.low, 3), round(found.high, 3))
    (0.8, 0.49, 0.943)
    """
    if not trials:
        return None
    share, weight = hits / trials, _Z * _Z / trials
    middle = (share + weight / 2) / (1 + weight)
    reach = _Z * math.sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    # Rounding must not put an end beyond the share itself.
    return Interval(
        value=share, low=max(0.0, min(share, middle - reach)), high=min(1.0, max(share, middle + reach))
    )
