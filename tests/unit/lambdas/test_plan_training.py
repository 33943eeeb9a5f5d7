"""The plan of a training run: names that SageMaker takes, and inputs that exist."""

import re
from types import ModuleType
from typing import Any

import boto3
import pytest

from fraud.serving import Serving
from runtime import clients
from tests.unit.lambdas.support import POLICY, REGION, AppConfigData, Context

STARTED = "2026-01-01T10:00:00.123Z"
STARTED_MS = 1_767_261_600_123
# What CreateProcessingJob and CreateTrainingJob take as a name.
JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


@pytest.fixture
def function(load: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    config = AppConfigData(Serving(policy=POLICY, champion="run-0"))
    monkeypatch.setattr(clients, "appconfigdata", lambda: config)
    module: ModuleType = load("plan_training")
    return module


def plan(
    function: ModuleType,
    *,
    run_id: str = "run-1",
    given: dict[str, Any] | None = None,
    champion: str = "",
    sources: tuple[str, ...] = ("history",),
) -> dict[str, Any]:
    planned: dict[str, Any] = function.plan(
        {"run_id": run_id, "started_at": STARTED, "input": given},
        champion=champion,
        sources=list(sources),
        lake="lake",
        models="models",
    )
    return planned


def inputs(planned: list[dict[str, Any]]) -> dict[str, str]:
    for one in planned:
        assert one["S3Input"]["LocalPath"] == f"/opt/ml/processing/input/{one['InputName']}"
    return {one["InputName"]: one["S3Input"]["S3Uri"] for one in planned}


@pytest.mark.parametrize(
    "name",
    [
        "8f14e45f-ceea-467f-a8d1-7e7f4b6c1c1a",
        "8f14e45f-ceea-467f-a8d1-7e7f4b6c1c1a_0d6f0c3e-1a2b-4c5d-8e9f-001122334455",  # as a schedule names them
        "a" * 80,
        "retrain_2026.01.01",
        "-edge-",
        "a" * 30 + "-" * 30,
        "\u518d\u8bad\u7ec3",
        "___",
        "x",
    ],
)
def test_every_name_of_a_run_is_one_that_sagemaker_takes(function: ModuleType, name: str) -> None:
    planned = plan(function, run_id=name)
    assert len(planned["run_id"]) <= 40
    for job in (planned["run_id"], *planned["jobs"].values()):
        assert JOB_NAME.fullmatch(job), job
        assert len(job) <= 63
    assert plan(function, run_id=name) == planned


def test_a_name_that_fits_is_kept_and_others_stay_apart(function: ModuleType) -> None:
    assert plan(function, run_id="run-1")["run_id"] == "run-1"
    assert plan(function, run_id="a" * 40)["run_id"] == "a" * 40
    alike = ["a_b", "a.b", "a b", "a-b", "a" * 41, "a" * 42, "_", "__"]
    assert len({plan(function, run_id=name)["run_id"] for name in alike}) == len(alike)


def test_a_run_knows_the_world_as_of_its_start(function: ModuleType) -> None:
    planned = plan(function)
    assert planned["as_of"] == str(STARTED_MS)
    assert planned["dataset_arguments"] == ["dataset", "--as-of", str(STARTED_MS)]


def test_options_are_passed_to_the_dataset_step(function: ModuleType) -> None:
    given = {
        "as_of": 1_700_000_000_000,
        "reason": "drift",
        "maturity": "3d",
        "validation_share": 0.1,
        "evaluation_share": 0.25,
    }
    options = ["--maturity", "3d", "--validation-share", "0.1", "--evaluation-share", "0.25"]
    assert plan(function, given=given)["dataset_arguments"] == ["dataset", "--as-of", "1700000000000", *options]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"asof": 1}, "asof"),
        ({"maturity": "three days"}, "maturity"),
        ({"maturity": "3d; rm"}, "maturity"),
        ({"as_of": 0}, "as_of"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"validation_share": 0.5}, "validation_share"),
        ({"evaluation_share": 0}, "evaluation_share"),
    ],
)
def test_an_unknown_or_impossible_option_is_refused_by_name(
    function: ModuleType, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        plan(function, given=given)
    assert "it may hold as_of, reason, maturity, validation_share, evaluation_share" in str(refused.value)


@pytest.mark.parametrize("sources", [(), ("labels",)])
def test_a_lake_without_transactions_is_told_with_a_remedy(function: ModuleType, sources: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="the lake holds no transactions: import history"):
        plan(function, sources=sources)


def test_places_are_where_the_workflow_looks(function: ModuleType) -> None:
    planned = plan(function, champion="run-0", sources=("history", "labels"))
    assert planned["jobs"] == {"dataset": "run-1-dataset", "train": "run-1-train", "evaluate": "run-1-evaluate"}
    assert inputs(planned["dataset_inputs"]) == {"history": "s3://lake/history/", "labels": "s3://lake/labels/"}
    artifact = "s3://models/runs/run-1/model/run-1-train/output/model.tar.gz"
    assert planned["artifact_uri"] == artifact
    assert inputs(planned["evaluation_inputs"]) == {
        "dataset": "s3://models/runs/run-1/dataset/",
        "model": artifact,
        "champion": "s3://models/bundles/run-0/",
    }


def test_without_a_champion_there_is_nothing_to_compare_with(function: ModuleType) -> None:
    planned = plan(function)
    assert planned["champion"] == ""
    assert "champion" not in inputs(planned["evaluation_inputs"])


def test_the_function_plans_with_what_the_lake_holds(function: ModuleType) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION})
    event = {"run_id": "run-1", "started_at": STARTED, "input": {}}
    with pytest.raises(ValueError, match="no transactions"):
        function.handler(event, Context())
    client.put_object(Bucket="lake", Key="decisions/2026/part-0.parquet", Body=b"x")
    client.put_object(Bucket="lake", Key="labels-of-another-kind/part-0.parquet", Body=b"x")
    planned = function.handler(event, Context())
    assert inputs(planned["dataset_inputs"]) == {"decisions": "s3://lake/decisions/"}
    assert planned["champion"] == "run-0"
