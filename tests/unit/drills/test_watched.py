"""A sign is what the deployed alarm looks at, and nothing that only resembles it."""

import time
from typing import Any

import pytest

from tests.drills.watched import Watched, prefix_of

DEPTH, AGE = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
QUEUE = [{"Name": "QueueName", "Value": "updates"}]


class FakeCloudWatch:
    """Alarms, and values by the name of a metric; an expression is ``bad / all``."""

    def __init__(self, alarms: list[dict[str, Any]], composites: list[dict[str, Any]] | None = None) -> None:
        self.values: dict[str, float] = {}
        self.asked: list[dict[str, Any]] = []
        self._alarms, self._composites = alarms, composites or []

    def describe_alarms(self, *, AlarmNames: list[str], AlarmTypes: list[str]) -> dict[str, Any]:  # noqa: N803 - AWS's
        assert set(AlarmTypes) == {"MetricAlarm", "CompositeAlarm"}
        return {
            "MetricAlarms": [each for each in self._alarms if each["AlarmName"] in AlarmNames],
            "CompositeAlarms": [each for each in self._composites if each["AlarmName"] in AlarmNames],
        }

    def get_paginator(self, name: str) -> "FakeCloudWatch":
        assert name == "describe_alarms"
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"MetricAlarms": self._alarms}]

    def get_metric_data(self, *, MetricDataQueries: Any, StartTime: int, EndTime: int) -> dict[str, Any]:  # noqa: N803 - AWS's
        self.asked += MetricDataQueries
        stats = {each["Id"]: each["MetricStat"] for each in MetricDataQueries if "MetricStat" in each}
        assert {each["Period"] for each in stats.values()} == {EndTime - StartTime}
        values = {id_: self.values.get(stat["Metric"]["MetricName"]) for id_, stat in stats.items()}
        if any("Expression" in each for each in MetricDataQueries):
            bad, total = values["bad"], values["all"]
            values = {"e": None if bad is None or not total else bad / total}
        return {"MetricDataResults": [{"Values": [value for value in values.values() if value is not None]}]}


def of_one(name: str, metric: str) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Namespace": "AWS/SQS",
        "MetricName": metric,
        "Dimensions": QUEUE,
        "Period": 60,
        "Statistic": "Maximum",
    }


def of_a_share(name: str, bad: str) -> dict[str, Any]:
    def stat(id_: str, metric: str) -> dict[str, Any]:
        asked = {"Metric": {"Namespace": "AWS/ApiGateway", "MetricName": metric}, "Period": 3_600, "Stat": "Sum"}
        return {"Id": id_, "MetricStat": asked, "ReturnData": False}

    share = {"Id": "e", "Expression": "bad / all", "ReturnData": True, "Period": 3_600}
    return {"AlarmName": name, "Metrics": [share, stat("bad", bad), stat("all", "Count")]}


def ago(seconds: float) -> int:
    return int((time.time() - seconds) * 1_000)


def test_only_the_metric_of_the_deployed_alarm_counts() -> None:
    cloudwatch = FakeCloudWatch([of_one("p-updates-behind", AGE)])
    watched = Watched(cloudwatch, "p-updates-behind")
    cloudwatch.values = {DEPTH: 500.0}
    assert watched.reading(ago(5)) == 0.0
    cloudwatch.values |= {AGE: 7.0}
    assert watched.reading(ago(5)) == 7.0
    assert cloudwatch.asked[0]["MetricStat"]["Metric"]["Dimensions"] == QUEUE
    assert cloudwatch.asked[0]["MetricStat"]["Stat"] == "Maximum"
    assert str(watched) == AGE


def test_one_period_holds_all_since_the_beginning() -> None:
    cloudwatch = FakeCloudWatch([of_one("p-updates-behind", AGE)])
    Watched(cloudwatch, "p-updates-behind").reading(ago(200))
    period = cloudwatch.asked[0]["MetricStat"]["Period"]
    assert period % 60 == 0
    assert 200 <= period <= 320


def test_a_composite_alarm_is_what_its_halves_say_with_their_arithmetic() -> None:
    halves = [of_a_share("p-availability-long", "5XXError"), of_a_share("p-availability-short", "Slow")]
    rule = 'ALARM("arn:aws:cloudwatch:eu-west-1:0:alarm:p-availability-long") AND ALARM("p-availability-short")'
    cloudwatch = FakeCloudWatch(halves, [{"AlarmName": "p-availability", "AlarmRule": rule}])
    watched = Watched(cloudwatch, "p-availability")
    cloudwatch.values = {"5XXError": 5.0, "Failed": 9.0, "Count": 10.0}
    assert watched.reading(ago(1)) == 0.0
    cloudwatch.values["Slow"] = 2.0
    assert watched.reading(ago(1)) == 0.2
    assert str(watched) == "bad / all of 5XXError, Count and bad / all of Slow, Count"


def test_an_alarm_that_is_not_deployed_is_an_error() -> None:
    with pytest.raises(LookupError, match="there is no alarm p-nothing"):
        Watched(FakeCloudWatch([]), "p-nothing")


def test_the_prefix_is_that_of_the_deployment() -> None:
    alarms = [of_one("paywarden-local-dead-letters-updates", DEPTH), of_one("paywarden-local-x", AGE)]
    assert prefix_of(FakeCloudWatch(alarms)) == "paywarden-local"
