"""What CloudWatch tells a topic when an alarm changes its state."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["message_of"]

_ACTIONS: Final = ("OKActions", "AlarmActions", "InsufficientDataActions")
_HOW: Final = ("Period", "EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold")


def message_of(
    alarm: Mapping[str, Any], *, old: str, new: str, reason: str, account: str, region: str, at: float
) -> dict[str, Any]:
    """The JSON that subscribers of an alarm's topic get.

    Parameters
    ----------
    alarm
        In the shape of DescribeAlarms.
    at
        Seconds since 1970.
    """
    message = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription", ""),
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": _stamp(alarm.get("AlarmConfigurationUpdatedTimestamp", at)),
        "NewStateValue": new,
        "NewStateReason": reason,
        "StateChangeTime": _stamp(at),
        "Region": region,
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": old,
        **{name: list(alarm.get(name) or []) for name in _ACTIONS},
    }
    if "AlarmRule" in alarm:
        return message | {"AlarmRule": alarm["AlarmRule"]}
    how = {name: alarm[name] for name in _HOW if alarm.get(name) is not None}
    how["TreatMissingData"] = alarm.get("TreatMissingData", "missing")
    if alarm.get("Metrics"):
        return message | {"Trigger": how | {"Metrics": alarm["Metrics"]}}
    extended = alarm.get("ExtendedStatistic")
    counted: dict[str, Any] = {
        "MetricName": alarm.get("MetricName"),
        "Namespace": alarm.get("Namespace"),
        "StatisticType": "ExtendedStatistic" if extended else "Statistic",
        ("ExtendedStatistic" if extended else "Statistic"): extended or str(alarm.get("Statistic", "")).upper(),
        "Unit": alarm.get("Unit"),
        # Here, unlike anywhere else, the fields of a dimension begin with a small letter.
        "Dimensions": [{"value": each["Value"], "name": each["Name"]} for each in alarm.get("Dimensions") or []],
    }
    return message | {"Trigger": counted | how}


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
