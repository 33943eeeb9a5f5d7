"""CloudWatch's metrics: kept by the minute, with dimensions, and asked for with metric math."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from ops.localcloud.alarms import Metric, Metrics, Query, Scope, check, solve, statistic
from ops.localcloud.seam.emulator import Function, Registry, cloudwatch, responses

__all__ = ["FUNCTIONS", "REGISTRIES", "here", "install_measures", "nested", "spoken"]

_HANDLER: Final = ("params", "cbor_data", "is_cbor", "is_json")
FUNCTIONS: Final[tuple[Function, ...]] = (
    (cloudwatch, "_put_metric_data", _HANDLER),
    (cloudwatch, "_get_metric_data", _HANDLER),
    (cloudwatch, "_get_metric_statistics", _HANDLER),
    (cloudwatch, "_list_metrics", _HANDLER),
    (cloudwatch, "_evict_old_metrics", ()),
    (cloudwatch, "record_metric", ("namespace", "metric_name", "value", "unit", "dimensions")),
    (cloudwatch, "_parse_ts", ("value",)),
    (cloudwatch, "_ts_iso", ("epoch",)),
    (cloudwatch, "_cbor_timestamp", ("value",)),
    (cloudwatch, "_cbor_ok", ("data",)),
    (cloudwatch, "_json_ok", ("data",)),
    (cloudwatch, "_xml", ("status", "root_tag", "inner")),
    (cloudwatch, "_error", ("code", "message", "status", "use_json", "use_cbor")),
    (responses, "get_account_id", ()),
    (responses, "get_region", ()),
    (responses, "request_scope", ("account_id", "region")),
)
REGISTRIES: Final[tuple[Registry, ...]] = ()

_HOUR: Final = 3_600
# PutMetricData takes points of the last two weeks, and of up to two hours to come.
_OLDEST, _NEWEST = 14 * 24 * _HOUR, 2 * _HOUR
_STATISTICS: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")


def here() -> Scope:
    """The account and region that the caller works for."""
    return Scope(responses.get_account_id(), responses.get_region())


def install_measures(metrics: Metrics) -> None:
    """Keep metrics in `metrics`, and answer for them in CloudWatch's place."""

    def record(
        namespace: str,
        metric_name: str,
        value: float,
        unit: str = "None",
        dimensions: Mapping[str, str] | None = None,
    ) -> None:
        metric = Metric.of(namespace, metric_name, dimensions or {})
        metrics.record(here(), metric, float(value), at=time.time(), unit=unit)

    cloudwatch.record_metric = record
    # The emulator walks through all it has before every request.
    cloudwatch._evict_old_metrics = lambda: None
    for name, action, answer in (
        ("_put_metric_data", "PutMetricData", _put),
        ("_get_metric_data", "GetMetricData", _get_data),
        ("_get_metric_statistics", "GetMetricStatistics", _get_statistics),
        ("_list_metrics", "ListMetrics", _list),
    ):
        setattr(cloudwatch, name, spoken(action, answer, metrics))


def spoken(action: str, answer: Callable[[Metrics, Any], dict[str, Any]], metrics: Metrics) -> Callable[..., Any]:
    """An operation in the three protocols that CloudWatch speaks; a ValueError is the caller's mistake."""

    def handle(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Any:
        try:
            result = answer(metrics, data if is_cbor or is_json else nested(params))
        except (KeyError, TypeError, ValueError) as error:
            said = f"{action}: {error}"
            return cloudwatch._error("ValidationError", said, 400, use_json=is_json, use_cbor=is_cbor)
        if is_cbor:
            return cloudwatch._cbor_ok(_tagged(result))
        if is_json:
            return cloudwatch._json_ok(result)
        return cloudwatch._xml(200, f"{action}Response", f"<{action}Result>{_xml(result)}</{action}Result>")

    return handle


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the Query protocol, such as ``Dimensions.member.1.Name``, as lists and dictionaries."""
    root: dict[str, Any] = {}
    for path, value in params.items():
        place, *rest = path.split(".")
        node = root
        for part in rest:
            node = node.setdefault(place, {})
            place = part
        node[place] = value[0] if isinstance(value, list) else value
    return _listed(root)  # type: ignore[no-any-return]  # a dictionary stays one at the root


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value.keys() == {"member"}:
        return [_listed(value["member"][key]) for key in sorted(value["member"], key=int)]
    return {key: _listed(each) for key, each in value.items()}


def _tagged(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _tagged(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_tagged(each, key) for each in value]
    return cloudwatch._cbor_timestamp(value) if key in {"Timestamp", "Timestamps"} else value


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(each)}</{name}>" for name, each in value.items() if each is not None)
    if isinstance(value, list):
        return "".join(f"<member>{_xml(each)}</member>" for each in value)
    return escape(str(value))


def _metric(asked: Mapping[str, Any]) -> Metric:
    dimensions = {each["Name"]: each["Value"] for each in asked.get("Dimensions") or []}
    return Metric.of(asked["Namespace"], asked["MetricName"], dimensions)


def _put(metrics: Metrics, asked: Mapping[str, Any]) -> dict[str, Any]:
    now, scope = time.time(), here()
    for datum in asked["MetricData"]:
        metric = _metric({"Namespace": asked["Namespace"], **datum})
        at = now if datum.get("Timestamp") is None else cloudwatch._parse_ts(datum["Timestamp"])
        if at is None or not now - _OLDEST <= at <= now + _NEWEST:
            raise ValueError(f"the Timestamp of {metric.name} is not of the last two weeks or the next two hours")
        unit = datum.get("Unit") or "None"
        if sets := datum.get("StatisticValues"):
            metrics.record_set(scope, metric, sets, at=at, unit=unit)
            continue
        values = datum.get("Values") or [datum["Value"]]
        for value, count in zip(values, datum.get("Counts") or [1.0] * len(values), strict=True):
            metrics.record(scope, metric, float(value), at=at, count=float(count), unit=unit)
    return {}


def _periods(asked: Mapping[str, Any], period: int) -> Iterator[int]:
    start, end = (cloudwatch._parse_ts(asked[name]) for name in ("StartTime", "EndTime"))
    if period <= 0 or period % 60:
        raise ValueError("Period is in full minutes")
    if (end - start) / period > 100_800:
        raise ValueError("more than 100,800 points are asked for: take a longer Period")
    # As on AWS, periods begin with the start, to the minute.
    return iter(range(int(start) // 60 * 60, int(-(-end // 1)), period))


def _get_data(metrics: Metrics, asked: Mapping[str, Any]) -> dict[str, Any]:
    scope, entries = here(), asked["MetricDataQueries"]
    queries = [Query(each["Id"], each.get("Expression")) for each in entries]
    check(queries)
    stats = {each["Id"]: each["MetricStat"] for each in entries if each.get("MetricStat")}
    shortest = min((int(each["Period"]) for each in stats.values()), default=60)
    points: dict[str, dict[int, float]] = {}
    for id_, stat in stats.items():
        period, compute = int(stat["Period"]), statistic(stat["Stat"])
        metric = _metric(stat["Metric"])
        found = {
            start: compute(observed)
            for start in _periods(asked, period)
            if (observed := metrics.window(scope, metric, start, start + period)) is not None
        }
        points[id_] = {start: value for start, value in found.items() if value is not None}
    for each in queries:
        if each.expression is not None:
            starts = _periods(asked, shortest)
            values = {
                start: solve(queries, {id_: points[id_].get(start) for id_ in stats}, each.id) for start in starts
            }
            points[each.id] = {start: value for start, value in values.items() if value is not None}
    backwards = asked.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    return {
        "MetricDataResults": [
            {
                "Id": each["Id"],
                "Label": each.get("Label") or _label(each),
                "Timestamps": [cloudwatch._ts_iso(at) for at in sorted(points[each["Id"]], reverse=backwards)],
                "Values": [points[each["Id"]][at] for at in sorted(points[each["Id"]], reverse=backwards)],
                "StatusCode": "Complete",
            }
            for each in entries
            if each.get("ReturnData", True) not in {False, "false"}
        ]
    }


def _label(entry: Mapping[str, Any]) -> str:
    return str(entry["MetricStat"]["Metric"]["MetricName"] if entry.get("MetricStat") else entry["Id"])


def _get_statistics(metrics: Metrics, asked: Mapping[str, Any]) -> dict[str, Any]:
    scope, metric, period = here(), _metric(asked), int(asked["Period"])
    plain, extended = asked.get("Statistics") or [], asked.get("ExtendedStatistics") or []
    datapoints = []
    for start in _periods(asked, period):
        observed = metrics.window(scope, metric, start, start + period)
        if observed is None:
            continue
        point = {"Timestamp": cloudwatch._ts_iso(start), "Unit": metrics.unit(scope, metric)}
        point |= {name: statistic(name)(observed) for name in plain or (() if extended else _STATISTICS)}
        if extended:
            found = {name: statistic(name)(observed) for name in extended}
            point["ExtendedStatistics"] = {name: value for name, value in found.items() if value is not None}
        datapoints.append(point)
    return {"Datapoints": datapoints, "Label": metric.name}


def _list(metrics: Metrics, asked: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {each["Name"]: each.get("Value") for each in asked.get("Dimensions") or []}

    def fits(metric: Metric) -> bool:
        has = dict(metric.dimensions)
        return (
            asked.get("Namespace") in {None, metric.namespace}
            and asked.get("MetricName") in {None, metric.name}
            and all(name in has and value in {None, has[name]} for name, value in wanted.items())
        )

    return {
        "Metrics": [
            {
                "Namespace": each.namespace,
                "MetricName": each.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in each.dimensions],
            }
            for each in metrics.known(here())
            if fits(each)
        ]
    }
