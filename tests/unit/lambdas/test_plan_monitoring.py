"""The plan of a look at the lake: inputs that exist, the deployment's bounds, and what the job reads of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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


@pytest.fixture
def daily(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Of a platform whose events have no times of their own, so that days of delivery can be told."""
    monkeypatch.setattr(function, "settings", replace(function.settings, replay_time=False))
    return function


def listed(source: str, run_id: str = "daily-1") -> list[Any]:
    """The manifest of an input."""
    key = f"monitoring/{run_id}/inputs/{source}.manifest"
    found: list[Any] = json.loads(boto3.client("s3").get_object(Bucket="models", Key=key)["Body"].read())
    return found


def put(bucket: str, key: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")


def inputs(state: dict[str, Any]) -> dict[str, str]:
    for each in state["inputs"]:
        listed_ones = each["S3Input"]["S3Uri"].endswith(".manifest")
        assert each["S3Input"]["S3DataType"] == ("ManifestFile" if listed_ones else "S3Prefix")
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
        "decisions": f"{place}inputs/decisions.manifest",
        "labels": f"{place}inputs/labels.manifest",
        "champion": "s3://models/bundles/run-0/",
        "evaluation": "s3://models/runs/run-0/evaluation/",
    }
    assert listed("decisions", state["run_id"]) == [{"prefix": "s3://lake/decisions/"}, "day=2026-01-01/a.parquet"]
    stored = boto3.client("s3").get_object(Bucket="models", Key=f"monitoring/{state['run_id']}/plan/plan.json")
    folder = tmp_path / "processing" / "input" / "plan"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes(stored["Body"].read())
    plan = read_monitoring_plan(Contract(tmp_path))
    assert (plan.run_id, plan.as_of, plan.champion) == (state["run_id"], 1_767_261_600_123, "run-0")
    assert plan.monitoring.minimum_decisions == 7
    assert (plan.since, state["look_only"]) == (0, False)


def test_only_the_days_that_a_report_needs_are_read(daily: ModuleType) -> None:
    now = datetime(2026, 1, 1, 10, tzinfo=UTC)
    # Seven days, what the features of their first payment look back on, and one more: 99 days.
    first = (now - timedelta(days=99)).date()
    days = [first - timedelta(days=1), first, now.date(), now.date() + timedelta(days=3)]
    for source in ("decisions", "outcomes"):
        for day in days:
            put("lake", f"{source}/day={day}/a.parquet")
    put("lake", "decisions/outside.parquet")
    state = daily.handler(EVENT, Context())
    kept = [f"day={day}/a.parquet" for day in days[1:3]]
    assert listed("decisions", state["run_id"])[1:] == listed("outcomes", state["run_id"])[1:] == kept
    assert kept_plan(state)["snapshot"]["decisions"]["objects"] == 2
    since = datetime.fromtimestamp(kept_plan(state)["since"] / 1_000, UTC)
    assert since.date() == first
    # A longer look reads more, and labels that mature later too.
    longer = daily.handler(EVENT | {"monitor": "m", "input": {"days": 8}}, Context())
    assert listed("decisions", longer["run_id"])[1:] == [f"day={day}/a.parquet" for day in days[:3]]
    policy = msgspec.structs.replace(
        daily.own_policy, data=msgspec.structs.replace(daily.own_policy.data, maturity_days=120)
    )
    as_of = round(now.timestamp() * 1_000)
    assert daily.needed_since(as_of, policy, MonitoringPolicy()) == as_of - 150 * 86_400_000


def test_an_import_from_before_is_left_out_and_the_newest_label_is_not(daily: ModuleType) -> None:
    put("lake", "decisions/day=2026-01-01/a.parquet")
    put("lake", "history/import/transactions-00000.parquet")
    for day in ("2024-01-01", "2024-01-02"):
        put("lake", f"labels/day={day}/a.parquet")
    # moto's objects are of now, so the look has to come later.
    later = (datetime.now(UTC) + timedelta(days=200)).isoformat()
    old = daily.handler(EVENT | {"started_at": later}, Context())
    assert inputs(old).keys() == {"plan", "labels", "champion"}
    assert listed("labels", old["run_id"])[1:] == ["day=2024-01-02/a.parquet"]
    young = daily.handler(EVENT | {"monitor": "m"}, Context())
    assert listed("history", young["run_id"])[1:] == ["import/transactions-00000.parquet"]


def test_who_only_looks_says_so(function: ModuleType) -> None:
    put("lake", "decisions/a.parquet")
    assert function.handler(EVENT | {"input": {"look_only": True}}, Context())["look_only"] is True


def kept_plan(state: dict[str, Any]) -> dict[str, Any]:
    stored = boto3.client("s3").get_object(Bucket="models", Key=f"monitoring/{state['run_id']}/plan/plan.json")
    found: dict[str, Any] = json.loads(stored["Body"].read())
    return found


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
    assert kept_plan(state)["monitoring"]["days"] == 2


@pytest.mark.parametrize("given", [{"days": 0}, {"days": 400}, {"hours": 1}, {"reason": 7}])
def test_an_impossible_wish_is_refused_by_its_name(function: ModuleType, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"the execution's input: .*; it may hold days, reason, look_only"):
        function.handler(EVENT | {"input": given}, Context())


def test_a_large_lake_is_looked_at_by_several_machines(function: ModuleType) -> None:
    look = function.monitoring(
        EVENT,
        champion="run-0",
        evaluated=False,
        snapshots={"decisions": function.Part(objects=9, bytes=3 * 10**9, fingerprint="f")},
        since=0,
        own=function.own_policy,
        bounds=MonitoringPolicy(),
    )
    state = look.state(models="models")
    assert state["arguments"] == ["monitor", "--engine", "spark"]
    assert (state["machines"]["count"], state["machines"]["volume_gb"]) == (3, 206)
    assert state["machines"]["isolated"] is False
