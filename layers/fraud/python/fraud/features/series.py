"""What a feature looks at: entities, the series of events about them, and distinct values."""

from dataclasses import dataclass
from enum import StrEnum
from typing import get_args

import msgspec

from fraud.events import Event, Label, LabelKind, Outcome, OutcomeKind, Transaction

__all__ = [
    "DECLINES",
    "FIELDS",
    "FRAUDS",
    "OWN_FIELDS",
    "PAYMENTS",
    "TEXTS",
    "VERDICTS",
    "DefinitionError",
    "Distinct",
    "Entity",
    "Series",
    "Source",
    "Where",
    "check_field",
    "joined",
]

FIELDS: tuple[str, ...] = tuple(field.name for field in msgspec.structs.fields(Transaction))
"""What a transaction tells, and so what a definition may name."""

TEXTS = tuple(name for name in FIELDS if name not in ("event_time", "amount"))
"""Those of them that can be a key, be told apart or be asked for: the others are numbers."""


OWN_FIELDS = frozenset({"merchant_id", "customer"})
"""Those that mean something at one merchant only: a customer's id is the merchant's own, and so is its token."""


class DefinitionError(ValueError):
    """A definition cannot mean what it says; the message names the feature and the remedy."""


def check_field(field: str, whose: str, among: tuple[str, ...]) -> None:
    """Refuse a field that is not among those that can be used here."""
    if field not in among:
        wrong = f"field {field!r} is a number" if field in FIELDS else f"there is no field {field!r}"
        raise DefinitionError(f"{whose}: {wrong}; use one of {', '.join(among)}")


@dataclass(frozen=True, slots=True)
class Entity:
    """A keyed thing that has a history, such as a card, or a card at one merchant.

    Parameters
    ----------
    name : str
    fields : tuple of str
        The transaction's fields that hold the key's token, or its parts.
    shards : int
        In how many items a key's state is kept; more than one for keys busy enough to contend.
    """

    name: str
    fields: tuple[str, ...]
    shards: int = 1

    def __post_init__(self) -> None:
        for field in self.fields:
            check_field(field, f"entity {self.name}", TEXTS)
        if not self.fields or self.shards < 1:
            raise DefinitionError(f"entity {self.name}: it needs at least one field and one shard")

    @property
    def of_one_merchant(self) -> bool:
        """Whether all of a key's history was sent by one merchant, who may be shown it."""
        return not OWN_FIELDS.isdisjoint(self.fields)

    def token(self, transaction: Transaction) -> str:
        """The key of this entity in a transaction; empty when the merchant did not send all of it."""
        if len(self.fields) == 1:
            only: str = getattr(transaction, self.fields[0])
            return only
        return joined([getattr(transaction, field) for field in self.fields])


def joined(parts: list[str]) -> str:
    """One token of several, such that different parts never give the same one; empty if any part is."""
    if not all(parts):
        return ""
    return "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts)


class Source(StrEnum):
    """The kind of event that a series is made of."""

    TRANSACTION = "transaction"
    OUTCOME = "outcome"
    LABEL = "label"


_KINDS = {Source.OUTCOME: get_args(OutcomeKind), Source.LABEL: get_args(LabelKind)}


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on an event: one of its fields has one of these values.

    Parameters
    ----------
    name : str
        The word for such events in the names of features.
    field : str
        A transaction's field, or ``kind`` of an outcome or a label.
    """

    name: str
    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A stream of amounts in minor units; `slot` is its number in the packed state, for good.

    Parameters
    ----------
    base : Series, optional
        Of what this series is a part, for shares.
    """

    slot: int
    source: Source
    where: Where | None = None
    base: "Series | None" = None

    def __post_init__(self) -> None:
        if self.where is not None:
            kinds = ("kind",) if self.source is not Source.TRANSACTION else ()
            whose = f"series {self.where.name}"
            check_field(self.where.field, whose, (*TEXTS, *kinds))
            values: object = self.where.values
            if not (isinstance(values, tuple) and values):
                # A word would be searched letter by letter.
                raise DefinitionError(f"{whose}: a condition needs a tuple of values, such as ('declined',)")
            if self.where.field == "kind":
                known = _KINDS[self.source]
                strange = [value for value in self.where.values if value not in known]
                if strange:
                    raise DefinitionError(
                        f"{whose}: there is no kind {strange[0]!r}; use one of {', '.join(known)}"
                    )

    def takes(self, event: Event) -> bool:
        """Whether an event belongs to this series."""
        match self.source:
            case Source.TRANSACTION:
                mine = isinstance(event, Transaction)
            case Source.OUTCOME:
                mine = isinstance(event, Outcome)
            case Source.LABEL:
                mine = isinstance(event, Label)
        if not mine or self.where is None:
            return mine
        holder = event if self.where.field == "kind" else event.transaction
        return getattr(holder, self.where.field) in self.where.values


PAYMENTS = Series(1, Source.TRANSACTION)
FRAUDS = Series(2, Source.LABEL, Where("fraud", "kind", ("chargeback", "confirmed_fraud")), PAYMENTS)
VERDICTS = Series(3, Source.OUTCOME, Where("answered", "kind", ("authorised", "declined")))
DECLINES = Series(4, Source.OUTCOME, Where("declined", "kind", ("declined",)), VERDICTS)


@dataclass(frozen=True, slots=True)
class Distinct:
    """The different values of a transaction's field; `slot` is its number in the packed state, for good.

    Parameters
    ----------
    capacity : int
        How many of the most recent values are kept; a count never exceeds it.
    """

    slot: int
    field: str
    capacity: int = 64

    def __post_init__(self) -> None:
        check_field(self.field, f"distinct {self.field}", TEXTS)
        if self.capacity < 1:
            raise DefinitionError(f"distinct {self.field}: it needs room for at least one value")
