"""The reasons of the standard set: why its features move a score, for analysts and for payers."""

from fraud.features.definitions import Reason

CARD_VELOCITY = Reason(
    "CARD_VELOCITY", "How often this card was used of late", "The recent use of this card played a part."
)
CARD_SPENDING = Reason(
    "CARD_SPENDING",
    "How much was spent with this card of late",
    "The recent spending with this card played a part.",
)
CARD_SPREAD = Reason(
    "CARD_SPREAD",
    "How many merchants and devices this card was used with of late",
    "The way in which this card has been used recently played a part.",
)
CARD_AGE = Reason(
    "CARD_AGE", "How long this card has been known", "The time for which this card has been in use played a part."
)
CARD_RISK = Reason(
    "CARD_RISK", "What became known of this card's earlier payments", "The history of this card played a part."
)
CUSTOMER_ACTIVITY = Reason(
    "CUSTOMER_ACTIVITY",
    "How active this customer was of late",
    "The recent activity of this customer account played a part.",
)
CUSTOMER_CARDS = Reason(
    "CUSTOMER_CARDS",
    "How many cards, devices and addresses this customer used of late",
    "The cards, devices and addresses used with this customer account played a part.",
)
CUSTOMER_RISK = Reason(
    "CUSTOMER_RISK",
    "What became known of this customer's earlier payments",
    "The history of this customer account played a part.",
)
UNUSUAL_AMOUNT = Reason(
    "UNUSUAL_AMOUNT",
    "The amount against what is usual here",
    "The amount, compared with earlier payments, played a part.",
)
DEVICE_ACTIVITY = Reason(
    "DEVICE_ACTIVITY", "How this device was used of late", "The recent use of this device played a part."
)
DEVICE_SPREAD = Reason(
    "DEVICE_SPREAD",
    "How many cards and customers this device was used with of late",
    "The way in which this device has been used recently played a part.",
)
DEVICE_RISK = Reason(
    "DEVICE_RISK",
    "What became known of this device's earlier payments",
    "The history of this device played a part.",
)
NETWORK_ACTIVITY = Reason(
    "NETWORK_ACTIVITY",
    "How this network address was used of late",
    "The recent use of this internet connection played a part.",
)
NETWORK_RISK = Reason(
    "NETWORK_RISK",
    "What became known of earlier payments from this network address",
    "The history of this internet connection played a part.",
)
EMAIL_ACTIVITY = Reason(
    "EMAIL_ACTIVITY",
    "How this email address was used of late",
    "The recent use of this email address played a part.",
)
BIN_TRAFFIC = Reason(
    "BIN_TRAFFIC", "The traffic of cards of this range at the moment", "The type of card played a part."
)
BIN_RISK = Reason(
    "BIN_RISK", "How much fraud cards of this range saw in the past weeks", "The type of card played a part."
)
MERCHANT_TRAFFIC = Reason(
    "MERCHANT_TRAFFIC",
    "The merchant's traffic at the moment",
    "The number of payments at this moment played a part.",
)
MERCHANT_RISK = Reason(
    "MERCHANT_RISK",
    "How much fraud the merchant saw in the past weeks",
    "A general security check of the payment played a part.",
)
FAMILIARITY = Reason(
    "FAMILIARITY",
    "How well card, merchant and device know each other",
    "Earlier payments with this card in this shop or on this device played a part.",
)
DECLINED_BEFORE = Reason(
    "DECLINED_BEFORE", "How many payments were declined of late", "The outcome of recent payments played a part."
)
AMOUNT = Reason("AMOUNT", "The amount of the payment", "The amount of the payment played a part.")
TIME_OF_DAY = Reason("TIME_OF_DAY", "The hour and day of the payment", "The time of the payment played a part.")
COUNTRY_MISMATCH = Reason(
    "COUNTRY_MISMATCH",
    "The countries of card, billing and shipping, compared",
    "The countries of the card and of the addresses played a part.",
)
CHANNEL = Reason(
    "CHANNEL",
    "How the card was presented and the payer authenticated",
    "The way in which the card was used for the payment played a part.",
)
MISSING_DATA = Reason(
    "MISSING_DATA", "What the merchant did not send", "The details given with the payment played a part."
)
GOODS = Reason("GOODS", "What kind of goods or services is sold", "The kind of purchase played a part.")
