"""Executions that are re-driven, wait for a token, or end by their own time limit."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.integration.localcloud.conftest import zipped
from tests.integration.localcloud.test_step_functions import ended, start, task
from tests.waiting import until

pytestmark = pytest.mark.integration

Build = Callable[..., dict[str, Any]]
# Keeps the token where the test finds it, or fails when told to.
ASK = """
import json, os, boto3
def handler(event, context):
    if event.get("fail"):
        raise ValueError("cannot ask")
    boto3.client("s3").put_object(Bucket="jobs", Key=event["key"], Body=event["token"].encode())
"""


@pytest.fixture(scope="module")
def ask(cloud: boto3.Session, bucket: str) -> str:
    del bucket
    cloud.client("lambda").create_function(
        FunctionName="ask",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/function",
        Handler="index.handler",
        Code={"ZipFile": zipped(ASK)},
        Timeout=30,
    )
    return "ask"


def approval(ask: str, key: str, **more: Any) -> dict[str, Any]:
    payload = {"token.$": "$$.Task.Token", "key": key, "fail.$": "$.fail"}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": ask, "Payload": payload},
        "ResultPath": "$.approval",
        "End": True,
        **more,
    }


def token(cloud: boto3.Session, key: str) -> str:
    s3 = cloud.client("s3")
    found: list[str] = []

    def there() -> bool:
        try:
            found.append(s3.get_object(Bucket="jobs", Key=key)["Body"].read().decode())
        except s3.exceptions.NoSuchKey:
            return False
        return True

    until(there, what=f"the token {key}")
    return found[-1]


def history(cloud: boto3.Session, arn: str) -> list[str]:
    events = cloud.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    return [event["type"] for event in events]


def failing_once(training: Build, bucket: str) -> dict[str, Any]:
    """A machine whose job fails until somebody leaves a file; the job's name holds the count of redrives."""
    request = training()
    request.pop("TrainingJobName")
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{bucket}/later/"
    name = "States.Format('{}-r{}', $.job, $$.Execution.RedriveCount)"
    return {
        "First": {"Type": "Pass", "Result": "kept", "ResultPath": "$.first", "Next": "Train"},
        "Train": task(
            "createTrainingJob.sync",
            {"TrainingJobName.$": name, **request},
            ResultSelector={"name.$": "$.TrainingJobName", "run.$": "$$.Execution.Name"},
            ResultPath="$.train",
            End=True,
        ),
    }


def test_redriven_execution_goes_on_at_the_failed_state(
    cloud: boto3.Session, training: Build, bucket: str
) -> None:
    client = cloud.client("stepfunctions")
    arn = start(cloud, "redriven", failing_once(training, bucket), {"job": "redriven"})
    failed = ended(cloud, arn)
    assert (failed["status"], failed["redriveCount"], failed["redriveStatus"]) == ("FAILED", 0, "REDRIVABLE")
    before = history(cloud, arn)

    cloud.client("s3").put_object(Bucket=bucket, Key="later/a.csv", Body=b"1")
    client.redrive_execution(executionArn=arn)
    done = ended(cloud, arn)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert (done["redriveCount"], done["redriveStatus"]) == (1, "NOT_REDRIVABLE")
    assert done["redriveDate"] > done["startDate"]
    assert json.loads(done["output"]) == {
        "job": "redriven",
        "first": "kept",
        "train": {"name": "redriven-r1", "run": arn.rpartition(":")[2]},
    }
    after = history(cloud, arn)
    assert after[: len(before)] == before
    assert after[len(before) : len(before) + 2] == ["ExecutionRedriven", "TaskStateEntered"]
    assert after[-1] == "ExecutionSucceeded"
    with pytest.raises(client.exceptions.ExecutionNotRedrivable, match="is SUCCEEDED and cannot"):
        client.redrive_execution(executionArn=arn)


def test_aborted_execution_is_redriven_and_its_old_token_is_spent(cloud: boto3.Session, ask: str) -> None:
    client = cloud.client("stepfunctions")
    states = {"Ask": approval(ask, "token-aborted")}
    arn = start(cloud, "aborted", states, {"fail": False})
    old = token(cloud, "token-aborted")
    client.stop_execution(executionArn=arn)
    cloud.client("s3").delete_object(Bucket="jobs", Key="token-aborted")

    def spent() -> bool:
        try:
            client.send_task_success(taskToken=old, output="{}")
        except client.exceptions.TaskTimedOut:
            return True
        return False

    until(spent, what="the end of the old token")
    client.redrive_execution(executionArn=arn, clientToken="once")
    client.redrive_execution(executionArn=arn, clientToken="once")
    client.send_task_success(taskToken=token(cloud, "token-aborted"), output='{"approved": true}')
    done = ended(cloud, arn)
    assert (done["status"], done["redriveCount"]) == ("SUCCEEDED", 1)
    assert json.loads(done["output"])["approval"] == {"approved": True}


def test_answers_to_a_token(cloud: boto3.Session, ask: str) -> None:
    client = cloud.client("stepfunctions")
    arn = start(cloud, "answered", {"Ask": approval(ask, "token-answered")}, {"fail": False})
    given = token(cloud, "token-answered")
    with pytest.raises(client.exceptions.InvalidOutput):
        client.send_task_success(taskToken=given, output="yes")
    client.send_task_failure(taskToken=given, error="Refused", cause="too many false positives")
    done = ended(cloud, arn)
    assert (done["status"], done["error"], done["cause"]) == ("FAILED", "Refused", "too many false positives")
    with pytest.raises(client.exceptions.TaskTimedOut):
        client.send_task_success(taskToken=given, output="{}")
    with pytest.raises(client.exceptions.TaskDoesNotExist):
        client.send_task_success(taskToken="never-given", output="{}")


def test_function_that_fails_to_ask_fails_the_task(cloud: boto3.Session, ask: str) -> None:
    done = ended(cloud, start(cloud, "cannot-ask", {"Ask": approval(ask, "none")}, {"fail": True}))
    assert done["status"] == "FAILED"
    assert "cannot ask" in done["cause"]


@pytest.mark.parametrize("limit", [{"TimeoutSeconds": 1}, {"TimeoutSecondsPath": "$.seconds"}])
def test_nobody_answers_in_time(cloud: boto3.Session, ask: str, limit: dict[str, Any]) -> None:
    name = f"unanswered-{next(iter(limit))}"
    states = {"Ask": approval(ask, name, **limit)}
    done = ended(cloud, start(cloud, name, states, {"fail": False, "seconds": 1}))
    assert done["error"] == "States.Timeout"


def test_wait_ends_when_its_execution_is_stopped_or_takes_too_long(cloud: boto3.Session) -> None:
    client = cloud.client("stepfunctions")
    states = {"Wait": {"Type": "Wait", "SecondsPath": "$.seconds", "End": True}}
    definition = json.dumps({"StartAt": "Wait", "States": states, "TimeoutSeconds": 1})
    role = "arn:aws:iam::000000000000:role/states"
    machine = client.create_state_machine(name="limited", definition=definition, roleArn=role)["stateMachineArn"]
    arn = client.start_execution(stateMachineArn=machine, input='{"seconds": 300}')["executionArn"]
    assert ended(cloud, arn)["status"] == "TIMED_OUT"
    assert history(cloud, arn) == ["ExecutionStarted", "WaitStateEntered", "ExecutionTimedOut"]


def test_path_that_leads_nowhere_fails_the_execution(cloud: boto3.Session) -> None:
    states = {"Pass": {"Type": "Pass", "Parameters": {"a.$": "$.known", "b.$": "$.unknown"}, "End": True}}
    done = ended(cloud, start(cloud, "lost-path", states, {"known": None}))
    assert (done["status"], done["error"]) == ("FAILED", "States.Runtime")
    assert "'$.unknown' specified for the field 'b.$' could not be found" in done["cause"]


def test_unknown_execution_is_not_redriven(cloud: boto3.Session) -> None:
    arn = "arn:aws:states:eu-west-1:000000000000:execution:none:none"
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        cloud.client("stepfunctions").redrive_execution(executionArn=arn)
