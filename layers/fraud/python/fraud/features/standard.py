"""The standard set: the features that training and serving share."""

import math

from fraud.events import Transaction
from fraud.features.definitions import (
    FRAUDS,
    PAYMENTS,
    Aggregation,
    Distinct,
    Entity,
    Reason,
    RowFeature,
    WindowFeature,
)
from fraud.features.sets import FeatureSet
from fraud.windows import DAY, HOUR, Window

__all__ = ["CARD", "CUSTOMER", "MERCHANT", "STANDARD"]

CARD = Entity("card", "card")
CUSTOMER = Entity("customer", "customer")
MERCHANT = Entity("merchant", "merchant_id", shards=4)

MERCHANTS = Distinct(1, "merchant_id")
CARDS = Distinct(2, "card")
DEVICES = Distinct(3, "device")

CARD_VELOCITY = Reason("CARD_VELOCITY", "How often this card was used of late")
CARD_SPENDING = Reason("CARD_SPENDING", "How much was spent with this card of late")
CARD_SPREAD = Reason("CARD_SPREAD", "How many merchants and devices this card was used with of late")
CUSTOMER_ACTIVITY = Reason("CUSTOMER_ACTIVITY", "How active this customer was of late")
CUSTOMER_CARDS = Reason("CUSTOMER_CARDS", "How many cards this customer used of late")
UNUSUAL_AMOUNT = Reason("UNUSUAL_AMOUNT", "The amount against what this customer usually pays")
MERCHANT_TRAFFIC = Reason("MERCHANT_TRAFFIC", "The merchant's traffic at the moment")
MERCHANT_RISK = Reason("MERCHANT_RISK", "How much fraud the merchant saw in the past weeks")
AMOUNT = Reason("AMOUNT", "The amount of the payment")
TIME_OF_DAY = Reason("TIME_OF_DAY", "The hour and day of the payment")
COUNTRY_MISMATCH = Reason("COUNTRY_MISMATCH", "The countries of card, billing and shipping, compared")
CHANNEL = Reason("CHANNEL", "How the card was presented and the payer authenticated")


def _mismatch(first: str, second: str) -> float:
    return float(first != second) if first and second else math.nan


def _hour(transaction: Transaction) -> float:
    return float(transaction.event_time % DAY // HOUR)


def _weekday(transaction: Transaction) -> float:
    # 1970-01-01 was a Thursday; Monday is 0.
    return float((transaction.event_time // DAY + 3) % 7)


STANDARD = FeatureSet(
    WindowFeature(
        CARD, Aggregation.COUNT, PAYMENTS, Window.of("10m"), CARD_VELOCITY, "Card testing bursts.", shown=True
    ),
    WindowFeature(
        CARD,
        Aggregation.COUNT,
        PAYMENTS,
        Window.of("24h"),
        CARD_VELOCITY,
        "A stolen card drained.",
        shown=True,
    ),
    WindowFeature(CARD, Aggregation.COUNT, PAYMENTS, Window.of("7d"), CARD_VELOCITY, "Slower campaigns."),
    WindowFeature(CARD, Aggregation.SUM, PAYMENTS, Window.of("24h"), CARD_SPENDING, "A card being emptied."),
    WindowFeature(CARD, Aggregation.MAX, PAYMENTS, Window.of("7d"), CARD_SPENDING, "A big test that passed."),
    WindowFeature(
        CARD,
        Aggregation.SINCE_LAST,
        PAYMENTS,
        Window.of("30d"),
        CARD_VELOCITY,
        "A card that wakes after a rest.",
    ),
    WindowFeature(
        CARD, Aggregation.DISTINCT, DEVICES, Window.of("7d"), CARD_SPREAD, "A card number passed around."
    ),
    WindowFeature(
        CARD, Aggregation.DISTINCT, MERCHANTS, Window.of("7d"), CARD_SPREAD, "A card tried shop after shop."
    ),
    WindowFeature(
        CUSTOMER, Aggregation.COUNT, PAYMENTS, Window.of("24h"), CUSTOMER_ACTIVITY, "An account taken over."
    ),
    WindowFeature(
        CUSTOMER, Aggregation.COUNT, PAYMENTS, Window.of("30d"), CUSTOMER_ACTIVITY, "Accounts with no past."
    ),
    WindowFeature(
        CUSTOMER, Aggregation.MEAN, PAYMENTS, Window.of("30d"), UNUSUAL_AMOUNT, "A change of spending habits."
    ),
    WindowFeature(
        CUSTOMER, Aggregation.ZSCORE, PAYMENTS, Window.of("30d"), UNUSUAL_AMOUNT, "Amounts out of character."
    ),
    WindowFeature(
        CUSTOMER, Aggregation.RATIO, PAYMENTS, Window.of("30d"), UNUSUAL_AMOUNT, "Amounts out of proportion."
    ),
    WindowFeature(
        CUSTOMER,
        Aggregation.DISTINCT,
        CARDS,
        Window.of("30d"),
        CUSTOMER_CARDS,
        "One account, many stolen cards.",
    ),
    WindowFeature(
        MERCHANT, Aggregation.COUNT, PAYMENTS, Window.of("1h"), MERCHANT_TRAFFIC, "An attack on one merchant."
    ),
    WindowFeature(
        MERCHANT,
        Aggregation.MEAN,
        PAYMENTS,
        Window.of("24h"),
        MERCHANT_TRAFFIC,
        "A shift in a merchant's sales.",
    ),
    WindowFeature(
        MERCHANT,
        Aggregation.FRAUD_RATE,
        FRAUDS,
        Window.of("28d", delay="7d"),
        MERCHANT_RISK,
        "A merchant that is compromised, or in on it.",
    ),
    RowFeature("amount", lambda t: float(t.amount), AMOUNT, "Tiny tests and outsized purchases."),
    RowFeature("amount_is_round", lambda t: float(t.amount % 1_000 == 0), AMOUNT, "Amounts made up by a script."),
    RowFeature("hour_of_day", _hour, TIME_OF_DAY, "Fraud at night, in UTC."),
    RowFeature("day_of_week", _weekday, TIME_OF_DAY, "Fraud over the weekend; Monday is 0."),
    RowFeature(
        "issuer_billing_mismatch",
        lambda t: _mismatch(t.issuer_country, t.billing_country),
        COUNTRY_MISMATCH,
        "A foreign card with a made-up billing address.",
    ),
    RowFeature(
        "billing_shipping_mismatch",
        lambda t: _mismatch(t.billing_country, t.shipping_country),
        COUNTRY_MISMATCH,
        "Goods sent to a mule abroad.",
    ),
    RowFeature(
        "card_not_present",
        lambda t: float(t.channel != "pos"),
        CHANNEL,
        "Stolen numbers, used at a distance.",
    ),
    RowFeature(
        "three_ds_authenticated",
        lambda t: float(t.three_ds == "authenticated"),
        CHANNEL,
        "Payers who avoid authentication.",
    ),
)
"""The features that every model may use, in column order."""
