"""Figures of CloudWatch: of now, of an hour before, and of the last 30 days, each in one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from fraud.measures import namespace

__all__ = ["ADDED", "Rate", "Series", "days", "lambda_", "lately", "ours", "per_minute", "recent", "sqs"]

MINUTE: Final = 60
FIVE_MINUTES: Final = 300
HOUR: Final = 3_600
DAY: Final = 86_400
MONTH: Final = 30

ADDED: Final = frozenset({"Sum", "SampleCount"})
"""Statistics whose values add up over periods; of the others the worse one counts."""


@dataclass(frozen=True, slots=True)
class Series:
    """One statistic of one metric.

    Attributes
    ----------
    dimensions : tuple of (str, str)
    statistic : str
        Such as ``Sum``, ``p99`` or ``PR(:300)``, the percentage of values up to 300.
    """

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str


@dataclass(frozen=True, slots=True)
class Rate:
    """A figure now, and an hour before; None where CloudWatch has none.

    Counts are per minute.
    """

    now: float | None
    before: float | None


def ours(environment: str, metric: str, of: str, statistic: str = "Sum") -> Series:
    """What a function of ours counts in an environment; see `fraud.measures`."""
    return Series(namespace(environment), metric, (("service", of),), statistic)


def lambda_(metric: str, function: str, statistic: str) -> Series:
    """What Lambda counts of a function."""
    return Series("AWS/Lambda", metric, (("FunctionName", function),), statistic)


def sqs(metric: str, queue: str, statistic: str = "Maximum") -> Series:
    """What SQS counts of a queue."""
    return Series("AWS/SQS", metric, (("QueueName", queue),), statistic)


def recent(client: Any, wanted: Mapping[str, Series], now: float) -> dict[str, Rate]:
    """What was measured in the last five to ten minutes, and in the ten minutes an hour before.

    Periods are the five minutes of the clock: the one that runs, and the one before it. The older window has
    the two that were the same an hour earlier.

    Parameters
    ----------
    now : float
        Wall-clock seconds.
    """
    current = int(now) // FIVE_MINUTES * FIVE_MINUTES
    found = _data(client, wanted, period=FIVE_MINUTES, since=current - HOUR - FIVE_MINUTES, until=now)
    minutes = {0: (now - current + FIVE_MINUTES) / 60, HOUR: 2 * FIVE_MINUTES / 60}

    def figure(name: str, ago: int) -> float | None:
        values = found[name]
        known = [values[at] for at in (current - ago, current - ago - FIVE_MINUTES) if at in values]
        if not known:
            return None
        return sum(known) / minutes[ago] if wanted[name].statistic in ADDED else max(known)

    return {name: Rate(figure(name, 0), figure(name, HOUR)) for name in wanted}


def lately(client: Any, wanted: Mapping[str, Series], now: float) -> dict[str, float | None]:
    """The highest value of a minute in the last three to four; None where CloudWatch has none.

    Parameters
    ----------
    now : float
        Wall-clock seconds.
    """
    found = _data(client, wanted, period=MINUTE, since=(now // MINUTE - 3) * MINUTE, until=now)
    return {name: max(values.values(), default=None) for name, values in found.items()}


def days(client: Any, wanted: Mapping[str, Series], now: float) -> dict[str, dict[int, float]]:
    """What was measured on each of the last 30 days; the days by when they began (UTC), in seconds."""
    today = int(now) // DAY * DAY
    return _data(client, wanted, period=DAY, since=today - (MONTH - 1) * DAY, until=now)


def per_minute(rates: Mapping[str, Rate], names: Sequence[str]) -> Rate:
    """Several counts together."""
    known = [rates[name] for name in names]

    def total(values: Sequence[float | None]) -> float | None:
        there = [value for value in values if value is not None]
        return sum(there) if there else None

    return Rate(total([each.now for each in known]), total([each.before for each in known]))


def _data(
    client: Any, wanted: Mapping[str, Series], *, period: int, since: float, until: float
) -> dict[str, dict[int, float]]:
    """Values by the moment that their period began, in seconds."""
    names = {f"m{n}": name for n, name in enumerate(wanted)}
    queries = [
        {
            "Id": id_,
            "MetricStat": {
                "Metric": {
                    "Namespace": wanted[name].namespace,
                    "MetricName": wanted[name].metric,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in wanted[name].dimensions],
                },
                "Period": period,
                "Stat": wanted[name].statistic,
            },
        }
        for id_, name in names.items()
    ]
    found: dict[str, dict[int, float]] = {name: {} for name in wanted}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries,
        StartTime=datetime.fromtimestamp(since, UTC),
        EndTime=datetime.fromtimestamp(until, UTC),
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            times = (round(moment.timestamp()) for moment in result["Timestamps"])
            found[names[result["Id"]]].update(zip(times, result["Values"], strict=True))
    return found
