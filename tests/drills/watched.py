"""What an alarm looks at, asked of the alarm as it is deployed, and what CloudWatch holds of it."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from infra.alarms import name_of

__all__ = ["MINUTE", "Watched", "prefix_of"]

MINUTE = 60
"""Seconds in which CloudWatch keeps what it counts."""
_NAMED = re.compile(r'ALARM\("?([^")]+)"?\)')


class Watched:
    """A deployed alarm: the metrics, the arithmetic and the threshold that it has there.

    Parameters
    ----------
    cloudwatch : client
        Of the deployment's account.
    name : str
        Of a metric alarm, or of a composite one: then what its halves look at counts.

    Raises
    ------
    LookupError
        If there is no such alarm, or if it looks at nothing.
    """

    def __init__(self, cloudwatch: Any, name: str) -> None:
        self._client = cloudwatch
        self._halves = list(_halves(cloudwatch, name))
        if not self._halves:
            raise LookupError(f"the alarm {name} looks at no metric")

    def reading(self, since: int) -> float:
        """The value that the alarm compares with its threshold, over all the time since a moment (ms).

        What is counted is counted from the full minute before that moment, in which CloudWatch keeps it. Of the
        halves of a burn it is the least, since both have to be on. Nothing counted is 0.
        """
        begin = since // 1_000 // MINUTE * MINUTE
        # A period has to be long enough for all of it, and begins with `begin`.
        period = (int(time.time()) - begin) // MINUTE * MINUTE + MINUTE
        return min(self._value(half, begin, period) for half in self._halves)

    def _value(self, half: Mapping[str, Any], begin: int, period: int) -> float:
        found = self._client.get_metric_data(
            MetricDataQueries=_queries(half, period), StartTime=begin, EndTime=begin + period
        )["MetricDataResults"]
        return max((value for each in found for value in each["Values"]), default=0.0)

    def __str__(self) -> str:
        """Its metrics, and what it does with them."""
        return " and ".join(dict.fromkeys(_said(half) for half in self._halves))


def prefix_of(cloudwatch: Any) -> str:
    """What the names of the deployment's alarms begin with."""
    [name] = [
        each["AlarmName"]
        for page in cloudwatch.get_paginator("describe_alarms").paginate()
        for each in page["MetricAlarms"]
        if each["AlarmName"].endswith(f"-{_KNOWN}")
    ]
    return str(name).removesuffix(f"-{_KNOWN}")


_KNOWN = name_of("dead-letters-updates", prefix="")


def _halves(cloudwatch: Any, name: str) -> Iterator[Mapping[str, Any]]:
    found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    yield from found["MetricAlarms"]
    for composite in found["CompositeAlarms"]:
        for half in _NAMED.findall(composite["AlarmRule"]):
            # A rule may name an alarm by its ARN.
            yield from _halves(cloudwatch, half.rpartition(":alarm:")[2])
    if not (found["MetricAlarms"] or found["CompositeAlarms"]):
        raise LookupError(f"there is no alarm {name}")


def _queries(alarm: Mapping[str, Any], period: int) -> list[dict[str, Any]]:
    """What an alarm asks, for one period of another length."""
    if not alarm.get("Metrics"):
        metric = {name: alarm[name] for name in ("Namespace", "MetricName")}
        metric["Dimensions"] = alarm.get("Dimensions", [])
        stat = {"Metric": metric, "Period": period, "Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"]}
        return [{"Id": "m", "MetricStat": stat}]
    queries = []
    for each in alarm["Metrics"]:
        query = {name: value for name, value in each.items() if name != "Period"}
        if "MetricStat" in each:
            query["MetricStat"] = each["MetricStat"] | {"Period": period}
        queries.append(query)
    return queries


def _said(alarm: Mapping[str, Any]) -> str:
    if not alarm.get("Metrics"):
        return f"{alarm['MetricName']}"
    names = (each["MetricStat"]["Metric"]["MetricName"] for each in alarm["Metrics"] if "MetricStat" in each)
    [expression] = [each["Expression"] for each in alarm["Metrics"] if each.get("ReturnData", True)]
    return f"{expression} of {', '.join(dict.fromkeys(names))}"
