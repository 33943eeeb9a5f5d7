"""What a feature is: an entity, a series of events, an aggregation over a window, and why it is there.

A column's name is derived from these parts, so that two features that mean the same cannot have two
names. A published definition never changes meaning: a change is a new `version`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fraud.events import Transaction
from fraud.features.series import (
    DECLINES,
    FIELDS,
    FRAUDS,
    OWN_FIELDS,
    PAYMENTS,
    VERDICTS,
    DefinitionError,
    Distinct,
    Entity,
    Series,
    Source,
    Where,
    check_field,
)
from fraud.tiles import EXTREMES, LATEST, SQUARES, TIMES, TOTAL
from fraud.windows import DAY, SECOND, Window, written

__all__ = [
    "DECLINES",
    "FIELDS",
    "FRAUDS",
    "OWN_FIELDS",
    "PAYMENTS",
    "VERDICTS",
    "Aggregation",
    "DefinitionError",
    "Distinct",
    "Entity",
    "Reason",
    "RowFeature",
    "Series",
    "Source",
    "Where",
    "WindowFeature",
]

LONGEST_RETENTION = 400 * DAY


class Aggregation(StrEnum):
    """How the events of a window become one number; ``amount`` ones are in minor units."""

    COUNT = "count"
    SUM = "amount_sum"
    MEAN = "amount_mean"
    STD = "amount_std"
    MIN = "amount_min"
    MAX = "amount_max"
    LAST = "amount_last"
    ZSCORE = "amount_zscore"
    RATIO = "amount_ratio"
    SINCE_FIRST = "since_first"
    SINCE_LAST = "since_last"
    DISTINCT = "distinct"
    RATE = "rate"

    @property
    def parts(self) -> int:
        """What a tile must hold for it beside the count."""
        return _PARTS.get(self, 0)


_PARTS = {
    Aggregation.SUM: TOTAL,
    Aggregation.MEAN: TOTAL,
    Aggregation.RATIO: TOTAL,
    Aggregation.STD: TOTAL | SQUARES,
    Aggregation.ZSCORE: TOTAL | SQUARES,
    Aggregation.MIN: TOTAL | EXTREMES,
    Aggregation.MAX: TOTAL | EXTREMES,
    Aggregation.LAST: TOTAL | TIMES | LATEST,
    Aggregation.SINCE_FIRST: TIMES,
    Aggregation.SINCE_LAST: TIMES,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a feature moves a score: a stable code, and words for it.

    Attributes
    ----------
    text : str
        For an analyst: what the contributions of the features with this code tell.
    customer_text : str
        For the payer, whom a merchant may show it. It holds whichever way the score was moved, and says nothing of
        other merchants, of what is known as fraud, or of how a check works.
    """

    code: str
    text: str
    customer_text: str = ""


@dataclass(frozen=True, slots=True)
class WindowFeature:
    """An aggregation over the window of one entity's past.

    Parameters
    ----------
    over : Series or Distinct
    catches : str
        A sentence that says what fraud the feature is there to catch.
    shown : bool
        Whether the decision's answer carries its value. It may if all the payments that it counts were sent by the
        merchant who reads the answer.
    include_current : bool
        Whether the transaction itself counts as the last event of its window.

    Raises
    ------
    DefinitionError
        If the parts do not fit together.
    """

    entity: Entity
    aggregation: Aggregation
    over: Series | Distinct
    window: Window
    reason: Reason
    catches: str
    shown: bool = False
    version: int = 1
    include_current: bool = False

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise DefinitionError(f"feature {self.name}: {complaint}")

    @property
    def name(self) -> str:
        """Such as ``card_count_24h`` or ``merchant_fraud_rate_28d_after_7d``."""
        what = self.aggregation.value
        if isinstance(self.over, Distinct):
            what = f"{what}_{self.over.field}"
        elif self.over.where is not None:
            what = f"{self.over.where.name}_{what}"
        delay = f"_after_{written(self.window.delay)}" if self.window.delay else ""
        current = "_with_current" if self.include_current else ""
        version = f"_v{self.version}" if self.version > 1 else ""
        return f"{self.entity.name}_{what}_{written(self.window.length)}{delay}{current}{version}"

    @property
    def series(self) -> tuple[Series, ...]:
        """The series whose windows it reads: its own, and for a share also what it is a share of."""
        if isinstance(self.over, Distinct):
            return ()
        if self.aggregation is Aggregation.RATE and self.over.base is not None:
            return self.over, self.over.base
        return (self.over,)

    @property
    def tiles(self) -> int:
        """How many tiles of its own hop the window spans at most: what one read costs at worst."""
        return self.window.length // self.window.hop + 2

    def _complaints(self) -> list[str]:
        window, over = self.window, self.over
        found = []
        if (self.aggregation is Aggregation.DISTINCT) != isinstance(over, Distinct):
            found.append("'distinct' aggregates a Distinct, all else a Series")
        if any(series.source is Source.LABEL for series in self.series) and not window.delay:
            found.append(
                "labels arrive late, so a feature over them must declare a delay, such as "
                "Window.of('28d', delay='7d')"
            )
        if isinstance(over, Series) and over.where is None and over.source is not Source.TRANSACTION:
            found.append(
                "only payments are counted without a condition; give the series a Where, whose word becomes part "
                "of the name"
            )
        if isinstance(over, Distinct) and window.delay:
            found.append("a distinct count knows when a value was last seen, so its window cannot be delayed")
        if self.aggregation is Aggregation.RATE and isinstance(over, Series) and over.base is None:
            found.append("a rate needs a series with a base, such as FRAUDS or DECLINES")
        if self.include_current and (
            window.delay
            or self.aggregation in (Aggregation.RATE, Aggregation.SINCE_FIRST, Aggregation.SINCE_LAST)
            or any(series != PAYMENTS for series in self.series)
        ):
            found.append(
                "the current transaction can only count among undelayed payments, and not in a time since"
            )
        spans = window.length, window.hop, window.delay
        if any(span % SECOND for span in spans) or min(window.length, window.hop) < SECOND or window.delay < 0:
            found.append("lengths, hops and delays are whole seconds, and only a delay may be none")
        if window.hop > window.length:
            found.append("the hop is longer than the window, so no level holds it; leave hop out or shorten it")
        if window.retention > LONGEST_RETENTION:
            found.append(
                f"window, delay and hop reach back more than {LONGEST_RETENTION // DAY} days; shorten them"
            )
        if self.version < 1:
            found.append("versions count from 1")
        if self.shown and not self.entity.of_one_merchant:
            found.append(
                "it would show a merchant what the others saw; only entities with a field of one merchant's own "
                f"({', '.join(sorted(OWN_FIELDS))}) may be shown"
            )
        return found


@dataclass(frozen=True, slots=True)
class RowFeature:
    """A plain function of some of the transaction's own fields; NaN where what it needs was not sent.

    Parameters
    ----------
    fields : tuple of str
        What `of` is given, in this order: text, or whole numbers for ``event_time`` and ``amount``. Engines
        call it once for each different combination.
    """

    name: str
    fields: tuple[str, ...]
    of: Callable[..., float]
    reason: Reason
    catches: str
    version: int = 1
    shown: bool = False

    def __post_init__(self) -> None:
        for field in self.fields:
            check_field(field, f"feature {self.name}", FIELDS)

    def value(self, transaction: Transaction) -> float:
        """Its number for one transaction."""
        return self.of(*[getattr(transaction, field) for field in self.fields])
