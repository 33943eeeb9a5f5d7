"""Requests are judged as SageMaker judges them."""

from typing import Any

import pytest

from ops.localcloud.errors import ServiceError
from ops.localcloud.validation import project, validate


def request(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "TrainingJobName": "run-1-train",
        "RoleArn": "arn:aws:iam::000000000000:role/training",
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return whole | changes


def refusal(**changes: Any) -> str:
    with pytest.raises(ServiceError) as refused:
        validate("CreateTrainingJob", request(**changes))
    assert refused.value.code == "ValidationException"
    return refused.value.message


def test_good_request_passes() -> None:
    validate("CreateTrainingJob", request(Tags=[{"Key": "team", "Value": "fraud ops"}]))


def test_unknown_field_is_refused_at_any_depth() -> None:
    assert "Unknown field 'Hyperparameters'" in refusal(Hyperparameters={})
    deep = {"S3OutputPath": "s3://bucket/x", "Compression": "NONE"}
    assert "Unknown field 'outputDataConfig.Compression'" in refusal(OutputDataConfig=deep)


def test_missing_field_is_refused_in_the_services_words() -> None:
    assert refusal(RoleArn=None) == (
        "1 validation error detected: Value 'null' at 'roleArn' failed to satisfy constraint: "
        "Member must not be null"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TrainingJobName": "run_1"}, "Member must satisfy regular expression pattern"),
        ({"TrainingJobName": "x" * 64}, "Member must have length less than or equal to 63"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "Member must have value greater than or equal to 1"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "Files"}},
            "Member must satisfy enum value set: [Pipe, File, FastFile]",
        ),
        ({"HyperParameters": {"depth": 6}}, "must be of type string, not int"),
        ({"EnableNetworkIsolation": 1}, "must be of type boolean, not int"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": True}}, "must be of type integer, not bool"),
        ({"InputDataConfig": [{"ChannelName": "a"}]}, "'inputDataConfig.1.member.dataSource'"),
    ],
)
def test_value_out_of_bounds_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(**changes)


def test_every_fault_is_named_at_once() -> None:
    message = refusal(RoleArn=None, Surprise=1)
    assert message.startswith("2 validation errors detected: ")


def test_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(ServiceError, match="must be of type structure, not list"):
        validate("CreateTrainingJob", [])


def test_projection_keeps_what_the_answer_may_hold() -> None:
    values: dict[str, Any] = {
        "TrainingJobArn": "arn",
        "TrainingJobName": "name",
        "Tags": [],
        "FailureReason": None,
    }
    assert project("DescribeTrainingJob", values) == {"TrainingJobName": "name", "TrainingJobArn": "arn"}


@pytest.mark.parametrize(
    ("description", "good"),
    [("better by 3 % (p < .05) – “checked”, naïve e\u0301", True), ("two\nlines", False), ("a\x00b", False)],
)
def test_patterns_by_unicode_category(description: str, good: bool) -> None:
    request = {"ModelPackageGroupName": "fraud", "ModelPackageDescription": description}
    if good:
        validate("CreateModelPackage", request)
    else:
        with pytest.raises(ServiceError, match="regular expression"):
            validate("CreateModelPackage", request)
