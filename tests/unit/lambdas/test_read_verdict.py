"""A verdict is read from a report of a run, and from nothing else."""

from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest

from tests.unit.lambdas.support import REGION, Context

URI = "s3://models/runs/run-1/evaluation/evaluation.json"


@pytest.fixture
def function(load: Any) -> ModuleType:
    client = boto3.client("s3")
    for bucket in ("models", "other"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    module: ModuleType = load("read_verdict")
    return module


def write(content: bytes, key: str = "runs/run-1/evaluation/evaluation.json") -> None:
    boto3.client("s3").put_object(Bucket="models", Key=key, Body=content)


@pytest.mark.parametrize("passed", [True, False])
def test_a_report_is_answered_with_its_verdict_alone(function: ModuleType, passed: bool) -> None:
    verdict = {"passed": passed, "reason": "better by 0.1", "checks": [1, 2, 3]}
    write(msgspec.json.encode({"verdict": verdict, "rows": 10}))
    assert function.handler({"uri": URI}, Context()) == {
        **{"passed": passed, "reason": "better by 0.1"},
        "labels": True,
    }


def test_a_verdict_without_labels_is_told_as_one(function: ModuleType) -> None:
    write(msgspec.json.encode({"verdict": {"passed": True, "reason": "too few", "labels": False}}))
    assert function.handler({"uri": URI}, Context())["labels"] is False


def test_a_sentence_without_end_is_cut(function: ModuleType) -> None:
    write(msgspec.json.encode({"verdict": {"passed": True, "reason": "x" * 100_000}}))
    assert len(function.handler({"uri": URI}, Context())["reason"]) == 1_000


@pytest.mark.parametrize(
    "uri",
    [
        "s3://other/runs/run-1/evaluation/evaluation.json",
        "s3://models/bundles/run-1/manifest.json",
        "s3://models/runs/../bundles/run-1/manifest.json",
        "s3://models/runs/run-1/../../bundles/x.json",
        "s3://models/runs/evaluation.json",
        "s3://models/runs/run-1/model.tar.gz",
        "https://models/runs/run-1/evaluation.json",
        "",
    ],
)
def test_nothing_but_a_report_of_a_run_is_opened(function: ModuleType, uri: str) -> None:
    with pytest.raises(ValueError, match=r"^uri: a report lies under s3://models/runs/"):
        function.handler({"uri": uri}, Context())


@pytest.mark.parametrize(
    "content", [b"{}", b"", b'{"verdict": {"passed": "yes", "reason": ""}}', b'{"verdict": null}']
)
def test_a_report_without_a_verdict_is_told(function: ModuleType, content: bytes) -> None:
    write(content)
    with pytest.raises(ValueError, match="it holds no verdict"):
        function.handler({"uri": URI}, Context())
