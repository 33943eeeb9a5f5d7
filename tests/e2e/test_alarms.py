"""Alarms that real causes trip, from the function or queue to the message that people get.

Where an alarm wants trouble in two minutes of five, the minute before is put; that of now is real. Every alarm is
tripped by points that are put in tests/infra/test_alarm_trips.py.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.alarms import KINDS, kind_of, name_of
from infra.environments import LOCAL
from ops.deployment import Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PATIENCE = 60


@pytest.fixture(scope="module")
def heard(deployment: Deployment) -> Iterator[Callable[[str], str]]:
    """Waits until people hear that an alarm went off; tells by which topic."""
    sns, sqs = deployment.client("sns"), deployment.client("sqs")
    queues, subscriptions = {}, []
    for severity, output in (("page", "PageTopic"), ("ticket", "TicketTopic")):
        url = sqs.create_queue(QueueName=f"t-alarms-{severity}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = deployment[output]
        sends = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        allow = sends | {"Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        subscribed = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
        subscriptions.append(subscribed["SubscriptionArn"])
        queues[severity] = url
    told: dict[str, str] = {}

    def listen(name: str) -> str:
        until = time.monotonic() + PATIENCE
        while name not in told:
            assert time.monotonic() < until, f"nobody was told of {name}, but of {sorted(told)}"
            for severity, url in queues.items():
                found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
                for each in found:
                    message = json.loads(each["Body"])["Message"]
                    # Machines tell the topic, too, in words.
                    if message.startswith("{") and '"NewStateValue": "ALARM"' in message:
                        told[json.loads(message)["AlarmName"]] = severity
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            time.sleep(0.2)
        return told[name]

    yield listen
    for each in subscriptions:
        sns.unsubscribe(SubscriptionArn=each)
    for url in queues.values():
        sqs.delete_queue(QueueUrl=url)


def alarm(deployment: Deployment, kind: str, of: str = "") -> dict[str, Any]:
    """An alarm as deployed."""
    name = name_of(kind, prefix=LOCAL.prefix, of=of)
    found: list[dict[str, Any]] = deployment.client("cloudwatch").describe_alarms(AlarmNames=[name])[
        "MetricAlarms"
    ]
    return found[0]


def trouble_before(deployment: Deployment, watched: dict[str, Any]) -> None:
    """The minute before this one had the same trouble as there will be.

    Said before there is any, lest a full minute in between put both into one.
    """
    point = {
        "MetricName": watched["MetricName"],
        "Dimensions": watched["Dimensions"],
        "Timestamp": datetime.now(UTC) - timedelta(minutes=1),
        "Value": watched["Threshold"],
    }
    deployment.client("cloudwatch").put_metric_data(Namespace=watched["Namespace"], MetricData=[point])


def function_of(watched: dict[str, Any]) -> str:
    """The name of the function that an alarm watches."""
    return str(next(each["Value"] for each in watched["Dimensions"] if each["Name"] == "FunctionName"))


def test_every_deployed_alarm_is_of_the_catalogue(deployment: Deployment) -> None:
    pages = deployment.client("cloudwatch").get_paginator("describe_alarms")
    found = [
        each["AlarmName"]
        for page in pages.paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        for each in page["MetricAlarms"] + page["CompositeAlarms"]
    ]
    assert len(found) > len(KINDS)
    assert [name for name in found if kind_of(name, prefix=LOCAL.prefix) is None] == []


def test_a_message_that_holds_no_event(deployment: Deployment, heard: Callable[[str], str]) -> None:
    sqs, url, dead = deployment.client("sqs"), deployment["UpdateQueueUrl"], deployment["UpdateDeadLetterQueueUrl"]
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    try:
        sqs.send_message(QueueUrl=url, MessageBody="no event")
        assert (
            heard(alarm(deployment, "dead-letters-updates")["AlarmName"]) == KINDS["dead-letters-updates"].severity
        )
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=kept)
        for each in sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=dead, ReceiptHandle=each["ReceiptHandle"])


def test_a_function_that_fails(deployment: Deployment, heard: Callable[[str], str]) -> None:
    watched = alarm(deployment, "function-errors", "read_verdict")
    trouble_before(deployment, watched)
    answer = deployment.client("lambda").invoke(FunctionName=function_of(watched), Payload=b'{"nothing": 1}')
    assert "FunctionError" in answer
    assert heard(watched["AlarmName"]) == KINDS["function-errors"].severity


def test_a_function_that_may_not_run(deployment: Deployment, heard: Callable[[str], str]) -> None:
    watched, client = alarm(deployment, "function-throttles", "settle_approval"), deployment.client("lambda")
    name = function_of(watched)
    trouble_before(deployment, watched)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        with pytest.raises(client.exceptions.TooManyRequestsException):
            client.invoke(FunctionName=name, Payload=b"{}")
    finally:
        client.delete_function_concurrency(FunctionName=name)
    assert heard(watched["AlarmName"]) == KINDS["function-throttles"].severity


def test_a_key_that_cannot_be_checked(deployment: Deployment, heard: Callable[[str], str]) -> None:
    watched = alarm(deployment, "authorizer-failures")
    # Its own metric, from its log: to Lambda a wrong key is an error, too.
    function = function_of(alarm(deployment, "function-throttles", "authorize_merchant"))
    trouble_before(deployment, watched)
    deployment.client("lambda").invoke(FunctionName=function, Payload=b'{"headers": "none", "methodArn": "a/b/c"}')
    assert heard(watched["AlarmName"]) == KINDS["authorizer-failures"].severity


def test_a_retraining_that_cannot_begin(deployment: Deployment, heard: Callable[[str], str]) -> None:
    machine = deployment["RetrainStateMachine"]
    deployment.client("stepfunctions").start_execution(
        stateMachineArn=machine, name="t-alarms", input='{"as_of": "never"}'
    )
    assert heard(alarm(deployment, "retraining-failed")["AlarmName"]) == KINDS["retraining-failed"].severity
