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
    size: int = 1,
) -> dict[str, Any]:
    planned: dict[str, Any] = function.plan(
        {"run_id": run_id, "started_at": STARTED, "input": given},
        champion=champion,
        sizes={name: size if name in sources else None for name in function.SOURCES},
        lake="lake",
        models="models",
    )
    return planned


def arguments(as_of: int, *, engine: str = "vectorised", vectors: str = "as_served") -> list[str]:
    return ["dataset", "--as-of", str(as_of), "--engine", engine, "--vectors", vectors]


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
    assert planned["dataset_arguments"] == arguments(STARTED_MS)


def test_options_are_passed_to_the_dataset_step(function: ModuleType) -> None:
    given = {
        "as_of": 1_700_000_000_000,
        "reason": "drift",
        "maturity": "3d",
        "validation_share": 0.1,
        "evaluation_share": 0.25,
    }
    options = ["--maturity", "3d", "--validation-share", "0.1", "--evaluation-share", "0.25"]
    assert plan(function, given=given)["dataset_arguments"] == [*arguments(1_700_000_000_000), *options]


def test_vectors_are_those_served_unless_told_otherwise(function: ModuleType) -> None:
    chosen = plan(function, given={"vectors": "as_corrected"})["dataset_arguments"]
    assert chosen == arguments(STARTED_MS, vectors="as_corrected")


@pytest.mark.parametrize(
    ("engine", "size", "chosen"),
    [
        ("auto", 300_000_000, "vectorised"),
        ("auto", 300_000_001, "spark"),
        ("vectorised", 10**12, "vectorised"),
        ("spark", 0, "spark"),
    ],
)
def test_spark_takes_what_is_past_one_machine(function: ModuleType, engine: str, size: int, chosen: str) -> None:
    planned = plan(function, given={"engine": engine}, size=size)
    assert planned["engine"] == chosen
    assert planned["dataset_arguments"] == arguments(STARTED_MS, engine=chosen)
    assert (planned["dataset_machines"]["count"] > 1) == (chosen == "spark")


def test_the_size_is_that_of_all_parts(function: ModuleType) -> None:
    planned = plan(function, sources=("history", "decisions", "labels"), size=100_000_001)
    assert planned["engine"] == "spark"


def test_one_machine_has_no_network_and_several_speak_among_themselves(function: ModuleType) -> None:
    assert plan(function)["dataset_machines"] == {
        **{"count": 1, "type": "ml.m5.xlarge", "volume_gb": 30},
        **{"isolated": True, "encrypted": False},
    }
    assert plan(function, given={"engine": "spark"})["dataset_machines"] == {
        **{"count": 2, "type": "ml.m5.4xlarge", "volume_gb": 200},
        **{"isolated": False, "encrypted": True},
    }


def test_machines_grow_with_the_lake_up_to_a_bound(function: ModuleType) -> None:
    sizes = [10**9, 2_500_000_000, 5 * 10**9, 10**12]
    assert [plan(function, size=size)["dataset_machines"]["count"] for size in sizes] == [2, 3, 5, 8]


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
        ({"engine": "pandas"}, "engine"),
        ({"vectors": "as_wished"}, "vectors"),
    ],
)
def test_an_unknown_or_impossible_option_is_refused_by_name(
    function: ModuleType, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        plan(function, given=given)
    assert "it may hold as_of, reason, maturity, validation_share, evaluation_share, engine, vectors" in str(
        refused.value
    )


@pytest.mark.parametrize("sources", [(), ("labels",), ("labels", "outcomes")])
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
    client.put_object(Bucket="lake", Key="outcomes/day=2026-01-01/part-0.parquet", Body=b"x")
    planned = function.handler(event, Context())
    assert inputs(planned["dataset_inputs"]) == {
        "decisions": "s3://lake/decisions/",
        "outcomes": "s3://lake/outcomes/",
    }
    assert planned["champion"] == "run-0"
    assert planned["engine"] == "vectorised"


def test_the_function_adds_up_what_lies_under_a_prefix(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION})
    for name in ("history/a.parquet", "history/b.parquet", "decisions/c.parquet"):
        client.put_object(Bucket="lake", Key=name, Body=b"12345")
    event = {"run_id": "run-1", "started_at": STARTED, "input": {}}
    chosen = []
    for bound in (14, 15):
        monkeypatch.setattr(function, "SPARK_FROM_BYTES", bound)
        chosen.append(function.handler(event, Context())["engine"])
    assert chosen == ["spark", "vectorised"]
