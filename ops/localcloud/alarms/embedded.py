"""The embedded metric format: metrics that functions write into their logs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.localcloud.alarms.metrics import Metric

__all__ = ["Datum", "data_of"]


@dataclass(frozen=True, slots=True)
class Datum:
    """Values of one metric at one moment (seconds since 1970)."""

    metric: Metric
    values: tuple[float, ...]
    unit: str
    at: float


def data_of(log: str) -> Iterator[Datum]:
    """The metrics in the lines of a log; lines that are none are passed over, as CloudWatch does."""
    for line in log.splitlines():
        if '"CloudWatchMetrics"' not in line:
            continue
        try:
            document = json.loads(line)
            yield from _data(document)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _data(document: dict[str, Any]) -> Iterator[Datum]:
    at = float(document["_aws"]["Timestamp"]) / 1_000
    for directive in document["_aws"]["CloudWatchMetrics"]:
        sets = [{name: str(document[name]) for name in names} for names in directive.get("Dimensions") or [[]]]
        for told in directive["Metrics"]:
            value = document[told["Name"]]
            values = tuple(float(each) for each in (value if isinstance(value, list) else [value]))
            for dimensions in sets:
                metric = Metric.of(directive["Namespace"], told["Name"], dimensions)
                yield Datum(metric, values, told.get("Unit", "None"), at)
