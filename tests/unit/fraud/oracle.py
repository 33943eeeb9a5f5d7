"""The standard features worked out from their definitions over the raw list of past events.

It shares no code with the engine: no tiles, no states, no codec. Every number is looked up in the list of
everything that the platform had learnt before the payment, in exact fractions.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from fraud.events import Event, Label, Transaction

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

# column: entity's field, what is computed, window, hop of the tail, delay
WINDOWED: dict[str, tuple[str, str, int, int, int]] = {
    "card_count_10m": ("card", "count", 10 * MINUTE, MINUTE, 0),
    "card_count_24h": ("card", "count", DAY, 15 * MINUTE, 0),
    "card_count_7d": ("card", "count", 7 * DAY, 2 * HOUR, 0),
    "card_amount_sum_24h": ("card", "sum", DAY, 15 * MINUTE, 0),
    "card_amount_max_7d": ("card", "max", 7 * DAY, 2 * HOUR, 0),
    "card_since_last_30d": ("card", "since_last", 30 * DAY, 8 * HOUR, 0),
    "card_distinct_device_7d": ("card", "device", 7 * DAY, 2 * HOUR, 0),
    "card_distinct_merchant_id_7d": ("card", "merchant_id", 7 * DAY, 2 * HOUR, 0),
    "customer_count_24h": ("customer", "count", DAY, 15 * MINUTE, 0),
    "customer_count_30d": ("customer", "count", 30 * DAY, 8 * HOUR, 0),
    "customer_amount_mean_30d": ("customer", "mean", 30 * DAY, 8 * HOUR, 0),
    "customer_amount_zscore_30d": ("customer", "zscore", 30 * DAY, 8 * HOUR, 0),
    "customer_amount_ratio_30d": ("customer", "ratio", 30 * DAY, 8 * HOUR, 0),
    "customer_distinct_card_30d": ("customer", "card", 30 * DAY, 8 * HOUR, 0),
    "merchant_count_1h": ("merchant_id", "count", HOUR, MINUTE, 0),
    "merchant_amount_mean_24h": ("merchant_id", "mean", DAY, 15 * MINUTE, 0),
    "merchant_fraud_rate_28d_after_7d": ("merchant_id", "fraud_rate", 28 * DAY, 8 * HOUR, 7 * DAY),
}
INEXACT = frozenset({"customer_amount_zscore_30d"})
"""A square root is rounded: these are compared to a relative 1e-12 rather than to the last bit."""


def vectors(events: Sequence[Event]) -> Iterator[tuple[Transaction, dict[str, float]]]:
    """Every payment of a history in the order of arrival, with its features by name."""
    for position, event in enumerate(events):
        if isinstance(event, Transaction):
            yield event, features(event, events[:position])


def features(now: Transaction, past: Sequence[Event]) -> dict[str, float]:
    found = {name: _windowed(now, past, *how) for name, how in WINDOWED.items()}
    found["amount"] = float(now.amount)
    found["amount_is_round"] = 1.0 if now.amount % 1_000 == 0 else 0.0
    found["hour_of_day"] = float(now.event_time // HOUR % 24)
    found["day_of_week"] = float((now.event_time // DAY - 4) % 7)  # 1970-01-05 was a Monday
    found["issuer_billing_mismatch"] = _differ(now.issuer_country, now.billing_country)
    found["billing_shipping_mismatch"] = _differ(now.billing_country, now.shipping_country)
    found["card_not_present"] = 0.0 if now.channel == "pos" else 1.0
    found["three_ds_authenticated"] = 1.0 if now.three_ds == "authenticated" else 0.0
    return found


def _windowed(
    now: Transaction, past: Sequence[Event], field: str, what: str, length: int, hop: int, delay: int
) -> float:
    token = getattr(now, field)
    if not token:
        return math.nan
    start = (now.event_time - delay - length) // hop * hop
    # Without a delay the window ends at the payment: all that came before it, the same instant included.
    end = (now.event_time - delay) // hop * hop if delay else now.event_time + 1
    inside = [
        event
        for event in past
        if getattr(event.transaction, field) == token and start <= event.transaction.event_time < end
    ]
    paid = [event for event in inside if isinstance(event, Transaction)]
    amounts = [event.amount for event in paid]
    match what:
        case "count":
            return float(len(amounts))
        case "sum":
            return float(sum(amounts))
        case "max":
            return float(max(amounts)) if amounts else math.nan
        case "mean":
            return float(Fraction(sum(amounts), len(amounts))) if amounts else math.nan
        case "ratio":
            return float(now.amount / Fraction(sum(amounts), len(amounts))) if sum(amounts) else math.nan
        case "zscore":
            return _zscore(now.amount, amounts)
        case "since_last":
            return (now.event_time - max(event.event_time for event in paid)) / SECOND if paid else math.nan
        case "fraud_rate":
            frauds = [event for event in inside if isinstance(event, Label) and event.is_fraud]
            return float(Fraction(len(frauds), len(paid))) if paid else math.nan
        case _:
            return float(len({value for event in paid if (value := getattr(event, what))}))


def _zscore(amount: int, amounts: Sequence[int]) -> float:
    if len(set(amounts)) < 2:
        return math.nan
    mean = Fraction(sum(amounts), len(amounts))
    variance = sum((each - mean) ** 2 for each in amounts) / (len(amounts) - 1)
    return float(amount - mean) / math.sqrt(variance)


def _differ(first: str, second: str) -> float:
    if not first or not second:
        return math.nan
    return 0.0 if first == second else 1.0
