"""The standard set: the features that training and serving share, entity by entity."""

import math

from fraud.features.definitions import (
    DECLINES,
    FRAUDS,
    PAYMENTS,
    Aggregation,
    Distinct,
    Entity,
    Reason,
    RowFeature,
    Series,
    WindowFeature,
)
from fraud.features.reasons import (
    AMOUNT,
    BIN_RISK,
    BIN_TRAFFIC,
    CARD_AGE,
    CARD_RISK,
    CARD_SPENDING,
    CARD_SPREAD,
    CARD_VELOCITY,
    CHANNEL,
    COUNTRY_MISMATCH,
    CUSTOMER_ACTIVITY,
    CUSTOMER_CARDS,
    CUSTOMER_RISK,
    DECLINED_BEFORE,
    DEVICE_ACTIVITY,
    DEVICE_RISK,
    DEVICE_SPREAD,
    EMAIL_ACTIVITY,
    FAMILIARITY,
    GOODS,
    MERCHANT_RISK,
    MERCHANT_TRAFFIC,
    MISSING_DATA,
    NETWORK_ACTIVITY,
    NETWORK_RISK,
    TIME_OF_DAY,
    UNUSUAL_AMOUNT,
)
from fraud.features.sets import FeatureSet
from fraud.windows import DAY, HOUR, Window

__all__ = ["CARD", "CUSTOMER", "MERCHANT", "STANDARD"]

CARD = Entity("card", ("card",))
CUSTOMER = Entity("customer", ("customer",))
DEVICE = Entity("device", ("device",))
IP = Entity("ip", ("ip",))
EMAIL = Entity("email", ("email",))
BIN = Entity("bin", ("bin",), shards=4)
MERCHANT = Entity("merchant", ("merchant_id",), shards=4)
CARD_MERCHANT = Entity("card_merchant", ("card", "merchant_id"))
DEVICE_CARD = Entity("device_card", ("device", "card"))

MERCHANTS = Distinct(1, "merchant_id")
CARDS = Distinct(2, "card")
DEVICES = Distinct(3, "device")
CUSTOMERS = Distinct(4, "customer")
SHIPPING_COUNTRIES = Distinct(5, "shipping_country", capacity=16)


# Visa and Mastercard list these categories as high-risk, or they sell what turns into money at once:
# telemarketing, dating, digital goods, quasi cash, money transfer, gambling.
_QUICK_CASH = frozenset(
    {
        "4829",
        "5815",
        "5816",
        "5817",
        "5818",
        "5966",
        "5967",
        "6051",
        "6540",
        "7273",
        "7800",
        "7801",
        "7802",
        "7995",
    }
)


def _of(
    entity: Entity,
    aggregation: Aggregation,
    length: str,
    reason: Reason,
    catches: str,
    *,
    over: Series | Distinct = PAYMENTS,
    delay: str | None = None,
    shown: bool = False,
) -> WindowFeature:
    return WindowFeature(entity, aggregation, over, Window.of(length, delay=delay), reason, catches, shown)


def _mismatch(first: str, second: str) -> float:
    return float(first != second) if first and second else math.nan


def _hour(event_time: int) -> float:
    return float(event_time % DAY // HOUR)


def _weekday(event_time: int) -> float:
    # 1970-01-01 was a Thursday; Monday is 0.
    return float((event_time // DAY + 3) % 7)


_A = Aggregation

_CARD = (
    _of(CARD, _A.COUNT, "1m", CARD_VELOCITY, "A script that tries a card as fast as it can."),
    _of(CARD, _A.COUNT, "10m", CARD_VELOCITY, "Card testing bursts."),
    _of(CARD, _A.COUNT, "1h", CARD_VELOCITY, "Card testing that takes its time."),
    _of(CARD, _A.COUNT, "24h", CARD_VELOCITY, "A stolen card drained."),
    _of(CARD, _A.COUNT, "7d", CARD_VELOCITY, "Slower campaigns."),
    _of(CARD, _A.COUNT, "30d", CARD_VELOCITY, "A card used more than its month would have it."),
    _of(CARD, _A.SUM, "1h", CARD_SPENDING, "A card emptied in one go."),
    _of(CARD, _A.SUM, "24h", CARD_SPENDING, "A card being emptied."),
    _of(CARD, _A.SUM, "7d", CARD_SPENDING, "A card emptied in portions that stay below a daily limit."),
    _of(CARD, _A.MIN, "24h", CARD_SPENDING, "A tiny test before the purchase that counts."),
    _of(CARD, _A.MAX, "7d", CARD_SPENDING, "A big test that passed."),
    _of(CARD, _A.LAST, "24h", CARD_SPENDING, "Amounts that climb from one payment to the next."),
    _of(CARD, _A.MEAN, "30d", CARD_SPENDING, "A card of someone who spends little, used by someone who does not."),
    _of(CARD, _A.ZSCORE, "90d", UNUSUAL_AMOUNT, "An amount out of this card's character."),
    _of(CARD, _A.RATIO, "30d", UNUSUAL_AMOUNT, "An amount out of proportion for this card."),
    _of(CARD, _A.SINCE_LAST, "30d", CARD_VELOCITY, "A card that wakes after a rest."),
    _of(CARD, _A.SINCE_FIRST, "90d", CARD_AGE, "A card number that nobody had seen before this week."),
    _of(CARD, _A.DISTINCT, "24h", CARD_SPREAD, "A card tried shop after shop within a day.", over=MERCHANTS),
    _of(CARD, _A.DISTINCT, "7d", CARD_SPREAD, "A card tried shop after shop.", over=MERCHANTS),
    _of(CARD, _A.DISTINCT, "7d", CARD_SPREAD, "A card number passed around.", over=DEVICES),
    _of(CARD, _A.COUNT, "1h", DECLINED_BEFORE, "A card that is tried until a payment passes.", over=DECLINES),
    _of(CARD, _A.RATE, "24h", DECLINED_BEFORE, "A card that its issuer no longer trusts.", over=DECLINES),
    _of(CARD, _A.RATE, "60d", CARD_RISK, "A card known as stolen and not yet blocked.", over=FRAUDS, delay="7d"),
)

_CUSTOMER = (
    _of(CUSTOMER, _A.COUNT, "1h", CUSTOMER_ACTIVITY, "An account that a script has taken over."),
    _of(CUSTOMER, _A.COUNT, "24h", CUSTOMER_ACTIVITY, "An account taken over.", shown=True),
    _of(CUSTOMER, _A.COUNT, "30d", CUSTOMER_ACTIVITY, "Accounts with no past."),
    _of(CUSTOMER, _A.SUM, "24h", CUSTOMER_ACTIVITY, "An account taken over and emptied across cards."),
    _of(CUSTOMER, _A.MEAN, "30d", UNUSUAL_AMOUNT, "A change of spending habits."),
    _of(CUSTOMER, _A.STD, "30d", UNUSUAL_AMOUNT, "Amounts too regular for a person, or too wild."),
    _of(CUSTOMER, _A.ZSCORE, "30d", UNUSUAL_AMOUNT, "Amounts out of character."),
    _of(CUSTOMER, _A.RATIO, "30d", UNUSUAL_AMOUNT, "Amounts out of proportion."),
    _of(CUSTOMER, _A.SINCE_LAST, "30d", CUSTOMER_ACTIVITY, "A dormant account that someone else woke."),
    _of(CUSTOMER, _A.SINCE_FIRST, "90d", CUSTOMER_ACTIVITY, "An account opened for the fraud."),
    _of(CUSTOMER, _A.DISTINCT, "30d", CUSTOMER_CARDS, "One account, many stolen cards.", over=CARDS),
    _of(CUSTOMER, _A.DISTINCT, "30d", CUSTOMER_CARDS, "An account shared or sold.", over=DEVICES),
    _of(CUSTOMER, _A.DISTINCT, "30d", CUSTOMER_CARDS, "Goods sent to mules abroad.", over=SHIPPING_COUNTRIES),
    _of(
        CUSTOMER,
        _A.RATE,
        "60d",
        CUSTOMER_RISK,
        "A customer who disputes what was delivered.",
        over=FRAUDS,
        delay="7d",
    ),
)

_DEVICE = (
    _of(DEVICE, _A.COUNT, "1h", DEVICE_ACTIVITY, "A device that pays like a machine."),
    _of(DEVICE, _A.COUNT, "24h", DEVICE_ACTIVITY, "A device that works through a list of cards."),
    _of(DEVICE, _A.SUM, "24h", DEVICE_ACTIVITY, "A device that spends more than one person does."),
    _of(DEVICE, _A.SINCE_FIRST, "90d", DEVICE_ACTIVITY, "A device that is new to everyone."),
    _of(DEVICE, _A.DISTINCT, "24h", DEVICE_SPREAD, "Many cards from one device in a day.", over=CARDS),
    _of(DEVICE, _A.DISTINCT, "7d", DEVICE_SPREAD, "A fraudster's own device, over the week.", over=CARDS),
    _of(DEVICE, _A.DISTINCT, "7d", DEVICE_SPREAD, "Many accounts run from one device.", over=CUSTOMERS),
    _of(DEVICE, _A.RATE, "24h", DECLINED_BEFORE, "A device whose cards keep being refused.", over=DECLINES),
    _of(DEVICE, _A.RATE, "60d", DEVICE_RISK, "A device that fraud came from before.", over=FRAUDS, delay="7d"),
)

_IP = (
    _of(IP, _A.COUNT, "10m", NETWORK_ACTIVITY, "A bot that does not bother to change its address."),
    _of(IP, _A.COUNT, "1h", NETWORK_ACTIVITY, "A bot that waits between its tries."),
    _of(IP, _A.COUNT, "24h", NETWORK_ACTIVITY, "A proxy that many payments hide behind."),
    _of(IP, _A.DISTINCT, "1h", NETWORK_ACTIVITY, "A list of stolen cards tried from one address.", over=CARDS),
    _of(IP, _A.DISTINCT, "24h", NETWORK_ACTIVITY, "The same, spread over a day.", over=CARDS),
    _of(IP, _A.DISTINCT, "24h", NETWORK_ACTIVITY, "Accounts opened or taken over in bulk.", over=CUSTOMERS),
    _of(IP, _A.RATE, "24h", DECLINED_BEFORE, "An address whose payments keep being refused.", over=DECLINES),
    _of(IP, _A.RATE, "28d", NETWORK_RISK, "An address that fraud came from before.", over=FRAUDS, delay="7d"),
)

_EMAIL = (
    _of(EMAIL, _A.COUNT, "24h", EMAIL_ACTIVITY, "One mailbox that collects many orders."),
    _of(EMAIL, _A.COUNT, "30d", EMAIL_ACTIVITY, "A throw-away address without a past."),
    _of(EMAIL, _A.SINCE_FIRST, "90d", EMAIL_ACTIVITY, "An address made for the fraud."),
    _of(EMAIL, _A.DISTINCT, "7d", EMAIL_ACTIVITY, "One mailbox, many stolen cards.", over=CARDS),
)

_BIN = (
    _of(BIN, _A.COUNT, "10m", BIN_TRAFFIC, "Numbers of one range enumerated by a script."),
    _of(BIN, _A.COUNT, "1h", BIN_TRAFFIC, "The same at a slower pace."),
    _of(BIN, _A.RATE, "1h", DECLINED_BEFORE, "An enumeration that the issuer has noticed.", over=DECLINES),
    _of(BIN, _A.RATE, "28d", BIN_RISK, "A range whose numbers leaked.", over=FRAUDS, delay="7d"),
)

_MERCHANT = (
    _of(MERCHANT, _A.COUNT, "10m", MERCHANT_TRAFFIC, "The first minutes of an attack on one merchant."),
    _of(MERCHANT, _A.COUNT, "1h", MERCHANT_TRAFFIC, "An attack on one merchant."),
    _of(MERCHANT, _A.MEAN, "24h", MERCHANT_TRAFFIC, "A shift in a merchant's sales."),
    _of(MERCHANT, _A.ZSCORE, "7d", UNUSUAL_AMOUNT, "An amount unusual for this shop."),
    _of(MERCHANT, _A.RATE, "1h", DECLINED_BEFORE, "A shop used to test cards.", over=DECLINES),
    _of(MERCHANT, _A.RATE, "14d", MERCHANT_RISK, "A merchant compromised of late.", over=FRAUDS, delay="7d"),
    _of(MERCHANT, _A.RATE, "28d", MERCHANT_RISK, "A merchant compromised, or in on it.", over=FRAUDS, delay="7d"),
)

_PAIRS = (
    _of(
        CARD_MERCHANT,
        _A.COUNT,
        "24h",
        FAMILIARITY,
        "The same card pushed through the same shop again and again.",
        shown=True,
    ),
    _of(CARD_MERCHANT, _A.COUNT, "90d", FAMILIARITY, "A card's first time at this shop."),
    _of(CARD_MERCHANT, _A.RATIO, "90d", UNUSUAL_AMOUNT, "More than this card ever spent at this shop."),
    _of(CARD_MERCHANT, _A.SINCE_LAST, "30d", FAMILIARITY, "A subscription or a stored card that is abused."),
    _of(DEVICE_CARD, _A.COUNT, "90d", FAMILIARITY, "A card on a device that it was never used on."),
    _of(DEVICE_CARD, _A.SINCE_FIRST, "90d", FAMILIARITY, "A card that moved to this device only just now."),
)

_ROW = (
    RowFeature("amount", ("amount",), float, AMOUNT, "Tiny tests and outsized purchases."),
    RowFeature(
        "amount_is_round", ("amount",), lambda a: float(a % 1_000 == 0), AMOUNT, "Amounts made up by a script."
    ),
    RowFeature(
        "amount_is_tiny",
        ("amount",),
        lambda a: float(a < 200),
        AMOUNT,
        "Tests that a cardholder would not notice.",
    ),
    RowFeature(
        "amount_ends_in_99",
        ("amount",),
        lambda a: float(a % 100 == 99),
        AMOUNT,
        "Prices of real goods, where scripts send whole amounts.",
    ),
    RowFeature("hour_of_day", ("event_time",), _hour, TIME_OF_DAY, "Fraud at night, in UTC."),
    RowFeature("day_of_week", ("event_time",), _weekday, TIME_OF_DAY, "Fraud over the weekend; Monday is 0."),
    RowFeature(
        "issuer_billing_mismatch",
        ("issuer_country", "billing_country"),
        _mismatch,
        COUNTRY_MISMATCH,
        "A foreign card with a made-up billing address.",
    ),
    RowFeature(
        "billing_shipping_mismatch",
        ("billing_country", "shipping_country"),
        _mismatch,
        COUNTRY_MISMATCH,
        "Goods sent to a mule abroad.",
    ),
    RowFeature(
        "issuer_shipping_mismatch",
        ("issuer_country", "shipping_country"),
        _mismatch,
        COUNTRY_MISMATCH,
        "A stolen foreign card whose goods go elsewhere.",
    ),
    RowFeature(
        "card_not_present",
        ("channel",),
        lambda channel: float(channel != "pos"),
        CHANNEL,
        "Stolen numbers, used at a distance.",
    ),
    RowFeature(
        "three_ds_authenticated",
        ("three_ds",),
        lambda status: float(status == "authenticated"),
        CHANNEL,
        "Payers who avoid authentication.",
    ),
    RowFeature(
        "three_ds_failed",
        ("three_ds",),
        lambda status: float(status == "failed"),
        CHANNEL,
        "Payers who tried to authenticate and could not.",
    ),
    RowFeature(
        "entered_by_hand",
        ("entry_mode",),
        lambda mode: float(mode in ("manual", "swipe")) if mode else math.nan,
        CHANNEL,
        "Copied numbers and magnetic stripes where a chip is usual.",
    ),
    RowFeature(
        "device_missing", ("device",), lambda d: float(not d), MISSING_DATA, "Scripts that run no merchant's page."
    ),
    RowFeature(
        "email_missing", ("email",), lambda e: float(not e), MISSING_DATA, "Orders that nobody can be asked of."
    ),
    RowFeature(
        "sells_quick_cash",
        ("mcc",),
        lambda mcc: float(mcc in _QUICK_CASH) if mcc else math.nan,
        GOODS,
        "Goods that turn a stolen card into money at once.",
    ),
)

STANDARD = FeatureSet(*_CARD, *_CUSTOMER, *_DEVICE, *_IP, *_EMAIL, *_BIN, *_MERCHANT, *_PAIRS, *_ROW)
"""The features that every model may use, in column order."""
