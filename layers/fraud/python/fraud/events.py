"""The events that features are folded from: transactions, and what later became known of them."""

from typing import Literal

import msgspec

LabelKind = Literal["chargeback", "confirmed_fraud", "confirmed_genuine"]

__all__ = ["Event", "Label", "LabelKind", "Transaction"]


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """One payment attempt, after its identifiers were turned into tokens.

    Attributes
    ----------
    event_time : int
        Milliseconds since the epoch, UTC: when the platform received the attempt; for imported
        history, the time in the record.
    amount : int
        Minor units of `currency` (cents for EUR).
    card, customer, device, ip, email : str
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


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What became known of a transaction, and when.

    A transaction is fraud or genuine once, whatever the number of sources that say so: a chargeback
    after a confirmed fraud carries the same `event_id`, so that it is counted once.
    """

    transaction: Transaction
    kind: LabelKind
    known_at: int

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


type Event = Transaction | Label
