"""The Fraud Detection Handbook's window features, to be compared with its published figures.

Source: chapter 3, "Baseline feature transformation" (Le Borgne, Siblini, Lebichot, Bontempi, 2022). Its windows
are ``(t - w, t]`` over times in whole seconds, for customers with the transaction itself, for terminals ending a
week before it. With tails that move by the second, ``(t - w, t]`` is ``[t - (w - 1 s), t)`` and the transaction;
``(t - 7d - w, t - 7d]`` is a window of length w that ends 7 d - 1 s before t.
"""

from fraud.features.definitions import (
    FRAUDS,
    PAYMENTS,
    Aggregation,
    Entity,
    Reason,
    RowFeature,
    WindowFeature,
)
from fraud.features.reasons import AMOUNT, TIME_OF_DAY
from fraud.features.sets import FeatureSet
from fraud.windows import DAY, HOUR, SECOND, Window

__all__ = ["DELAY", "HANDBOOK", "PUBLISHED", "modelled", "published"]

DELAY = 7 * DAY - SECOND
"""When a fraud is known at the latest, in ms after its transaction."""

_CUSTOMER = Entity("customer", ("customer",))
_TERMINAL = Entity("terminal", ("merchant_id",))
_HABITS = Reason(
    "HABITS",
    "How often and how much this customer pays",
    "The recent activity of this customer account played a part.",
)
_RISK = Reason(
    "RISK", "How much fraud this terminal saw", "A general security check of the payment played a part."
)


def _spending(aggregation: Aggregation, days: int) -> WindowFeature:
    window = Window(length=days * DAY - SECOND, hop=SECOND)
    return WindowFeature(
        _CUSTOMER, aggregation, PAYMENTS, window, _HABITS, "A change of habits.", include_current=True
    )


def _terminal(aggregation: Aggregation, days: int, delay: int) -> WindowFeature:
    window = Window(length=days * DAY, hop=SECOND, delay=delay)
    over = FRAUDS if aggregation is Aggregation.RATE else PAYMENTS
    return WindowFeature(_TERMINAL, aggregation, over, window, _RISK, "A terminal compromised.")


def published(delay: int = DELAY) -> dict[str, WindowFeature]:
    """The published column to the feature that means the same.

    Where there was no payment, a risk is 0 there and NaN here; mean amounts are in minor units here.

    Parameters
    ----------
    delay : int
        How long before a payment the terminals' windows end, in ms.
    """
    count, mean, rate = Aggregation.COUNT, Aggregation.MEAN, Aggregation.RATE
    return {
        **{f"CUSTOMER_ID_NB_TX_{d}DAY_WINDOW": _spending(count, d) for d in (1, 7, 30)},
        **{f"CUSTOMER_ID_AVG_AMOUNT_{d}DAY_WINDOW": _spending(mean, d) for d in (1, 7, 30)},
        **{f"TERMINAL_ID_NB_TX_{d}DAY_WINDOW": _terminal(count, d, delay) for d in (1, 7, 30)},
        **{f"TERMINAL_ID_RISK_{d}DAY_WINDOW": _terminal(rate, d, delay) for d in (1, 7, 30)},
    }


PUBLISHED = published()

HANDBOOK = FeatureSet(*PUBLISHED.values())
"""The window features alone, as they are compared with the published ones."""

_FLAGS = (
    RowFeature("amount", ("amount",), float, AMOUNT, "Amounts over what a payment may be."),
    RowFeature(
        "during_weekend",
        ("event_time",),
        # 1970-01-01 was a Thursday; Monday is 0.
        lambda time: float((time // DAY + 3) % 7 >= 5),
        TIME_OF_DAY,
        "Fraud over the weekend.",
    ),
    RowFeature(
        "during_night",
        ("event_time",),
        lambda time: float(time % DAY // HOUR <= 6),
        TIME_OF_DAY,
        "Fraud at night.",
    ),
)


def modelled(delay: int = DELAY) -> FeatureSet:
    """The fifteen features that the handbook's models are fitted to, in its order.

    Parameters
    ----------
    delay : int
        How long before a payment the terminals' windows end, in ms.
    """
    return FeatureSet(*_FLAGS, *published(delay).values())
