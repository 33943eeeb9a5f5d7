"""One local cloud for all tests of this folder, with a tiny program in the place of the training image."""

import functools
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.localcloud import control
from tests.ports import free_port

IMAGE = "tiny-program:test"
PROGRAM = Path(__file__).with_name("tiny_program.py")
ROLE = "arn:aws:iam::000000000000:role/sagemaker-execution"


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "images.json"
    path.write_text(json.dumps({IMAGE: {"entrypoint": [sys.executable, str(PROGRAM)]}}))
    return path


@pytest.fixture(scope="session")
def port(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    number = free_port()
    control.up(number, images=images, state_dir=tmp_path_factory.mktemp("cloud"), stop_grace=2)
    yield number
    control.down(number)
    shutil.rmtree(control.state_directory(number))


def make_roles(session: boto3.Session) -> None:
    """The roles that the tests' functions and jobs act in: they work on one bucket, log, and look at alarms."""
    iam = session.client("iam")
    services = {
        "lambda": ("function", "events", "r"),
        "sagemaker": ("sagemaker-execution",),
        "states": ("states",),
    }
    for name, service in ((name, service) for service, names in services.items() for name in names):
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        allowed = {
            "s3:*": ["arn:aws:s3:::jobs", "arn:aws:s3:::jobs/*"],
            "logs:*": ["*"],
            "cloudwatch:DescribeAlarms": ["*"],
        }
        statements = [{"Effect": "Allow", "Action": action, "Resource": on} for action, on in allowed.items()]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document)


def let_send(session: boto3.Session, topic: str, queue: str) -> None:
    """Let a topic send to a queue, given by its address."""
    sqs = session.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    session.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


@pytest.fixture(scope="session")
def cloud(port: int) -> boto3.Session:
    session = control.session(port)
    make_roles(session)
    return session


@pytest.fixture(scope="session")
def bucket(cloud: boto3.Session) -> str:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="jobs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="jobs", Key="data/a.csv", Body=b"1,2\n")
    s3.put_object(Bucket="jobs", Key="data/deep/b.csv", Body=b"3\n")
    return "jobs"


def training_request(name: str, bucket: str, *, mode: str = "succeed", **changes: Any) -> dict[str, Any]:
    """A complete CreateTrainingJob request, with top-level fields of choice in the place of its own."""
    whole: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "validation:auc", "Regex": "auc=([0-9.]+)"}],
        },
        "HyperParameters": {"mode": mode},
        "InputDataConfig": [
            {
                "ChannelName": "dataset",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data/"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return whole | changes


def job_name(request: pytest.FixtureRequest) -> str:
    name: str = request.node.name
    return name.replace("_", "-").replace("[", "-").replace("]", "")[:50]


@pytest.fixture
def training(bucket: str, request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """Builds requests for a training job named after the test."""
    return functools.partial(training_request, job_name(request), bucket)


@pytest.fixture
def processing(bucket: str, request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """A complete CreateProcessingJob request."""
    name = job_name(request)

    def build(*arguments: str, **changes: Any) -> dict[str, Any]:
        whole: dict[str, Any] = {
            "ProcessingJobName": name,
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": ["process", *arguments]},
            "ProcessingInputs": [
                {
                    "InputName": "history",
                    "S3Input": {
                        "S3Uri": f"s3://{bucket}/data/",
                        "LocalPath": "/opt/ml/processing/input/history",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "dataset",
                        "S3Output": {
                            "S3Uri": f"s3://{bucket}/out/{name}",
                            "LocalPath": "/opt/ml/processing/output/dataset",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        return whole | changes

    return build


def zipped(source: str) -> bytes:
    """A function's code as a zip archive with one file, index.py."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", source)
    return buffer.getvalue()
