"""The events that features are folded from: transactions, and what later became known of them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fraud.currency import CURRENCIES

__all__ = [
    "LATEST_TIME",
    "MOST_AMOUNT",
    "Confidence",
    "Event",
    "EventError",
    "Label",
    "LabelKind",
    "LabelSource",
    "Outcome",
    "OutcomeKind",
    "Transaction",
    "check",
]

LabelKind = Literal["chargeback", "confirmed_fraud", "confirmed_genuine"]
LabelSource = Literal["merchant", "issuer", "acquirer", "analyst", "cardholder", "alert"]
type Confidence = Annotated[
    float, Meta(ge=0, le=1, description="How sure the source is: 1 is certain, which is the default.")
]
OutcomeKind = Literal["authorised", "declined", "captured", "refunded", "reviewed"]

MOST_AMOUNT = 10**14
"""No payment is larger, in minor units of any currency: what claims to be is a fault of units."""

LATEST_TIME = 4_102_444_800_000
"""2100-01-01 in ms: a time past it was written in microseconds, or is a clock gone wrong."""


class EventError(ValueError):
    """An event holds what no event can; the message names the field and the remedy."""


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """One payment attempt, after its identifiers were turned into tokens.

    Attributes
    ----------
    event_time : int
        Milliseconds since the epoch, UTC: when the platform received the attempt; for imported
        history, the time in the record.
    amount : int
        Minor units of `currency` (cents for EUR).
    card, customer, device, ip, email, phone : str
        Opaque tokens. An empty string means that the merchant sent none.
    """

    transaction_id: str
    merchant_id: str
    event_time: int
    amount: int
    currency: str
    card: str
    customer: str
    device: str = ""
    ip: str = ""
    email: str = ""
    phone: str = ""
    bin: str = ""
    issuer_country: str = ""
    billing_country: str = ""
    shipping_country: str = ""
    mcc: str = ""
    channel: str = "ecommerce"
    entry_mode: str = ""
    three_ds: str = "none"

    @property
    def event_id(self) -> str:
        """The name of this event everywhere: unique across merchants."""
        return f"{self.merchant_id}/{self.transaction_id}"

    @property
    def transaction(self) -> "Transaction":
        """The transaction that this event is about (itself)."""
        return self


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the issuer or the merchant did with a transaction, once for each kind.

    Attributes
    ----------
    event_time : int
        Milliseconds since the epoch, UTC: when the platform received it. It counts from then on, in the tile of
        that moment.
    """

    transaction: Transaction
    kind: OutcomeKind
    event_time: int

    @property
    def event_id(self) -> str:
        return f"{self.transaction.event_id}#{self.kind}"


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What became known of a transaction, and when.

    A transaction is fraud or genuine once, whatever the number of sources that say so: a chargeback
    after a confirmed fraud carries the same `event_id`, so that it is counted once.

    Attributes
    ----------
    known_at : int
        Milliseconds since the epoch, UTC.
    source : str
        Who said so: the merchant itself, the card's issuer, the acquirer, an analyst who reviewed it, the
        cardholder, or an alert of some system.
    confidence : float
        How sure the source is, from 0 to 1.
    """

    transaction: Transaction
    kind: LabelKind
    known_at: int
    source: LabelSource = "merchant"
    confidence: float = 1.0

    @property
    def is_fraud(self) -> bool:
        return self.kind != "confirmed_genuine"

    @property
    def event_time(self) -> int:
        """Labels count in the tile of their transaction, not of the day they arrived."""
        return self.transaction.event_time

    @property
    def event_id(self) -> str:
        return f"{self.transaction.event_id}#{'fraud' if self.is_fraud else 'genuine'}"


type Event = Transaction | Outcome | Label


def check(event: Event) -> None:
    """Refuse an event that no feature could be computed from rightly.

    Raises
    ------
    EventError
        Naming the field and the remedy, never the value.
    """
    transaction = event.transaction
    for name in ("transaction_id", "merchant_id"):
        if not getattr(transaction, name):
            raise EventError(f"{name} is empty; every event names its transaction and its merchant")
    if not 0 <= transaction.amount <= MOST_AMOUNT:
        raise EventError(
            f"amount is not between 0 and {MOST_AMOUNT} minor units; check its unit, leave refunds out"
        )
    if transaction.currency not in CURRENCIES:
        raise EventError("currency is no ISO 4217 code; write it like EUR")
    times = {"event_time": transaction.event_time}
    if isinstance(event, Label):
        times["known_at"] = event.known_at
    elif isinstance(event, Outcome):
        times["the outcome's event_time"] = event.event_time
    for name, time in times.items():
        if not 0 <= time < LATEST_TIME:
            raise EventError(f"{name} is not between 1970 and 2100; write milliseconds since 1970-01-01 UTC")
        if time < transaction.event_time:
            raise EventError(f"{name} is before its transaction; check its unit and time zone")
    if isinstance(event, Label) and not 0 <= event.confidence <= 1:
        raise EventError("confidence is not between 0 and 1; write a share, such as 0.8 for 80 %")
