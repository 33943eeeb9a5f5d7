"""What a widget shows: points from CloudWatch, and the states of alarms."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.dashboards.bodies import BodyError, Series, Widget

__all__ = ["Point", "Shown", "read", "span_of"]

_DURATION = re.compile(r"-P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")
_MINUTE = 60
_SHORT = timedelta(hours=3)
# CloudWatch takes so many names of alarms at once.
_ALARMS = 100

type Point = tuple[datetime, float]


@dataclass(frozen=True, slots=True)
class Shown:
    """A widget and what it shows now.

    Attributes
    ----------
    points : sequence of sequence of Point
        Of each of the widget's shown series, oldest first.
    states : mapping of str to str
        Of its alarms.
    start, end : datetime
        The stretch of time.
    """

    widget: Widget
    start: datetime
    end: datetime
    series: Sequence[Series]
    points: Sequence[Sequence[Point]]
    states: Mapping[str, str]


def span_of(text: str) -> timedelta:
    """How long a stretch such as ``-PT3H`` is.

    Raises
    ------
    BodyError
        If it is none that goes back from now.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise BodyError(f"a stretch of time is written like -PT3H or -P14D, not {text!r}")
    weeks, days, hours, minutes = (int(each or 0) for each in match.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)


def read(cloudwatch: Any, widget: Widget, *, since: datetime, until: datetime) -> Shown:
    """What a widget shows of a stretch of time, which its own goes before."""
    if widget.kind == "alarms":
        return Shown(widget, since, until, (), (), _states(cloudwatch, widget.alarms))
    if not widget.series:
        return Shown(widget, since, until, (), (), {})
    start = until - span_of(widget.start) if widget.start else since
    longest = int((until - start).total_seconds()) // _MINUTE * _MINUTE
    # Over a few hours a minute shows more than the five that are usual.
    usual = _MINUTE if until - start <= _SHORT else widget.period
    queries = [_query(each, usual) for each in widget.series]
    if widget.whole:
        for each in queries:
            if "MetricStat" in each:
                each["MetricStat"]["Period"] = longest
    else:
        # CloudWatch's periods begin with the start.
        period = max(_period(each) for each in queries)
        start = datetime.fromtimestamp(start.timestamp() // period * period, UTC)
    found: dict[str, list[Point]] = {}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        StartTime=start, EndTime=until, ScanBy="TimestampAscending", MetricDataQueries=queries
    )
    for page in pages:
        for each in page["MetricDataResults"]:
            found.setdefault(each["Id"], []).extend(zip(each["Timestamps"], each["Values"], strict=True))
    series = [each for each in widget.series if each.shown]
    return Shown(widget, start, until, series, [found.get(each.query["Id"], []) for each in series], {})


def _query(series: Series, period: int) -> dict[str, Any]:
    query = dict(series.query) | {"ReturnData": series.shown, "Label": series.label}
    if "MetricStat" in query:
        query["MetricStat"] = {"Period": period, **query["MetricStat"]}
    else:
        query.pop("Period", None)
    return query


def _period(query: Mapping[str, Any]) -> int:
    return int(query["MetricStat"]["Period"]) if "MetricStat" in query else _MINUTE


def _states(cloudwatch: Any, names: Sequence[str]) -> dict[str, str]:
    states: dict[str, str] = {}
    for first in range(0, len(names), _ALARMS):
        asked = list(names[first : first + _ALARMS])
        pages = cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNames=asked, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        for page in pages:
            for each in page["MetricAlarms"] + page["CompositeAlarms"]:
                states[each["AlarmName"]] = each["StateValue"]
    return {name: states.get(name, "MISSING") for name in names}
