"""What a dashboard's body means, what is asked for it, and a picture of it."""

import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.dashboards.bodies import BodyError, widgets_of
from ops.dashboards.data import read, span_of
from ops.dashboards.pictures import pictures

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
LINES = {
    "type": "metric",
    "x": 0,
    "y": 0,
    "width": 12,
    "height": 6,
    "properties": {
        "title": "Calls",
        "view": "timeSeries",
        "metrics": [
            ["AWS/ApiGateway", "Count", "ApiName", "paywarden", {"stat": "Sum", "period": 60, "label": "calls"}],
            [".", "5XXError", ".", ".", {"stat": "Sum", "id": "bad", "visible": False}],
            ["...", "other", {"color": "#ff0000"}],
            [{"expression": "100 * bad", "label": "in cents", "id": "cents"}],
        ],
        "annotations": {"horizontal": [{"value": 5, "label": "alarm", "color": "#d62728"}]},
        "yAxis": {"left": {"min": 0, "label": "calls"}},
    },
}
FIGURE = {
    "type": "metric",
    "x": 12,
    "y": 0,
    "width": 6,
    "height": 3,
    "properties": {
        "title": "Left",
        "view": "singleValue",
        "start": "-P2D",
        "setPeriodToTimeRange": True,
        "metrics": [["N", "M", {"stat": "Sum", "period": 300}]],
    },
}
ALARMS = {
    "type": "alarm",
    "x": 0,
    "y": 6,
    "width": 24,
    "height": 4,
    "properties": {
        "title": "Alarms",
        "alarms": [f"arn:aws:cloudwatch:eu-west-1:1:alarm:paywarden-{name}" for name in ("errors", "lag", "gone")],
    },
}
TEXT = {"type": "text", "x": 0, "y": 10, "width": 24, "height": 2, "properties": {"markdown": "# Read me\nNow."}}


def body(*widgets: Mapping[str, Any]) -> str:
    return json.dumps({"start": "-PT3H", "widgets": widgets})


class Pages:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def paginate(self, **asked: Any) -> list[Any]:
        return [self._answer(**asked)]


class FakeCloudWatch:
    """Two points of every metric, and two alarms."""

    def __init__(self, bodies: Mapping[str, str]) -> None:
        self.bodies = bodies
        self.asked: list[dict[str, Any]] = []

    def get_paginator(self, operation: str) -> Pages:
        return Pages(getattr(self, operation))

    def list_dashboards(self, DashboardNamePrefix: str) -> dict[str, Any]:  # noqa: N803 - as boto3 names it
        found = [name for name in self.bodies if name.startswith(DashboardNamePrefix)]
        return {"DashboardEntries": [{"DashboardName": name} for name in found]}

    def get_dashboard(self, DashboardName: str) -> dict[str, str]:  # noqa: N803 - as boto3 names it
        return {"DashboardBody": self.bodies[DashboardName]}

    def get_metric_data(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        moments = [asked["StartTime"], asked["StartTime"] + timedelta(minutes=1)]
        shown = [each["Id"] for each in asked["MetricDataQueries"] if each["ReturnData"]]
        return {"MetricDataResults": [{"Id": each, "Timestamps": moments, "Values": [1.0, 2.0]} for each in shown]}

    def describe_alarms(self, AlarmNames: list[str], AlarmTypes: list[str]) -> dict[str, Any]:  # noqa: N803 - as boto3 names them
        assert AlarmTypes == ["MetricAlarm", "CompositeAlarm"]
        known = {"paywarden-errors": "ALARM", "paywarden-lag": "OK"}
        states = [{"AlarmName": name, "StateValue": known[name]} for name in AlarmNames if name in known]
        return {"MetricAlarms": states[:1], "CompositeAlarms": states[1:]}


def test_a_body_is_read_with_its_abbreviations() -> None:
    [widget] = widgets_of(body(LINES))
    calls, bad, other, cents = widget.series
    assert calls.query["MetricStat"]["Period"] == 60
    assert (calls.label, calls.shown, bad.shown, cents.label) == ("calls", True, False, "in cents")
    assert bad.query["MetricStat"]["Metric"] == {
        "Namespace": "AWS/ApiGateway",
        "MetricName": "5XXError",
        "Dimensions": [{"Name": "ApiName", "Value": "paywarden"}],
    }
    assert other.query["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "ApiName", "Value": "other"}]
    assert len({each.query["Id"] for each in widget.series}) == 4
    assert (widget.levels[0].value, widget.least, widget.unit) == (5.0, 0, "calls")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"type": "explorer"}, "explorer"),
        ({"properties": LINES["properties"] | {"view": "pie"}}, "pie"),  # type: ignore[operator]  # a dictionary, as written above
        ({"x": 20}, "column 20"),
    ],
    ids=["type", "view", "place"],
)
def test_what_is_not_drawn_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BodyError, match=said):
        widgets_of(body(LINES | changed))


def test_hidden_metrics_are_asked_for_but_not_shown() -> None:
    cloudwatch = FakeCloudWatch({})
    [widget] = widgets_of(body(LINES))
    shown = read(cloudwatch, widget, since=NOON - timedelta(hours=1), until=NOON)
    [asked] = cloudwatch.asked
    assert [each["ReturnData"] for each in asked["MetricDataQueries"]] == [True, False, True, True]
    # Over a few hours, by the minute where nothing else is said.
    assert asked["MetricDataQueries"][1]["MetricStat"]["Period"] == 60
    assert [each.label for each in shown.series] == ["calls", "5XXError", "in cents"]
    assert [len(each) for each in shown.points] == [2, 2, 2]


def test_one_figure_is_of_its_whole_time() -> None:
    cloudwatch = FakeCloudWatch({})
    [widget] = widgets_of(body(FIGURE))
    read(cloudwatch, widget, since=NOON - timedelta(hours=1), until=NOON)
    [asked] = cloudwatch.asked
    assert asked["StartTime"] == NOON - timedelta(days=2)
    assert asked["MetricDataQueries"][0]["MetricStat"]["Period"] == 2 * 24 * 3_600


@pytest.mark.parametrize(
    ("text", "hours"), [("-PT3H", 3), ("-P14D", 336), ("-P1DT2H30M", 26.5), ("-P2W", 336)], ids=str
)
def test_a_stretch_of_time(text: str, hours: float) -> None:
    assert span_of(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "PT3H", "-P", "2026-11-30T00:00:00Z"])
def test_another_stretch_is_refused(text: str) -> None:
    with pytest.raises(BodyError, match="-PT3H"):
        span_of(text)


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_every_dashboard_of_a_deployment_is_drawn() -> None:
    bodies = {
        "paywarden-local-on-call": body(LINES, FIGURE, ALARMS, TEXT),
        "paywarden-local-empty": body(),
        "another": body(LINES),
    }
    drawn = dict(pictures(FakeCloudWatch(bodies), prefix="paywarden-local", until=NOON))
    assert drawn.keys() == {"on-call", "empty"}
    (wide, high), (same, low) = size_of(drawn["on-call"]), size_of(drawn["empty"])
    assert wide == same
    assert high > low
    # The same data give the same picture.
    again = dict(pictures(FakeCloudWatch(bodies), prefix="paywarden-local", until=NOON))
    assert again == drawn
