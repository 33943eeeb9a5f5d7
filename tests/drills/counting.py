"""What functions counted, out of their logs."""

from typing import Any

import msgspec

__all__ = ["counted", "metric_in"]


def counted(client: Any, group: str, metric: str, since: int) -> float:
    """The sum of a metric in a log since a moment (ms)."""
    total = 0.0
    for page in client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since):
        for event in page["events"]:
            for line in event["message"].splitlines():
                total += metric_in(line, metric)
    return total


def metric_in(line: str, metric: str) -> float:
    """What a line in embedded metric format counts of one metric."""
    if '"_aws"' not in line or metric not in line:
        return 0.0
    try:
        value = msgspec.json.decode(line).get(metric, 0.0)
    except msgspec.DecodeError:
        return 0.0
    return float(sum(value)) if isinstance(value, list) else float(value)
