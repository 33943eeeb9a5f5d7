"""What a dashboard's body says: widgets on 24 columns, their metrics and the levels to compare with.

The form is that of the CloudWatch API Reference, "Dashboard Body Structure and Syntax".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["BodyError", "Level", "Series", "Widget", "widgets_of"]

_COLUMNS = 24


class BodyError(ValueError):
    """A dashboard has something that is not understood; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A metric or an expression of a widget.

    Attributes
    ----------
    query : dict
        In the shape of GetMetricData, without a period where it has that of the widget.
    shown : bool
        Otherwise only expressions use it.
    """

    query: Mapping[str, Any]
    label: str
    color: str | None = None
    shown: bool = True
    right: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line."""

    value: float
    label: str
    color: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """One tile, in columns and rows of the dashboard.

    Attributes
    ----------
    kind : {"lines", "figures", "alarms", "text"}
    period : int
        Seconds, for those of the series that have none of their own.
    start : str or None
        Such as ``-P30D``, where it shows another stretch of time than the dashboard.
    whole : bool
        One period as long as that stretch.
    least, most : float or None
        Ends of the left axis.
    """

    kind: str
    x: int
    y: int
    width: int
    height: int
    title: str = ""
    series: tuple[Series, ...] = ()
    levels: tuple[Level, ...] = ()
    alarms: tuple[str, ...] = ()
    text: str = ""
    unit: str = ""
    period: int = 300
    stacked: bool = False
    start: str | None = None
    whole: bool = False
    least: float | None = None
    most: float | None = None


def widgets_of(body: str) -> list[Widget]:
    """The widgets of a dashboard's body.

    Raises
    ------
    BodyError
        For a kind or a view of widget, or a form of metric, that is not drawn here.
    """
    return [_widget(each) for each in json.loads(body)["widgets"]]


def _widget(raw: Mapping[str, Any]) -> Widget:
    place: dict[str, Any] = {name: int(raw.get(name, 0)) for name in ("x", "y", "width", "height")}
    if not 0 <= place["x"] <= _COLUMNS - place["width"]:
        raise BodyError(f"a widget reaches from column {place['x']} beyond column {_COLUMNS}")
    told = raw["properties"]
    title = told.get("title", "")
    if raw["type"] == "text":
        return Widget(kind="text", text=told["markdown"], **place)
    if raw["type"] == "alarm":
        names = tuple(arn.partition(":alarm:")[2] for arn in told["alarms"])
        return Widget(kind="alarms", title=title, alarms=names, **place)
    views = {"timeSeries": "lines", "singleValue": "figures"}
    if raw["type"] != "metric" or told.get("view", "timeSeries") not in views:
        raise BodyError(f"the widget {title!r} is a {raw['type']} {told.get('view', '')}, which is not drawn here")
    axis = (told.get("yAxis") or {}).get("left") or {}
    return Widget(
        kind=views[told.get("view", "timeSeries")],
        title=title,
        series=tuple(_series(told.get("metrics") or [], told.get("stat", "Average"))),
        levels=tuple(
            Level(float(each["value"]), each.get("label", ""), each.get("color"))
            for each in (told.get("annotations") or {}).get("horizontal") or []
        ),
        unit=axis.get("label", ""),
        period=int(told.get("period", 300)),
        stacked=bool(told.get("stacked")),
        start=told.get("start"),
        whole=bool(told.get("setPeriodToTimeRange")),
        least=axis.get("min"),
        most=axis.get("max"),
        **place,
    )


def _series(metrics: Sequence[Sequence[Any]], statistic: str) -> Iterator[Series]:
    before: list[Any] = []
    used = {each[-1]["id"] for each in metrics if isinstance(each[-1], dict) and "id" in each[-1]}
    for number, entry in enumerate(metrics):
        told = dict(entry[-1]) if isinstance(entry[-1], dict) else {}
        id_ = told.get("id") or next(name for n in range(number, 10_000) if (name := f"x{n}") not in used)
        used.add(id_)
        period = {"Period": int(told["period"])} if "period" in told else {}
        look: dict[str, Any] = {
            "color": told.get("color"),
            "shown": bool(told.get("visible", True)),
            "right": told.get("yAxis") == "right",
        }
        if "expression" in told:
            query = {"Id": id_, "Expression": told["expression"], **period}
            yield Series(query=query, label=told.get("label", id_), **look)
            continue
        before = _spelled([each for each in entry if not isinstance(each, dict)], before)
        namespace, name, *rest = before
        dimensions = [{"Name": key, "Value": value} for key, value in zip(rest[::2], rest[1::2], strict=True)]
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
        stat = {"Metric": metric, "Stat": told.get("stat", statistic), **period}
        yield Series(query={"Id": id_, "MetricStat": stat}, label=told.get("label", name), **look)


def _spelled(entry: list[Any], before: list[Any]) -> list[Any]:
    """A metric in full: ``.`` stands for what the one before has at this place, ``...`` for all its beginning."""
    if entry[:1] == ["..."]:
        entry = before[: len(before) - len(entry) + 1] + entry[1:]
    return [before[place] if each == "." else each for place, each in enumerate(entry)]
