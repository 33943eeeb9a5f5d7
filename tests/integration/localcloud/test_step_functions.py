"""The very ASL that goes to AWS, run by the local cloud."""

import json
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.waiting import until

pytestmark = pytest.mark.integration

Build = Callable[..., dict[str, Any]]
ROLE = "arn:aws:iam::000000000000:role/states"


def start(cloud: boto3.Session, name: str, states: dict[str, Any], given: dict[str, Any]) -> str:
    client = cloud.client("stepfunctions")
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    machine = client.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]
    execution: str = client.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]
    return execution


def ended(cloud: boto3.Session, arn: str) -> dict[str, Any]:
    client = cloud.client("stepfunctions")

    def end() -> dict[str, Any] | None:
        described: dict[str, Any] = client.describe_execution(executionArn=arn)
        return described if described["status"] != "RUNNING" else None

    return until(end, what=f"the end of {arn}")


def task(resource: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:states:::sagemaker:{resource}", "Parameters": parameters, **more}


def test_two_jobs_in_a_row(cloud: boto3.Session, training: Build, processing: Build, bucket: str) -> None:
    dataset = processing()
    dataset.pop("ProcessingJobName")
    train = training()
    train.pop("TrainingJobName")
    train["InputDataConfig"][0]["DataSource"]["S3DataSource"].pop("S3Uri")
    train["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri.$"] = (
        "$.Dataset.ProcessingOutputConfig.Outputs[0].S3Output.S3Uri"
    )
    states = {
        "Dataset": task(
            "createProcessingJob.sync",
            {"ProcessingJobName.$": "States.Format('{}-dataset', $.run_id)", **dataset},
            ResultPath="$.Dataset",
            Next="Train",
        ),
        "Train": task(
            "createTrainingJob.sync",
            {"TrainingJobName.$": "States.Format('{}-train', $.run_id)", **train},
            ResultPath="$.Train",
            End=True,
        ),
    }
    execution = ended(cloud, start(cloud, "two-jobs", states, {"run_id": "run-7"}))
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    output = json.loads(execution["output"])
    assert output["Dataset"]["ProcessingJobStatus"] == "Completed"
    assert output["Train"]["TrainingJobStatus"] == "Completed"
    assert output["Train"]["ModelArtifacts"]["S3ModelArtifacts"] == (
        f"s3://{bucket}/models/run-7-train/output/model.tar.gz"
    )
    # Whole milliseconds, as Step Functions writes times.
    assert abs(output["Train"]["TrainingEndTime"] / 1000 - time.time()) < 60


def test_failed_job_fails_the_task_with_its_description(cloud: boto3.Session, training: Build) -> None:
    states = {"Train": task("createTrainingJob.sync", training(mode="fail"), End=True)}
    execution = ended(cloud, start(cloud, "failing-job", states, {}))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(execution["cause"])
    assert cause["TrainingJobStatus"] == "Failed"
    assert cause["FailureReason"] == "AlgorithmError: the label column is missing, exit code: 3"


def test_failed_job_is_caught(cloud: boto3.Session, training: Build) -> None:
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Caught"}]
    states = {
        "Train": task("createTrainingJob.sync", training(mode="fail"), Catch=catch, End=True),
        "Caught": {"Type": "Pass", "End": True},
    }
    execution = ended(cloud, start(cloud, "caught-job", states, {}))
    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"])["error"]["Error"] == "States.TaskFailed"


def test_field_unknown_to_sagemaker_is_refused(cloud: boto3.Session, training: Build) -> None:
    states = {"Train": task("createTrainingJob.sync", training(Hyperparameters={"a": "1"}), End=True)}
    execution = ended(cloud, start(cloud, "unknown-field", states, {}))
    assert (execution["status"], execution["error"]) == ("FAILED", "SageMaker.AmazonSageMakerException")
    assert "Unknown field 'Hyperparameters'" in execution["cause"]


def test_stopped_execution_stops_its_job(cloud: boto3.Session, training: Build) -> None:
    request = training(mode="sleep")
    states = {"Train": task("createTrainingJob.sync", request, End=True)}
    arn = start(cloud, "stopped-execution", states, {})
    sagemaker = cloud.client("sagemaker")
    wait_for(sagemaker, request["TrainingJobName"], "Training")
    cloud.client("stepfunctions").stop_execution(executionArn=arn)
    wait_for(sagemaker, request["TrainingJobName"], "Stopped")


def test_task_that_times_out_stops_its_job(cloud: boto3.Session, training: Build) -> None:
    request = training(mode="sleep")
    states = {"Train": task("createTrainingJob.sync", request, TimeoutSeconds=2, End=True)}
    execution = ended(cloud, start(cloud, "timed-out", states, {}))
    assert execution["error"] == "States.Timeout"
    wait_for(cloud.client("sagemaker"), request["TrainingJobName"], "Stopped")


def wait_for(sagemaker: Any, name: str, status: str) -> None:
    until(lambda: status_of(sagemaker, name) == status, what=f"{status} of {name}")


def status_of(sagemaker: Any, name: str) -> str | None:
    try:
        return str(sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"])
    except sagemaker.exceptions.ClientError:
        return None
