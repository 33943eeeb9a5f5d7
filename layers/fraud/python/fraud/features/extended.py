"""The features that backtests found best: few, of the kinds that serving knows, from how fraud runs its course.

A merchant that is compromised stays so for some weeks: its known frauds week by week tell whether that has begun
and whether it is over, and their amounts whether they are its own doing. A stolen card is used for days: what its
holder spent *before* those days is the measure of its amounts. And a spree shows in the card's own last days,
before anyone reports it. What each group brought is in docs/quality.md.
"""

from fraud.features.definitions import (
    FRAUDS,
    PAYMENTS,
    Aggregation,
    Entity,
    Reason,
    RowFeature,
    Series,
    WindowFeature,
)
from fraud.features.reasons import CARD_SPENDING, MERCHANT_RISK, UNUSUAL_AMOUNT
from fraud.features.sets import Feature, FeatureSet
from fraud.features.standard import CARD, MERCHANT, STANDARD
from fraud.windows import DAY, Window, written

__all__ = ["GROUPS", "WEEK", "extended", "groups"]

WEEK = 7 * DAY

GROUPS = ("merchant_rates", "card_usual", "merchant_weeks", "merchant_frauds", "card_spree", "sent")
"""The groups beside the amount, in the order in which docs/quality.md adds them."""

_A = Aggregation

_SENT_ENTITIES = ("device", "ip", "email", "bin", "device_card")
_ALWAYS_SENT = {"amount", "event_time"}


def extended(delay: int = WEEK, *, only: tuple[str, ...] = GROUPS) -> FeatureSet:
    """The amount and the groups.

    Parameters
    ----------
    delay : int
        How long before a payment the windows over labels end, in ms, at least a day.
    only : tuple of str
        The groups to take, for measuring what each brings.
    """
    offered = groups(delay)
    return FeatureSet(_standard("amount"), *(each for name in GROUPS if name in only for each in offered[name]))


def groups(delay: int) -> dict[str, tuple[Feature, ...]]:
    """The features by group; those over labels end `delay` ms before the payment, those of `sent` 7 days."""

    def risk(
        how: Aggregation, length: str, catches: str, *, after: int = delay, hop: str | None = None
    ) -> Feature:
        return _of(MERCHANT, how, length, MERCHANT_RISK, catches, over=FRAUDS, delay=written(after), hop=hop)

    def usual(how: Aggregation, length: str, before: str | None) -> Feature:
        return _of(CARD, how, length, UNUSUAL_AMOUNT, "An amount out of this card's character.", delay=before)

    def spree(how: Aggregation, length: str) -> Feature:
        return _of(CARD, how, length, CARD_SPENDING, "A spree that nobody has reported yet.")

    return {
        "merchant_rates": tuple(
            risk(_A.RATE, length, "A merchant compromised, at its own speed.")
            for length in ("24h", "3d", "7d", "14d", "28d", "60d")
        ),
        "card_usual": (
            usual(_A.RATIO, "90d", "14d"),
            usual(_A.ZSCORE, "90d", "14d"),
            usual(_A.RATIO, "30d", "14d"),
            usual(_A.RATIO, "30d", None),
            usual(_A.ZSCORE, "60d", "7d"),
            usual(_A.ZSCORE, "7d", None),
        ),
        "merchant_weeks": tuple(
            risk(_A.RATE, "7d", "A compromise that is over, or that goes on.", after=delay + number * WEEK)
            for number in (1, 2, 3)
        ),
        "merchant_frauds": (
            risk(_A.MIN, "7d", "Frauds that are the card's doing and not the merchant's."),
            risk(_A.SINCE_FIRST, "28d", "A compromise that must soon be noticed.", hop="24h"),
            risk(_A.SINCE_FIRST, "60d", "The same, over two months."),
            risk(_A.SINCE_LAST, "60d", "A compromise that goes on."),
        ),
        "card_spree": (
            spree(_A.MAX, "7d"),
            spree(_A.STD, "7d"),
            spree(_A.MEAN, "90d"),
            spree(_A.MAX, "90d"),
        ),
        "sent": tuple(each for each in STANDARD.features if _needs_more(each)),
    }


def _needs_more(feature: Feature) -> bool:
    """Whether a standard feature looks at what only some merchants send, such as a device."""
    if isinstance(feature, RowFeature):
        return _ALWAYS_SENT.isdisjoint(feature.fields)
    return feature.entity.name in _SENT_ENTITIES


def _standard(name: str) -> Feature:
    return next(each for each in STANDARD.features if each.name == name)


def _of(
    entity: Entity,
    aggregation: Aggregation,
    length: str,
    reason: Reason,
    catches: str,
    *,
    over: Series = PAYMENTS,
    delay: str | None = None,
    hop: str | None = None,
) -> WindowFeature:
    return WindowFeature(entity, aggregation, over, Window.of(length, delay=delay, hop=hop), reason, catches)
