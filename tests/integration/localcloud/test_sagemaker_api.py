"""The local SageMaker through boto3, on a server that really runs."""

import io
import json
import tarfile
import time
from collections.abc import Callable
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from ops.localcloud import control
from tests.waiting import until

pytestmark = pytest.mark.integration

Build = Callable[..., dict[str, Any]]
FINAL = {"Completed", "Failed", "Stopped"}


def ended(cloud: boto3.Session, kind: str, name: str) -> dict[str, Any]:
    client = cloud.client("sagemaker")
    describe = client.describe_training_job if kind == "Training" else client.describe_processing_job

    def end() -> dict[str, Any] | None:
        described: dict[str, Any] = describe(**{f"{kind}JobName": name})
        return described if described[f"{kind}JobStatus"] in FINAL else None

    return until(end, pause=0.05, what=f"the end of {name}")


def wait_for(cloud: boto3.Session, name: str, secondary: str) -> None:
    client = cloud.client("sagemaker")
    until(
        lambda: client.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == secondary,
        pause=0.05,
        what=f"{secondary} of {name}",
    )


def program_processes(port: int) -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process(control.status(port).pid).children(recursive=True)
    return children


def test_training_job_delivers_its_model(cloud: boto3.Session, training: Build, bucket: str) -> None:
    request = training(Environment={"STAGE": "test"})
    arn = cloud.client("sagemaker").create_training_job(**request)["TrainingJobArn"]
    described = ended(cloud, "Training", request["TrainingJobName"])

    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    assert described["TrainingJobArn"] == arn
    passed = [item["Status"] for item in described["SecondaryStatusTransitions"]]
    assert passed == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [(item["MetricName"], item["Value"]) for item in described["FinalMetricDataList"]] == [
        ("validation:auc", 0.875)
    ]
    uri = described["ModelArtifacts"]["S3ModelArtifacts"]
    key = f"models/{request['TrainingJobName']}/output/model.tar.gz"
    assert uri == f"s3://{bucket}/{key}"
    archive = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile("seen.json")
        assert member is not None
        seen = json.load(member)
    assert seen["files"] == ["a.csv", "deep/b.csv"]
    assert seen["channels"]["dataset"]["TrainingInputMode"] == "File"
    assert seen["resources"]["hosts"] == ["algo-1"]
    assert seen["environment"]["STAGE"] == "test"
    assert seen["environment"]["TRAINING_JOB_NAME"] == request["TrainingJobName"]
    assert "VIRTUAL_ENV" not in seen["environment"]


def test_lines_of_a_job_reach_the_log_service(cloud: boto3.Session, training: Build) -> None:
    request = training()
    cloud.client("sagemaker").create_training_job(**request)
    ended(cloud, "Training", request["TrainingJobName"])
    logs = cloud.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=request["TrainingJobName"])
    name = streams["logStreams"][0]["logStreamName"]
    assert name.startswith(f"{request['TrainingJobName']}/algo-1-")
    events = logs.get_log_events(logGroupName=group, logStreamName=name)["events"]
    assert [event["message"] for event in events] == ["round 1 auc=0.5", "round 2 auc=0.875"]


def test_failed_training_job_gives_the_programs_reason(cloud: boto3.Session, training: Build) -> None:
    request = training(mode="fail")
    cloud.client("sagemaker").create_training_job(**request)
    described = ended(cloud, "Training", request["TrainingJobName"])
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"] == "AlgorithmError: the label column is missing, exit code: 3"
    assert described["SecondaryStatusTransitions"][-1]["Status"] == "Failed"


def test_processing_job_uploads_its_output(cloud: boto3.Session, processing: Build, bucket: str) -> None:
    request = processing("--as-of", "17")
    cloud.client("sagemaker").create_processing_job(**request)
    described = ended(cloud, "Processing", request["ProcessingJobName"])
    assert described["ProcessingJobStatus"] == "Completed", described.get("FailureReason")
    s3 = cloud.client("s3")
    prefix = f"out/{request['ProcessingJobName']}/"
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    assert keys == [f"{prefix}arguments.json", f"{prefix}part/a.csv"]
    assert json.load(s3.get_object(Bucket=bucket, Key=keys[0])["Body"]) == ["--as-of", "17"]


def test_failed_processing_job_keeps_the_exit_message(cloud: boto3.Session, processing: Build) -> None:
    request = processing("fail")
    cloud.client("sagemaker").create_processing_job(**request)
    described = ended(cloud, "Processing", request["ProcessingJobName"])
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["ExitMessage"] == "no rows left after the split"
    assert described["FailureReason"].startswith("AlgorithmError: See job logs")


def test_input_without_objects_fails_the_job(cloud: boto3.Session, training: Build, bucket: str) -> None:
    request = training()
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = f"s3://{bucket}/nothing-here/"
    cloud.client("sagemaker").create_training_job(**request)
    described = ended(cloud, "Training", request["TrainingJobName"])
    assert described["TrainingJobStatus"] == "Failed"
    assert "No S3 objects found" in described["FailureReason"]
    assert "channel dataset" in described["FailureReason"]


@pytest.mark.parametrize("mode", ["sleep", "stubborn"])
def test_stop_ends_the_whole_process_group(cloud: boto3.Session, training: Build, port: int, mode: str) -> None:
    before = set(program_processes(port))
    request = training(mode=mode)
    client = cloud.client("sagemaker")
    client.create_training_job(**request)
    wait_for(cloud, request["TrainingJobName"], "Training")
    until(lambda: set(program_processes(port)) - before, what="the program")
    time.sleep(0.5)  # for what it starts itself
    started = set(program_processes(port)) - before
    assert started
    client.stop_training_job(TrainingJobName=request["TrainingJobName"])
    described = ended(cloud, "Training", request["TrainingJobName"])
    assert described["TrainingJobStatus"] == "Stopped"
    assert not [process for process in started if process.is_running() and process.status() != "zombie"]
    with pytest.raises(ClientError, match="is in status Stopped"):
        client.stop_training_job(TrainingJobName=request["TrainingJobName"])


def test_job_that_runs_too_long_is_stopped(cloud: boto3.Session, training: Build) -> None:
    request = training(mode="sleep", StoppingCondition={"MaxRuntimeInSeconds": 1})
    cloud.client("sagemaker").create_training_job(**request)
    described = ended(cloud, "Training", request["TrainingJobName"])
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_name_is_taken_once(cloud: boto3.Session, training: Build) -> None:
    client = cloud.client("sagemaker")
    request = training()
    client.create_training_job(**request)
    with pytest.raises(client.exceptions.ResourceInUse, match="taken"):
        client.create_training_job(**request)
    ended(cloud, "Training", request["TrainingJobName"])


def test_unknown_jobs_and_images_are_refused(cloud: boto3.Session, training: Build) -> None:
    client = cloud.client("sagemaker")
    with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found"):
        client.describe_training_job(TrainingJobName="never-created")
    request = training()
    request["AlgorithmSpecification"]["TrainingImage"] = "someone-elses:latest"
    with pytest.raises(ClientError, match="has no program for the image 'someone-elses:latest'"):
        client.create_training_job(**request)


def test_lists_filter_and_page(cloud: boto3.Session, training: Build) -> None:
    client = cloud.client("sagemaker")
    names = [f"listed-{index}" for index in range(3)]
    for name in names:
        client.create_training_job(**training(TrainingJobName=name))
    first = client.list_training_jobs(NameContains="listed", MaxResults=2)
    second = client.list_training_jobs(NameContains="listed", MaxResults=2, NextToken=first["NextToken"])
    found = [item["TrainingJobName"] for page in (first, second) for item in page["TrainingJobSummaries"]]
    assert found == names
    for name in names:
        ended(cloud, "Training", name)
    completed = client.list_training_jobs(NameContains="listed", StatusEquals="Completed")
    assert len(completed["TrainingJobSummaries"]) == 3
