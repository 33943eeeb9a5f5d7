"""The merchant's API: request models, and what is checked before anything else looks at a request."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Meta

from fraud.cards import card_number_at
from fraud.currency import CURRENCIES
from fraud.events import LATEST_TIME, LabelKind, OutcomeKind, Transaction
from runtime.http import Problem

__all__ = [
    "DecisionRequest",
    "LabelRequest",
    "OutcomeRequest",
    "body_digest",
    "check_currency",
    "parse",
    "receipt_time",
    "transaction_in_path",
]

REPLAY_HEADER = "paywarden-replay-time"
MOST_BYTES = 65_536
MOST_AHEAD = timedelta(minutes=2)
MOST_BEHIND = timedelta(hours=24)

# Patterns end with \Z: Python's $ lets a line feed pass, and \d the digits of every script.
type _Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+\Z")]
type _Token = Annotated[str, Meta(min_length=1, max_length=256)]
type _Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z", description="ISO 3166-1 alpha-2")]


class _Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Card(_Model, frozen=True):
    """A card as a network token or fingerprint; never its number."""

    token: _Token
    bin: Annotated[str, Meta(pattern=r"^[0-9]{6,8}\Z")] | None = None
    brand: Annotated[str, Meta(max_length=32)] | None = None
    issuer_country: _Country | None = None


class Customer(_Model, frozen=True):
    id: _Token
    email: Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\Z")] | None = None


class Device(_Model, frozen=True):
    id: _Token


class Address(_Model, frozen=True):
    country: _Country | None = None
    postcode: Annotated[str, Meta(max_length=16)] | None = None


class DecisionRequest(_Model, frozen=True):
    """One transaction to decide on; `amount` in minor units of `currency`."""

    transaction_id: _Id
    amount: Annotated[int, Meta(ge=0, le=10**12)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="ISO 4217")]
    card: Card
    customer: Customer
    occurred_at: datetime | None = None
    device: Device | None = None
    ip: Annotated[str, Meta(max_length=45)] | None = None
    billing: Address | None = None
    shipping: Address | None = None
    mcc: Annotated[str, Meta(pattern=r"^[0-9]{4}\Z")] | None = None
    channel: Literal["ecommerce", "app", "pos", "moto"] = "ecommerce"
    entry_mode: Literal["chip", "contactless", "swipe", "manual", "card_on_file"] | None = None
    three_ds: Literal["none", "attempted", "authenticated", "failed"] = "none"
    metadata: Annotated[
        dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=500)]], Meta(max_length=20)
    ] = {}

    def transaction(self, merchant_id: str, received_at: int) -> Transaction:
        """The transaction, its identifiers still as the merchant sent them.

        Parameters
        ----------
        received_at : int
            Milliseconds since the epoch, UTC.
        """
        billing, shipping = self.billing or Address(), self.shipping or Address()
        return Transaction(
            transaction_id=self.transaction_id,
            merchant_id=merchant_id,
            event_time=received_at,
            amount=self.amount,
            currency=self.currency,
            card=self.card.token,
            customer=self.customer.id,
            device=self.device.id if self.device else "",
            ip=self.ip or "",
            email=self.customer.email or "",
            bin=self.card.bin or "",
            issuer_country=self.card.issuer_country or "",
            billing_country=billing.country or "",
            shipping_country=shipping.country or "",
            mcc=self.mcc or "",
            channel=self.channel,
            entry_mode=self.entry_mode or "",
            three_ds=self.three_ds,
        )


class LabelRequest(_Model, frozen=True):
    """What became known of a transaction; `known_at` defaults to now."""

    transaction_id: _Id
    label: LabelKind
    known_at: datetime | None = None


class OutcomeRequest(_Model, frozen=True):
    """What was done with the transaction that the path names; it counts from its receipt on."""

    outcome: OutcomeKind


class _Path(_Model, frozen=True):
    transaction_id: _Id


def parse[T](body: bytes, model: type[T]) -> T:
    """Read and check a request's body.

    Raises
    ------
    Problem
        400, with the field at fault. A raw card number is found before anything else is looked at.
    """
    if len(body) > MOST_BYTES:
        detail = f"The body has more than {MOST_BYTES} bytes. Send one transaction, and less metadata."
        raise Problem(413, "body-too-large", "Body too large", detail)
    try:
        return _checked(msgspec.json.decode(body), model)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        detail = "The body is no JSON document in UTF-8, or is nested too deeply."
        raise Problem(400, "invalid-body", "Invalid body", detail) from None


def transaction_in_path(path: Mapping[str, str]) -> str:
    """The id of the transaction that a path names, under the rules that it has in a body.

    Parameters
    ----------
    path : mapping of str to str
        The path's parameters.

    Raises
    ------
    Problem
        400, if it is no id that a transaction can have.
    """
    # An id has no percent sign, so one that was decoded before stays as it is.
    return _checked({name: unquote(text) for name, text in path.items()}, _Path).transaction_id


def _checked[T](given: object, model: type[T]) -> T:
    hidden = card_number_at(given)
    if hidden:
        detail = "A raw card number is in this field. Send a network token or a fingerprint of the card instead."
        raise Problem(400, "card-number", "Raw card number", detail, hidden)
    try:
        return msgspec.convert(given, model)
    except msgspec.ValidationError as error:
        detail, field = _told(str(error))
        raise Problem(400, "invalid-field", "Invalid field", detail, field) from None


def body_digest(body: bytes) -> str:
    """A digest that tells two requests apart, but not two spellings of the same JSON."""
    canonical = msgspec.json.encode(msgspec.json.decode(body), order="deterministic")
    return hashlib.sha256(canonical).hexdigest()


def receipt_time(headers: dict[str, str], clock: int, *, replay: bool) -> int:
    """When a request counts as received, in ms.

    Where `replay` is allowed (never in production), the header ``Paywarden-Replay-Time`` sets it, so that
    history can be played at any speed with the times it had.

    Raises
    ------
    Problem
        400, if the header is refused here or is no time.
    """
    text = headers.get(REPLAY_HEADER)
    if text is None:
        return clock
    if not replay:
        detail = "This environment does not replay history. Leave the header out."
        raise Problem(400, "replay-refused", "Replay refused", detail, "Paywarden-Replay-Time")
    if not re.fullmatch(r"[0-9]{12,14}", text) or int(text) >= LATEST_TIME:
        detail = "The header holds milliseconds since 1970-01-01 UTC, such as 1700000000000."
        raise Problem(400, "invalid-field", "Invalid field", detail, "Paywarden-Replay-Time")
    return int(text)


def check_currency(currency: str) -> None:
    """Refuse three letters that are no currency: an amount in minor units of nothing has no meaning.

    Raises
    ------
    Problem
        400, if the code is not an active one of ISO 4217.
    """
    if currency not in CURRENCIES:
        detail = "This is no ISO 4217 currency code. Write one such as EUR, USD or JPY."
        raise Problem(400, "invalid-field", "Invalid field", detail, "currency")


def check_occurred_at(occurred_at: datetime | None, received_at: int) -> None:
    """Refuse a time that no honest clock would send.

    Raises
    ------
    Problem
        400, if it is more than 2 minutes ahead of the receipt or 24 hours behind it, or has no offset.
    """
    if occurred_at is None:
        return
    detail = ""
    if occurred_at.tzinfo is None:
        detail = "Write the time with its offset from UTC, such as 2026-01-31T12:00:00Z."
    else:
        behind = datetime.fromtimestamp(received_at / 1_000, UTC) - occurred_at
        if behind < -MOST_AHEAD:
            detail = "The time is more than 2 minutes in the future. Check the sending clock."
        elif behind > MOST_BEHIND:
            detail = "The time is more than 24 hours in the past. Import history instead of sending it."
    if detail:
        raise Problem(400, "invalid-field", "Invalid field", detail, "occurred_at")


def _told(message: str) -> tuple[str, str | None]:
    """A validation message of msgspec's, split into a sentence and the path of the field."""
    # Looked for from the front: the name of an unknown field is the client's, and may hold anything.
    named = re.match(
        r"Object (missing required|contains unknown) field `(.*?)`(?: - at `\$(.*)`)?\Z", message, re.S
    )
    if named:
        kind = "is missing" if named[1] == "missing required" else "is not known; remove it or check its spelling"
        return f"The field {kind}.", f"{named[3] or ''}.{named[2]}".removeprefix(".") or None
    sentence, _, path = message.partition(" - at `")
    where = path.removeprefix("key` in `").removesuffix("`").removeprefix("$").removeprefix(".")
    if sentence.startswith("Invalid enum value"):
        # The library's own sentence repeats the value.
        sentence = "The value is none of those that this field takes"
    return f"{sentence.rstrip('.')}.", where or None
