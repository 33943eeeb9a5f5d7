"""What a feature is: an entity, a series of values, an aggregation over a window, and why it is there.

A column's name is derived from these parts, so that two features that mean the same cannot have two
names. A published definition never changes meaning: a change is a new `version`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fraud.events import Label, Transaction
from fraud.windows import DAY, HOUR, MINUTE, SECOND, Window

__all__ = [
    "FRAUDS",
    "PAYMENTS",
    "Aggregation",
    "Distinct",
    "Entity",
    "Reason",
    "RowFeature",
    "Series",
    "Source",
    "WindowFeature",
]


@dataclass(frozen=True, slots=True)
class Entity:
    """A keyed thing that has a history, such as a card.

    Parameters
    ----------
    name : str
    field : str
        The transaction's field that holds the key's token.
    shards : int
        In how many items a key's state is kept; more than one for keys busy enough to contend.
    """

    name: str
    field: str
    shards: int = 1

    def token(self, transaction: Transaction) -> str:
        """The key of this entity in a transaction; empty when the merchant sent none."""
        token: str = getattr(transaction, self.field)
        return token


class Source(StrEnum):
    """The kind of event that a series is made of."""

    TRANSACTION = "transaction"
    FRAUD = "fraud"


@dataclass(frozen=True, slots=True)
class Series:
    """A stream of amounts in minor units; `slot` is its number in the packed state, for good."""

    slot: int
    source: Source

    def takes(self, event: Transaction | Label) -> bool:
        """Whether an event belongs to this series."""
        if isinstance(event, Label):
            return self.source is Source.FRAUD and event.is_fraud
        return self.source is Source.TRANSACTION


PAYMENTS = Series(1, Source.TRANSACTION)
FRAUDS = Series(2, Source.FRAUD)


@dataclass(frozen=True, slots=True)
class Distinct:
    """The different values of a transaction's field; `slot` is its number in the packed state, for good."""

    slot: int
    field: str
    capacity: int = 64


class Aggregation(StrEnum):
    """How the tiles of a window become one number; ``amount`` ones are in minor units."""

    COUNT = "count"
    SUM = "amount_sum"
    MEAN = "amount_mean"
    MAX = "amount_max"
    ZSCORE = "amount_zscore"
    RATIO = "amount_ratio"
    SINCE_LAST = "since_last"
    DISTINCT = "distinct"
    FRAUD_RATE = "fraud_rate"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a feature moves a score: a stable code and a sentence for an analyst."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class WindowFeature:
    """An aggregation over the window of one entity's past.

    Parameters
    ----------
    over : Series or Distinct
    catches : str
        A sentence that says what fraud the feature is there to catch.
    shown : bool
        Whether the decision's answer carries its value. Only counts that name no merchant may be.
    """

    entity: Entity
    aggregation: Aggregation
    over: Series | Distinct
    window: Window
    reason: Reason
    catches: str
    shown: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        if (self.aggregation is Aggregation.DISTINCT) != isinstance(self.over, Distinct):
            raise ValueError(f"feature {self.name}: 'distinct' aggregates a Distinct, all else a Series")
        label_based = isinstance(self.over, Series) and self.over.source is Source.FRAUD
        if (label_based or self.aggregation is Aggregation.FRAUD_RATE) and not self.window.delay:
            raise ValueError(
                f"feature {self.name}: labels arrive late, so a feature over them must declare a delay, "
                "such as Window.of('28d', delay='7d')"
            )

    @property
    def name(self) -> str:
        """Such as ``card_count_24h`` or ``merchant_fraud_rate_28d_after_7d``."""
        what = self.aggregation.value
        if isinstance(self.over, Distinct):
            what = f"{what}_{self.over.field}"
        delay = f"_after_{_written(self.window.delay)}" if self.window.delay else ""
        version = f"_v{self.version}" if self.version > 1 else ""
        return f"{self.entity.name}_{what}_{_written(self.window.length)}{delay}{version}"


@dataclass(frozen=True, slots=True)
class RowFeature:
    """A plain function of the transaction itself; NaN where what it needs was not sent."""

    name: str
    of: Callable[[Transaction], float]
    reason: Reason
    catches: str
    version: int = 1
    shown: bool = False


def _written(span: int) -> str:
    for unit, size, limit in (("d", DAY, 2 * DAY), ("h", HOUR, HOUR), ("m", MINUTE, MINUTE)):
        if span >= limit and span % size == 0:
            return f"{span // size}{unit}"
    return f"{span // SECOND}s"
