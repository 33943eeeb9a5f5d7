"""The plan of a look at the lake: inputs that exist, the deployment's bounds, and what the job reads of it."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest

from fraud.monitoring import MonitoringPolicy
from fraud.serving import Serving
from runtime import clients
from tests.unit.lambdas.support import POLICY, REGION, AppConfigData, Context
from training.contract import Contract
from training.monitoring_plan import read_monitoring_plan

EVENT = {"monitor": "daily_1", "started_at": "2026-01-01T10:00:00.123Z", "input": {"reason": "the daily schedule"}}


@pytest.fixture
def function(load: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    config = AppConfigData(Serving(policy=POLICY, champion="run-0"))
    monkeypatch.setattr(clients, "appconfigdata", lambda: config)
    monkeypatch.setenv("MONITORING_POLICY", msgspec.json.encode(MonitoringPolicy(minimum_decisions=7)).decode())
    for bucket in ("lake", "models"):
        boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    module: ModuleType = load("plan_training")
    return module


def put(bucket: str, key: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")


def inputs(state: dict[str, Any]) -> dict[str, str]:
    return {each["InputName"]: each["S3Input"]["S3Uri"] for each in state["inputs"]}


def test_a_look_reads_what_there_is(function: ModuleType, tmp_path: Path) -> None:
    put("lake", "decisions/day=2026-01-01/a.parquet")
    put("lake", "labels/day=2026-01-01/a.parquet")
    put("models", "runs/run-0/evaluation/evaluation.json")
    state = function.handler(EVENT, Context())
    place = f"s3://models/monitoring/{state['run_id']}/"
    assert state["looks"] is True
    assert state["place"] == place
    assert state["arguments"] == ["monitor", "--engine", "vectorised"]
    assert inputs(state) == {
        "plan": f"{place}plan/",
        "decisions": "s3://lake/decisions/",
        "labels": "s3://lake/labels/",
        "champion": "s3://models/bundles/run-0/",
        "evaluation": "s3://models/runs/run-0/evaluation/",
    }
    stored = boto3.client("s3").get_object(Bucket="models", Key=f"monitoring/{state['run_id']}/plan/plan.json")
    folder = tmp_path / "processing" / "input" / "plan"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes(stored["Body"].read())
    plan = read_monitoring_plan(Contract(tmp_path))
    assert (plan.run_id, plan.as_of, plan.champion) == (state["run_id"], 1_767_261_600_123, "run-0")
    assert plan.monitoring.minimum_decisions == 7


def test_planned_again_it_is_the_same_look(function: ModuleType) -> None:
    put("lake", "decisions/a.parquet")
    assert function.handler(EVENT, Context()) == function.handler(EVENT, Context())


def test_without_an_evaluation_and_without_a_champion_neither_is_read(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("lake", "decisions/a.parquet")
    assert inputs(function.handler(EVENT, Context())).keys() == {"plan", "decisions", "champion"}
    monkeypatch.setattr(function, "appconfigdata", AppConfigData(Serving(policy=POLICY)))
    assert inputs(function.handler(EVENT, Context())).keys() == {"plan", "decisions"}


def test_before_the_first_decision_there_is_nothing_to_look_at(function: ModuleType) -> None:
    put("lake", "history/import/a.parquet")
    assert function.handler(EVENT, Context())["looks"] is False


def test_a_person_may_ask_for_other_days(function: ModuleType) -> None:
    put("lake", "decisions/a.parquet")
    state = function.handler(EVENT | {"input": {"days": 2}}, Context())
    stored = boto3.client("s3").get_object(Bucket="models", Key=f"monitoring/{state['run_id']}/plan/plan.json")
    assert json.loads(stored["Body"].read())["monitoring"]["days"] == 2


@pytest.mark.parametrize("given", [{"days": 0}, {"days": 400}, {"hours": 1}, {"reason": 7}])
def test_an_impossible_wish_is_refused_by_its_name(function: ModuleType, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"the execution's input: .*; it may hold days and reason"):
        function.handler(EVENT | {"input": given}, Context())


def test_a_large_lake_is_looked_at_by_several_machines(function: ModuleType) -> None:
    look = function.monitoring(
        EVENT,
        champion="run-0",
        evaluated=False,
        snapshots={"decisions": function.Part(objects=9, bytes=3 * 10**9, fingerprint="f")},
        own=function.own_policy,
        bounds=MonitoringPolicy(),
    )
    state = look.state(lake="lake", models="models")
    assert state["arguments"] == ["monitor", "--engine", "spark"]
    assert state["machines"]["count"] == 3
    assert state["machines"]["isolated"] is False
