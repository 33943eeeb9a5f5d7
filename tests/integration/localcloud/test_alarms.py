"""Metrics and alarms of the local cloud, asked through the API as on AWS."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from .conftest import let_send

pytestmark = pytest.mark.integration

FUNCTION = """
import json, time

time.sleep(2)

def handler(event, context):
    metrics = [{"Name": "Tried", "Unit": "Count"}]
    names = {"Namespace": "Paywarden", "Dimensions": [["service"], ["service", "tier"]], "Metrics": metrics}
    told = {"_aws": {"Timestamp": time.time() * 1000, "CloudWatchMetrics": [names]}}
    print(json.dumps(told | {"service": "tiny", "tier": event["tier"], "Tried": [1, 2]}))
    if event["tier"] == "none":
        raise ValueError("no tier")
"""


def eventually(found: Callable[[], object], expected: object, *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while (seen := found()) != expected and time.monotonic() < until:
        time.sleep(0.1)
    assert seen == expected


def summed(cloud: boto3.Session, namespace: str, name: str, **dimensions: str) -> float:
    """The sum of a metric over the last five minutes."""
    now = datetime.now(UTC)
    answer = cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(each["Sum"] for each in answer["Datapoints"]))


@pytest.fixture(scope="module")
def function(cloud: boto3.Session) -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", FUNCTION)
    cloud.client("lambda").create_function(
        FunctionName="measured",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/r",
        Handler="main.handler",
        Code={"ZipFile": packed.getvalue()},
    )
    return "measured"


def test_what_functions_measure_in_their_logs_are_metrics(cloud: boto3.Session, function: str) -> None:
    client = cloud.client("lambda")
    for tier in ("high", "none"):
        client.invoke(FunctionName=function, Payload=json.dumps({"tier": tier}).encode())
    assert summed(cloud, "Paywarden", "Tried", service="tiny") == 6
    assert summed(cloud, "Paywarden", "Tried", service="tiny", tier="high") == 3
    assert summed(cloud, "Paywarden", "Tried") == 0
    assert summed(cloud, "AWS/Lambda", "Invocations", FunctionName=function) == 2
    assert summed(cloud, "AWS/Lambda", "Errors", FunctionName=function) == 1
    # Without the two seconds and more that the process took to begin.
    assert summed(cloud, "AWS/Lambda", "Duration", FunctionName=function) < 2_000


def test_a_queue_is_looked_at(cloud: boto3.Session) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="looked-at")["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    now = datetime.now(UTC)

    def most(name: str) -> float:
        answer = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName=name,
            Dimensions=[{"Name": "QueueName", "Value": "looked-at"}],
            StartTime=now - timedelta(minutes=1),
            EndTime=now + timedelta(minutes=2),
            Period=60,
            Statistics=["Maximum"],
        )
        return float(max((each["Maximum"] for each in answer["Datapoints"]), default=0))

    eventually(lambda: most("ApproximateNumberOfMessagesVisible"), 3)
    eventually(lambda: most("ApproximateAgeOfOldestMessage") > 0, expected=True)


def test_executions_are_counted(cloud: boto3.Session) -> None:
    states = cloud.client("stepfunctions")
    definition = {"StartAt": "End", "States": {"End": {"Type": "Fail", "Error": "Tried"}}}
    arn = states.create_state_machine(
        name="counted", definition=json.dumps(definition), roleArn="arn:aws:iam::000000000000:role/r"
    )["stateMachineArn"]
    states.start_execution(stateMachineArn=arn)
    eventually(lambda: summed(cloud, "AWS/States", "ExecutionsFailed", StateMachineArn=arn), 1)
    assert summed(cloud, "AWS/States", "ExecutionsStarted", StateMachineArn=arn) == 1
    assert summed(cloud, "AWS/States", "ExecutionsSucceeded", StateMachineArn=arn) == 0


def share(name: str, period: int) -> dict[str, Any]:
    def counted(id_: str, metric: str) -> dict[str, Any]:
        whole = {"Namespace": "Stacked", "MetricName": metric}
        return {"Id": id_, "MetricStat": {"Metric": whole, "Period": period, "Stat": "Sum"}, "ReturnData": False}

    properties = {
        "AlarmName": name,
        # CloudFormation takes numbers as text, too.
        "Threshold": "0.1",
        "EvaluationPeriods": "1",
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "Metrics": [
            {"Id": "share", "Expression": "IF(bad > 5, bad / all_, 0)"},
            counted("bad", "Bad"),
            counted("all_", "All"),
        ],
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def test_a_stack_makes_changes_and_removes_alarms_with_metric_math_and_composite_ones(
    cloud: boto3.Session,
) -> None:
    formation, client, sqs, sns = (cloud.client(name) for name in ("cloudformation", "cloudwatch", "sqs", "sns"))
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    topic = sns.create_topic(Name="told")["TopicArn"]
    let_send(cloud, topic, url)
    composite: dict[str, Any] = {
        "Type": "AWS::CloudWatch::CompositeAlarm",
        "Properties": {
            "AlarmName": "stacked-both",
            "AlarmRule": {"Fn::Sub": 'ALARM("${Long.Arn}") AND ALARM("${Short.Arn}")'},
            "AlarmActions": [topic],
        },
    }
    template = {
        "Resources": {
            "Long": share("stacked-long", 3_600),
            "Short": share("stacked-short", 300),
            "Both": composite,
        },
        "Outputs": {"Name": {"Value": {"Ref": "Both"}}},
    }

    def states() -> dict[str, str]:
        found = client.describe_alarms(AlarmNamePrefix="stacked-", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return {each["AlarmName"]: each["StateValue"] for each in found["MetricAlarms"] + found["CompositeAlarms"]}

    def put(bad: int, all_: int) -> None:
        data = [{"MetricName": "Bad", "Value": bad}, {"MetricName": "All", "Value": all_}]
        client.put_metric_data(Namespace="Stacked", MetricData=data)

    formation.create_stack(StackName="alarms", TemplateBody=json.dumps(template))
    formation.get_waiter("stack_create_complete").wait(StackName="alarms", WaiterConfig={"Delay": 1})
    assert (
        formation.describe_stacks(StackName="alarms")["Stacks"][0]["Outputs"][0]["OutputValue"] == "stacked-both"
    )
    names = ("stacked-both", "stacked-long", "stacked-short")
    eventually(states, dict.fromkeys(names, "OK"))
    put(6, 10)
    eventually(states, dict.fromkeys(names, "ALARM"))
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    told = json.loads(json.loads(message["Body"])["Message"])
    assert (told["AlarmName"], told["NewStateValue"]) == ("stacked-both", "ALARM")
    put(0, 1_000)
    eventually(states, dict.fromkeys(names, "OK"))

    # Another composite rule, and nothing else, is changed in place; its state is found anew.
    put(200, 0)
    eventually(states, dict.fromkeys(names, "ALARM"))
    composite["Properties"]["AlarmRule"] = "FALSE"
    formation.update_stack(StackName="alarms", TemplateBody=json.dumps(template))
    eventually(lambda: states().get("stacked-both"), "OK")
    formation.delete_stack(StackName="alarms")
    eventually(states, {})


def test_what_the_local_cloud_does_not_know_is_refused(cloud: boto3.Session) -> None:
    client = cloud.client("cloudwatch")
    how: dict[str, Any] = {
        "AlarmName": "refused",
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "LessThanThreshold",
    }
    with pytest.raises(ClientError, match="no statistic 'tm90'"):
        client.put_metric_alarm(Namespace="N", MetricName="M", Period=60, ExtendedStatistic="tm90", **how)
    stat = {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"}
    metrics = [{"Id": "e", "Expression": "m +"}, {"Id": "m", "MetricStat": stat, "ReturnData": False}]
    with pytest.raises(ClientError, match="cannot read 'the end'"):
        client.put_metric_alarm(Metrics=metrics, **how)
    old = {"MetricName": "M", "Value": 1, "Timestamp": datetime.now(UTC) - timedelta(days=15)}
    with pytest.raises(ClientError, match="last two weeks"):
        client.put_metric_data(Namespace="N", MetricData=[old])
    assert client.describe_alarms(AlarmNames=["refused"])["MetricAlarms"] == []


def test_a_state_set_by_hand_lasts_until_there_is_something_new(cloud: boto3.Session) -> None:
    client = cloud.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="by-hand",
        Namespace="Tests",
        MetricName="ByHand",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )

    def state() -> str:
        return str(client.describe_alarms(AlarmNames=["by-hand"])["MetricAlarms"][0]["StateValue"])

    eventually(state, "OK")

    def by_hand() -> str:
        client.set_alarm_state(AlarmName="by-hand", StateValue="ALARM", StateReason="a drill")
        return state()

    # A minute that is over between the two is something new.
    eventually(by_hand, "ALARM")
    client.put_metric_data(Namespace="Tests", MetricData=[{"MetricName": "ByHand", "Value": 0}])
    eventually(state, "OK")


def test_metric_math_in_questions(cloud: boto3.Session) -> None:
    client, now = cloud.client("cloudwatch"), datetime.now(UTC)
    data = [{"MetricName": "Took", "Values": [100.0, 900.0], "Counts": [30.0, 10.0], "Timestamp": now}]
    client.put_metric_data(Namespace="Asked", MetricData=data)
    metric = {"Namespace": "Asked", "MetricName": "Took"}
    queries = [
        {"Id": "good", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "PR(:300)"}, "ReturnData": False},
        {"Id": "bad", "Expression": "100 - good", "Label": "bad, %"},
    ]
    answer = client.get_metric_data(
        StartTime=now - timedelta(minutes=2), EndTime=now + timedelta(minutes=1), MetricDataQueries=queries
    )
    [result] = answer["MetricDataResults"]
    assert (result["Label"], result["Values"]) == ("bad, %", [25.0])
    listed = client.list_metrics(Namespace="Asked")["Metrics"]
    assert listed == [{"Namespace": "Asked", "MetricName": "Took", "Dimensions": []}]
