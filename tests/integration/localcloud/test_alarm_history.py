"""An alarm that went off and is over again is still told, as watch_release relies on."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

pytestmark = pytest.mark.integration


def test_what_an_alarm_was_since_a_moment_can_be_asked(cloud: boto3.Session) -> None:
    client = cloud.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="went-off",
        Namespace="Tests",
        MetricName="Nothing",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    began = datetime.now(UTC) - timedelta(seconds=2)
    for state in ("ALARM", "OK"):
        client.set_alarm_state(AlarmName="went-off", StateValue=state, StateReason="a drill")

    def states(name: str, since: datetime) -> list[str]:
        pages = client.get_paginator("describe_alarm_history").paginate(
            AlarmName=name, AlarmTypes=["MetricAlarm"], HistoryItemType="StateUpdate", StartDate=since
        )
        updates = (json.loads(each["HistoryData"]) for page in pages for each in page["AlarmHistoryItems"])
        return [each["newState"]["stateValue"] for each in updates]

    # It has no data, which the cloud may find at any moment: after its creation, and at each full minute.
    by_hand = [state for state in states("went-off", began) if state != "INSUFFICIENT_DATA"]
    assert by_hand == ["OK", "ALARM"]
    assert states("went-off", began + timedelta(hours=1)) == []
    assert states("another", began) == []
