"""A set of features in which every aggregation looks at every kind of series through every kind of window."""

from itertools import product

from fraud.features import FeatureSet
from fraud.features.definitions import (
    DECLINES,
    FRAUDS,
    PAYMENTS,
    VERDICTS,
    Aggregation,
    DefinitionError,
    Distinct,
    Entity,
    Reason,
    Series,
    Source,
    Where,
    WindowFeature,
)
from fraud.features.handbook import DELAY
from fraud.features.standard import CARD, MERCHANT, STANDARD
from fraud.windows import DAY, SECOND, Window
from tests.unit.fraud.strategies import KINDS

WHY = Reason("TEST", "A test")
PAIR = Entity("pair", ("device", "card"))

ABROAD = Series(5, Source.TRANSACTION, Where("abroad", "issuer_country", ("US", "")), PAYMENTS)
"""Payments of a country, or of none: an empty field is a value like any other in a condition."""

TOLD = Series(6, Source.LABEL, Where("told", "kind", KINDS), PAYMENTS)
REPORTED = Series(7, Source.LABEL, Where("reported", "kind", ("chargeback",)), TOLD)
REFUNDS = Series(8, Source.OUTCOME, Where("refunded", "kind", ("refunded", "reviewed")), PAYMENTS)
SERIES = (PAYMENTS, FRAUDS, VERDICTS, DECLINES, ABROAD, TOLD, REPORTED, REFUNDS)

DISTINCTS = (Distinct(1, "merchant_id"), Distinct(3, "device", 2), Distinct(5, "shipping_country", 16))

WINDOWS = (
    Window.of("10m", hop="1s"),
    Window.of("1h"),
    Window.of("24h"),
    Window.of("24h", delay="6h"),
    Window.of("7d", delay="24h"),
    Window(30 * DAY, SECOND, DELAY),
)


def _made(
    entity: Entity, over: Series | Distinct, aggregation: Aggregation, window: Window, current: bool
) -> WindowFeature | None:
    try:
        return WindowFeature(entity, aggregation, over, window, WHY, "A test.", include_current=current)
    except DefinitionError:
        return None  # such as a share of nothing, or labels without a delay


EVERY = FeatureSet(
    *(
        feature
        for parts in product((CARD, MERCHANT, PAIR), (*SERIES, *DISTINCTS), Aggregation, WINDOWS, (False, True))
        if (feature := _made(*parts)) is not None
    ),
    *(feature for feature in STANDARD.features if feature not in STANDARD.windowed),
)
