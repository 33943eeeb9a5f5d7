"""Training on several hosts, checkpoints, and spot instances that are taken away."""

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ops.localcloud import control
from tests.integration.localcloud.test_sagemaker_api import ended
from tests.waiting import until

pytestmark = pytest.mark.integration

Build = Callable[..., dict[str, Any]]


def on_hosts(request: dict[str, Any], count: int, distribution: str) -> dict[str, Any]:
    request["ResourceConfig"]["InstanceCount"] = count
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3DataDistributionType"] = distribution
    return request


def objects(cloud: boto3.Session, bucket: str, prefix: str) -> dict[str, bytes]:
    s3 = cloud.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return {key.removeprefix(prefix): s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def in_model(cloud: boto3.Session, bucket: str, job: str, name: str) -> str:
    archive = objects(cloud, bucket, f"models/{job}/output/")["model.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(name)
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize(
    ("distribution", "files"),
    [("ShardedByS3Key", [["a.csv"], ["b.csv"]]), ("FullyReplicated", [["a.csv", "b.csv"]] * 2)],
)
def test_two_hosts_share(
    cloud: boto3.Session, training: Build, bucket: str, distribution: str, files: list[list[str]]
) -> None:
    place = f"checkpoints/{distribution}/"
    request = training(mode="hosts", CheckpointConfig={"S3Uri": f"s3://{bucket}/{place}"})
    cloud.client("sagemaker").create_training_job(**on_hosts(request, 2, distribution))
    described = ended(cloud, "Training", request["TrainingJobName"])
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    left = objects(cloud, bucket, place)
    hosts = ["127.0.0.1", "127.0.0.2"]
    assert sorted(left) == [f"{host}.json" for host in hosts]
    told = [json.loads(left[f"{host}.json"]) for host in hosts]
    assert [each["hosts"] for each in told] == [hosts, hosts]
    assert [each["files"] for each in told] == files
    assert in_model(cloud, bucket, request["TrainingJobName"], "host") == "127.0.0.1"


def test_one_failing_host_ends_the_others(cloud: boto3.Session, training: Build) -> None:
    request = on_hosts(training(mode="one-host-fails"), 3, "FullyReplicated")
    cloud.client("sagemaker").create_training_job(**request)
    described = ended(cloud, "Training", request["TrainingJobName"])
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"] == "AlgorithmError: out of memory, exit code: 9 (host 127.0.0.2)"


def test_next_job_takes_up_a_checkpoint(cloud: boto3.Session, training: Build, bucket: str) -> None:
    sagemaker = cloud.client("sagemaker")
    checkpoints = {"S3Uri": f"s3://{bucket}/checkpoints/failed-one/"}
    first = training(
        CheckpointConfig=checkpoints, HyperParameters={"mode": "rounds", "rounds": "5", "fails_at": "3"}
    )
    sagemaker.create_training_job(**first)
    assert ended(cloud, "Training", first["TrainingJobName"])["TrainingJobStatus"] == "Failed"
    second = training(CheckpointConfig=checkpoints, HyperParameters={"mode": "rounds", "rounds": "5"})
    second["TrainingJobName"] = "after-a-failed-one"
    sagemaker.create_training_job(**second)
    assert ended(cloud, "Training", "after-a-failed-one")["TrainingJobStatus"] == "Completed"
    assert in_model(cloud, bucket, "after-a-failed-one", "began") == "3"


def test_interrupted_training_goes_on(cloud: boto3.Session, port: int, training: Build, bucket: str) -> None:
    place = "checkpoints/interrupted/"
    request = training(
        CheckpointConfig={"S3Uri": f"s3://{bucket}/{place}"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        HyperParameters={"mode": "rounds", "rounds": "60"},
    )
    name = request["TrainingJobName"]
    cloud.client("sagemaker").create_training_job(**request)
    until(
        lambda: "round" in objects(cloud, bucket, place),
        pause=0.05,
        what="a checkpoint while the program runs",
    )
    control.interrupt(port, name)
    described = ended(cloud, "Training", name)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    passed = [item["Status"] for item in described["SecondaryStatusTransitions"]]
    assert passed == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert 0 < int(in_model(cloud, bucket, name, "began")) < 60


def test_only_spot_instances_are_taken_away(cloud: boto3.Session, port: int, training: Build) -> None:
    request = training()
    cloud.client("sagemaker").create_training_job(**request)
    with pytest.raises(ClientError, match="does not run on spot instances"):
        control.interrupt(port, request["TrainingJobName"])
    ended(cloud, "Training", request["TrainingJobName"])


@pytest.mark.parametrize(
    ("spot", "wait", "said"),
    [(True, None, "must be present"), (True, 59, "greater than or equal"), (False, 60, "only supported when")],
)
def test_waiting_time_and_spot(
    cloud: boto3.Session, training: Build, spot: bool, wait: int | None, said: str
) -> None:
    limits = {"MaxRuntimeInSeconds": 60} | ({"MaxWaitTimeInSeconds": wait} if wait else {})
    with pytest.raises(ClientError, match=said):
        cloud.client("sagemaker").create_training_job(
            **training(TrainingJobName="waits", EnableManagedSpotTraining=spot, StoppingCondition=limits)
        )
