"""Metrics: what was counted, by the minute, as CloudWatch keeps metrics of standard resolution."""

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["MINUTE", "Distribution", "Metric", "Metrics", "Scope"]

MINUTE: Final = 60
# CloudWatch keeps points of a minute for 15 days.
_KEPT_SECONDS: Final = 15 * 24 * 3600
# Beyond that many different values of a minute, values are told apart by three digits only.
_EXACT: Final = 1_000


@dataclass(slots=True)
class Distribution:
    """What was observed in a stretch of time.

    Attributes
    ----------
    count, total, low, high : float
        How many observations, their sum, the smallest and the greatest.
    values : dict of float to float
        How often each value was observed.
    opaque : bool
        A statistic set was published whose values are not known: there are no percentiles then.
    """

    count: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    values: dict[float, float] = field(default_factory=dict)
    opaque: bool = False

    def add(self, value: float, count: float = 1.0) -> None:
        """Take in a value that was observed `count` times."""
        self.count += count
        self.total += value * count
        self.low, self.high = min(self.low, value), max(self.high, value)
        known = value if value in self.values or len(self.values) < _EXACT else float(f"{value:.3g}")
        self.values[known] = self.values.get(known, 0.0) + count

    def add_set(self, count: float, total: float, low: float, high: float) -> None:
        """Take in a published statistic set."""
        if low == high:
            self.add(low, count)
            return
        self.count += count
        self.total += total
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.opaque = True

    @classmethod
    def merged(cls, parts: Iterable["Distribution"]) -> "Distribution":
        """All of several stretches."""
        whole = cls()
        for each in parts:
            whole.count += each.count
            whole.total += each.total
            whole.low, whole.high = min(whole.low, each.low), max(whole.high, each.high)
            whole.opaque = whole.opaque or each.opaque
            for value, count in each.values.items():
                whole.values[value] = whole.values.get(value, 0.0) + count
        return whole


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose metrics: an account in a region."""

    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Metric:
    """What is counted: each set of dimensions is a metric of its own."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> "Metric":
        """A metric by its dimensions in any order."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))


@dataclass(slots=True)
class _Series:
    unit: str
    minutes: dict[int, Distribution] = field(default_factory=dict)
    version: int = 0


class Metrics:
    """Everything that was counted, safe to use from several threads."""

    def __init__(self) -> None:
        self._series: dict[tuple[Scope, Metric], _Series] = {}
        self._lock = threading.Lock()

    def record(
        self, scope: Scope, metric: Metric, value: float, *, at: float, count: float = 1.0, unit: str = "None"
    ) -> None:
        """Take in a value that was observed `count` times at a moment (seconds since 1970)."""
        with self._lock:
            self._minute(scope, metric, at, unit).add(value, count)

    def record_set(
        self, scope: Scope, metric: Metric, values: Mapping[str, float], *, at: float, unit: str = "None"
    ) -> None:
        """Take in a statistic set: SampleCount, Sum, Minimum and Maximum."""
        with self._lock:
            self._minute(scope, metric, at, unit).add_set(
                *(float(values[name]) for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
            )

    def window(self, scope: Scope, metric: Metric, start: float, end: float) -> Distribution | None:
        """What was observed from `start` to before `end`, which are full minutes; None if nothing was."""
        first, last = int(start) // MINUTE, int(end) // MINUTE
        with self._lock:
            series = self._series.get((scope, metric))
            if series is None:
                return None
            found = series.minutes
            within = range(first, last) if last - first < len(found) else list(found)
            parts = [found[each] for each in within if first <= each < last and each in found]
            return Distribution.merged(parts) if parts else None

    def version(self, scope: Scope, metric: Metric) -> int:
        """Rises with every value of a metric; 0 for one without any."""
        series = self._series.get((scope, metric))
        return series.version if series else 0

    def unit(self, scope: Scope, metric: Metric) -> str:
        """As told with the first value."""
        series = self._series.get((scope, metric))
        return series.unit if series else "None"

    def known(self, scope: Scope) -> Iterator[Metric]:
        """Every metric with values, in the order of their first ones."""
        with self._lock:
            found = list(self._series)
        return (metric for owner, metric in found if owner == scope)

    def evict(self, now: float) -> None:
        """Forget what is older than 15 days."""
        oldest = int(now - _KEPT_SECONDS) // MINUTE
        with self._lock:
            for key, series in list(self._series.items()):
                for minute in [each for each in series.minutes if each < oldest]:
                    del series.minutes[minute]
                if not series.minutes:
                    del self._series[key]

    def _minute(self, scope: Scope, metric: Metric, at: float, unit: str) -> Distribution:
        key = (scope, metric)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(unit)
        series.version += 1
        minute = int(at) // MINUTE
        found = series.minutes.get(minute)
        if found is None:
            found = series.minutes[minute] = Distribution()
        return found
