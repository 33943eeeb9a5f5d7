"""Features in words, by their definitions."""

from fraud.features.definitions import Aggregation, Distinct, RowFeature
from fraud.features.sets import Feature
from fraud.windows import DAY, HOUR, MINUTE, SECOND, Window

__all__ = ["phrase"]

_ENTITIES = {
    "ip": "the network address",
    "email": "the email address",
    "bin": "the card's range",
    "card_merchant": "the card at this merchant",
    "device_card": "the card on this device",
}
_TEMPLATES = {
    Aggregation.COUNT: "the number of {events} of {entity}",
    Aggregation.SUM: "the total amount of {events} of {entity}",
    Aggregation.MEAN: "the mean amount of {events} of {entity}",
    Aggregation.STD: "the standard deviation of the amounts of {events} of {entity}",
    Aggregation.MIN: "the smallest amount of {events} of {entity}",
    Aggregation.MAX: "the largest amount of {events} of {entity}",
    Aggregation.LAST: "the amount of the last {event} of {entity}",
    Aggregation.ZSCORE: "the amount's distance, in standard deviations, from the mean of {events} of {entity}",
    Aggregation.RATIO: "the amount as a multiple of the mean of {events} of {entity}",
    Aggregation.SINCE_FIRST: "the seconds since the first {event} of {entity}",
    Aggregation.SINCE_LAST: "the seconds since the last {event} of {entity}",
    Aggregation.RATE: "the share of {events} of {entity}",
}
_UNITS = ((DAY, 2 * DAY, "day"), (HOUR, HOUR, "hour"), (MINUTE, MINUTE, "minute"), (SECOND, 0, "second"))


def phrase(feature: Feature) -> str:
    """A feature as part of a sentence.

    Examples
    --------
    >>> from fraud.features import STANDARD
    >>> phrase(STANDARD.features[2])
    'the number of payments of the card within 1 hour'
    """
    if isinstance(feature, RowFeature):
        return f'"{feature.name.replace("_", " ")}"'
    entity = _ENTITIES.get(feature.entity.name, f"the {feature.entity.name.replace('_', ' ')}")
    over = feature.over
    if isinstance(over, Distinct):
        field = over.field.removesuffix("_id").replace("_", " ")
        what = f"the number of different values of {field} seen with {entity}"
    else:
        event = f"{over.where.name} payment" if over.where else "payment"
        what = _TEMPLATES[feature.aggregation].format(event=event, events=f"{event}s", entity=entity)
    return f"{what} within {_window(feature.window)}{', this one included' if feature.include_current else ''}"


def _window(window: Window) -> str:
    delay = f" (up to {_span(window.delay)} ago)" if window.delay else ""
    return f"{_span(window.length)}{delay}"


def _span(span: int) -> str:
    for size, limit, unit in _UNITS:
        if span >= limit and span % size == 0:
            number = span // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{span} ms"
