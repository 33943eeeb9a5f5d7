"""Statistics of what was observed in a period: the plain ones, percentiles, and shares within bounds."""

import functools
import math
import re
from collections.abc import Callable
from typing import Final

from ops.localcloud.alarms.metrics import Distribution

__all__ = ["StatisticError", "statistic"]

type Statistic = Callable[[Distribution], float | None]

_PLAIN: Final[dict[str, Statistic]] = {
    "SampleCount": lambda each: each.count,
    "Sum": lambda each: each.total,
    "Average": lambda each: each.total / each.count if each.count else None,
    "Minimum": lambda each: each.low if each.count else None,
    "Maximum": lambda each: each.high if each.count else None,
}
_PERCENTILE: Final = re.compile(r"[pP](\d{1,2}(?:\.\d{1,10})?|100)")
_BOUNDED: Final = re.compile(r"(PR|TC)\((-?[\d.]*):(-?[\d.]*)\)")


class StatisticError(ValueError):
    """A statistic that the local cloud does not know."""


@functools.cache
def statistic(name: str) -> Statistic:
    """What works a statistic out, by its name.

    Known are SampleCount, Sum, Average, Minimum, Maximum, percentiles such as ``p99.9``, and within absolute
    bounds the percentile rank ``PR(:300)``, in percent, and the trimmed count ``TC(300:)``. A bound may be left
    out; the lower one does not belong to the range, the upper one does.

    Raises
    ------
    StatisticError
        For any other.
    """
    if found := _PLAIN.get(name):
        return found
    if match := _PERCENTILE.fullmatch(name):
        return functools.partial(_percentile, float(match[1]))
    if match := _BOUNDED.fullmatch(name):
        low, high = (float(text) if text else None for text in match.groups()[1:])
        if low is not None or high is not None:
            kind = _rank if match[1] == "PR" else _within
            return functools.partial(kind, -math.inf if low is None else low, math.inf if high is None else high)
    raise StatisticError(
        f"the local cloud knows no statistic {name!r}: take SampleCount, Sum, Average, Minimum, Maximum, "
        "a percentile such as p99, PR(a:b) or TC(a:b)"
    )


def _percentile(percent: float, observed: Distribution) -> float | None:
    """Between the two nearest ranks, as if each value stood there as often as it was observed."""
    if observed.opaque or not observed.values or observed.low < 0:
        return None
    ordered = sorted(observed.values.items())
    rank = percent / 100 * max(observed.count - 1, 0)
    lower = math.floor(rank)
    low = _at(ordered, lower)
    return low + (rank - lower) * (_at(ordered, lower + 1) - low) if rank > lower else low


def _at(ordered: list[tuple[float, float]], rank: int) -> float:
    seen = 0.0
    for value, count in ordered:
        seen += count
        if rank < seen:
            return value
    return ordered[-1][0]


def _within(low: float, high: float, observed: Distribution) -> float | None:
    if observed.opaque or not observed.values:
        return None
    return sum(count for value, count in observed.values.items() if low < value <= high)


def _rank(low: float, high: float, observed: Distribution) -> float | None:
    within = _within(low, high, observed)
    return None if within is None else 100 * within / observed.count
