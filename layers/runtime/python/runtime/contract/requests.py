"""What merchants send."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fraud.currency import CURRENCIES
from fraud.events import Confidence, LabelKind, LabelSource, OutcomeKind, Transaction

__all__ = ["BatchRequest", "DecisionRequest", "Id", "LabelRequest", "OutcomeRequest", "PathId"]

MOST_IN_BATCH = 100

# Patterns end with \Z: Python's $ lets a line feed pass, and \d the digits of every script.
type Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        # What a path could not name: another call has it, or clients take it out of an address.
        pattern=r"^(?!(?:batch|\.\.?)\Z)[A-Za-z0-9_.:-]+\Z",
        description="Your own id of the payment, unique for you; `batch`, `.` and `..` are none.",
    ),
]
type _Token = Annotated[str, Meta(min_length=1, max_length=256)]
type _Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z", description="ISO 3166-1 alpha-2, such as `FR`.")]


# Written out, since the \s of Python and that of JSON Schema differ in half a dozen characters.
_NO_SPACE = r"[^@\x00-\x20\x7f\x85\xa0]"


def _moment(text: str) -> Meta:
    return Meta(description=f"RFC 3339 with an offset. {text}", extra_json_schema={"format": "date-time"})


class _Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Card(_Model, frozen=True):
    """A card as a network token or a fingerprint; never its number."""

    token: Annotated[
        str,
        Meta(min_length=1, max_length=256, description="A network token or your fingerprint of the card."),
    ]
    bin: (
        Annotated[str, Meta(pattern=r"^[0-9]{6,8}\Z", description="The first 6 to 8 digits of the card's number.")]
        | None
    ) = None
    brand: Annotated[str, Meta(max_length=32, description="Checked, not used.")] | None = None
    issuer_country: _Country | None = None
    expiry: (
        Annotated[
            str,
            Meta(
                pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])\Z",
                description="Year and month. Checked, not used.",
            ),
        ]
        | None
    ) = None


class Customer(_Model, frozen=True):
    """Who pays."""

    id: Annotated[str, Meta(min_length=1, max_length=256, description="Your own id of the customer.")]
    email: Annotated[str, Meta(max_length=254, pattern=rf"^{_NO_SPACE}+@{_NO_SPACE}+\Z")] | None = None
    phone: (
        Annotated[
            str, Meta(pattern=r"^\+[1-9][0-9]{6,14}\Z", description="E.164: a plus sign, country code and number.")
        ]
        | None
    ) = None
    created_at: (
        Annotated[
            datetime,
            _moment("When the customer's account was opened, not in the future. Checked, not used."),
        ]
        | None
    ) = None


class Device(_Model, frozen=True):
    """What the customer pays with."""

    id: Annotated[str, Meta(min_length=1, max_length=256, description="A stable id or fingerprint of the device.")]
    user_agent: Annotated[str, Meta(max_length=512, description="Checked, not used.")] | None = None


class Address(_Model, frozen=True):
    """An address, as far as it is needed."""

    country: _Country | None = None
    postcode: Annotated[str, Meta(max_length=16, description="Checked, not used.")] | None = None


class DecisionRequest(_Model, frozen=True):
    """One payment to decide on."""

    transaction_id: Id
    amount: Annotated[
        int, Meta(ge=0, le=10**12, description="Whole minor units of the currency: cents for EUR, yen for JPY.")
    ]
    currency: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z]{3}\Z",
            description="An active currency of ISO 4217.",
            extra_json_schema={"enum": sorted(CURRENCIES)},
        ),
    ]
    card: Card
    customer: Customer
    occurred_at: (
        Annotated[
            datetime,
            _moment(
                "When the payment was made, at most 2 minutes ahead of the receipt or 24 hours behind it. "
                "Checked, not used: features look back from the receipt."
            ),
        ]
        | None
    ) = None
    device: Device | None = None
    ip: (
        Annotated[
            str,
            Meta(
                max_length=45,
                description="The customer's address, IPv4 or IPv6.",
                extra_json_schema={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
            ),
        ]
        | None
    ) = None
    billing: Address | None = None
    shipping: Address | None = None
    mcc: Annotated[str, Meta(pattern=r"^[0-9]{4}\Z", description="Merchant category code, ISO 18245.")] | None = (
        None
    )
    channel: Literal["ecommerce", "app", "pos", "moto"] = "ecommerce"
    entry_mode: Literal["chip", "contactless", "swipe", "manual", "card_on_file"] | None = None
    three_ds: Literal["none", "attempted", "authenticated", "failed"] = "none"
    metadata: Annotated[
        dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=500)]],
        Meta(max_length=20, description="Texts of your own. Checked for card numbers, not kept."),
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
            phone=self.customer.phone or "",
            bin=self.card.bin or "",
            issuer_country=self.card.issuer_country or "",
            billing_country=billing.country or "",
            shipping_country=shipping.country or "",
            mcc=self.mcc or "",
            channel=self.channel,
            entry_mode=self.entry_mode or "",
            three_ds=self.three_ds,
        )


class BatchRequest(_Model, frozen=True):
    """Up to 100 payments at once, each decided on its own and in this order."""

    decisions: Annotated[list[DecisionRequest], Meta(min_length=1, max_length=MOST_IN_BATCH)]


class LabelRequest(_Model, frozen=True):
    """What became known of a payment."""

    transaction_id: Id
    label: LabelKind
    known_at: (
        Annotated[
            datetime,
            _moment("Not before the payment and at most 2 minutes ahead of the receipt, which is the default."),
        ]
        | None
    ) = None
    source: Annotated[
        LabelSource, Meta(description="Who said so: you, unless you tell; `analyst` is who reviewed it by hand.")
    ] = "merchant"
    confidence: Confidence = 1.0


class OutcomeRequest(_Model, frozen=True):
    """What was done with the payment that the path names; it counts from its receipt on."""

    outcome: OutcomeKind


class PathId(_Model, frozen=True):
    """What a path names."""

    transaction_id: Id
