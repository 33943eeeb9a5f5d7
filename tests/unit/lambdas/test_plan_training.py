"""The plan of a training run: names that SageMaker takes, inputs that exist, and what the run holds to."""

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest

from fraud.release import DataPolicy, ReleasePolicy, RunPolicy
from fraud.serving import Serving
from runtime import clients
from tests.unit.lambdas.support import POLICY, REGION, AppConfigData, Context
from training.contract import Contract
from training.plan import read_plan

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
    own: RunPolicy | None = None,
    loose: bool = True,
) -> dict[str, Any]:
    """The state that follows from a plan."""
    part = function.Part(objects=1, bytes=size, fingerprint="f")
    planned = function.plan(
        {"run_id": run_id, "started_at": STARTED, "input": given},
        champion=champion,
        snapshots={name: part if name in sources else None for name in function.SOURCES},
        own=own or RunPolicy(),
        payment_policy=POLICY,
        loose=loose,
    )
    state: dict[str, Any] = function.state_of(planned, lake="lake", models="models")
    return state


def arguments(as_of: int, *, engine: str = "vectorised", vectors: str = "as_served") -> list[str]:
    return ["dataset", "--as-of", str(as_of), "--engine", engine, "--vectors", vectors]


def inputs(planned: list[dict[str, Any]]) -> dict[str, str]:
    for one in planned:
        assert one["S3Input"]["LocalPath"] == f"/opt/ml/processing/input/{one['InputName']}"
        assert one["S3Input"]["S3DataType"] == "S3Prefix"
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
    # Named after the run, the longest step, and more re-drives than anyone has patience for.
    job = f"{planned['run_id']}-evaluate-r999"
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
    assert planned["dataset"]["arguments"] == arguments(STARTED_MS)


def test_options_are_passed_to_the_dataset_step(function: ModuleType) -> None:
    given = {
        "as_of": 1_700_000_000_000,
        "reason": "drift",
        "maturity": "3d",
        "validation_share": 0.1,
        "evaluation_share": 0.25,
    }
    options = ["--validation-share", "0.1", "--evaluation-share", "0.25"]
    assert plan(function, given=given)["dataset"]["arguments"] == [*arguments(1_700_000_000_000), *options]


def test_vectors_are_those_served_unless_told_otherwise(function: ModuleType) -> None:
    chosen = plan(function, given={"vectors": "as_corrected"})["dataset"]["arguments"]
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
    assert planned["dataset"]["arguments"] == arguments(STARTED_MS, engine=chosen)
    assert (planned["dataset"]["machines"]["count"] > 1) == (chosen == "spark")


def test_the_size_is_that_of_all_parts(function: ModuleType) -> None:
    planned = plan(function, sources=("history", "decisions", "labels"), size=100_000_001)
    assert planned["engine"] == "spark"


def test_one_machine_has_no_network_and_several_speak_among_themselves(function: ModuleType) -> None:
    assert plan(function)["dataset"]["machines"] == {
        **{"count": 1, "type": "ml.m5.xlarge", "volume_gb": 30},
        **{"isolated": True, "encrypted": False},
    }
    assert plan(function, given={"engine": "spark"})["dataset"]["machines"] == {
        **{"count": 2, "type": "ml.m5.4xlarge", "volume_gb": 200},
        **{"isolated": False, "encrypted": True},
    }


def test_machines_grow_with_the_lake_up_to_a_bound(function: ModuleType) -> None:
    sizes = [10**9, 2_500_000_000, 5 * 10**9, 10**12]
    assert [plan(function, size=size)["dataset"]["machines"]["count"] for size in sizes] == [2, 3, 5, 8]
    # Each of them gets all of the lake on its disk.
    volumes = [plan(function, size=size)["dataset"]["machines"]["volume_gb"] for size in (*sizes, 10**13)]
    assert volumes == [202, 205, 210, 2_200, 16_384]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"asof": 1}, "asof"),
        ({"maturity": "three days"}, "maturity"),
        ({"maturity": "3d; rm"}, "maturity"),
        ({"maturity": "0d"}, "maturity"),
        ({"as_of": 0}, "as_of"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"validation_share": 0.5}, "validation_share"),
        ({"evaluation_share": 0}, "evaluation_share"),
        ({"engine": "pandas"}, "engine"),
        ({"vectors": "as_wished"}, "vectors"),
        ({"instances": 0}, "instances"),
        ({"instances": 17}, "instances"),
        ({"instance_type": "m5.large"}, "instance_type"),
        ({"instance_type": "ml.m5d.large"}, "instance_type"),
        ({"spot": "yes"}, "spot"),
        ({"parameters": {"max_depth": None}}, "parameters"),
    ],
)
def test_an_unknown_or_impossible_option_is_refused_by_name(
    function: ModuleType, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        plan(function, given=given)
    assert (
        "it may hold as_of, reason, maturity, validation_share, evaluation_share, engine, vectors, policy"
        in str(refused.value)
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"parameters": {"depth": 3}}, "'depth' is unknown"),
        ({"parameters": {"max_depth": 99}}, "'max_depth' is 99; it must be between 1 and 16"),
        ({"parameters": {"max_depth": "deep"}}, "'max_depth' is 'deep'; it must be a whole number"),
        ({"parameters": {"run_id": "x"}}, "parameters.run_id: the run itself says it"),
        ({"policy": {"gates": {}}}, "policy: .*gates"),
        ({"policy": {"gate": {"minimum_confidence": 2}}}, r"policy: .*`\$.gate.minimum_confidence`"),
        ({"policy": {"release": {"shadow_hours": 0}}}, "policy.release.shadow_hours"),
        (
            {"policy": {"release": {"poll_seconds": 1}}},
            "policy.release.poll_seconds: .* every 139 s or less often",
        ),
    ],
)
def test_what_no_step_could_use_is_refused_before_any_machine_starts(
    function: ModuleType, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        plan(function, given=given)


@pytest.mark.parametrize("sources", [(), ("labels",), ("labels", "outcomes")])
def test_a_lake_without_transactions_is_told_with_a_remedy(function: ModuleType, sources: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="the lake holds no transactions: import history"):
        plan(function, sources=sources)


def test_places_are_where_the_workflow_looks(function: ModuleType) -> None:
    planned = plan(function, champion="run-0", sources=("history", "labels"))
    assert inputs(planned["dataset"]["inputs"]) == {
        "plan": "s3://models/runs/run-1/plan/",
        "history": "s3://lake/history/",
        "labels": "s3://lake/labels/",
        "champion": "s3://models/bundles/run-0/",
    }
    assert planned["places"] == {
        **{
            name: f"s3://models/runs/run-1/{name}/"
            for name in ("plan", "parameters", "dataset", "checkpoints", "evaluation", "comparison")
        },
        "model": "s3://models/runs/run-1/model",
        "champion": "s3://models/bundles/run-0/",
    }


def test_without_a_champion_there_is_nothing_to_compare_with(function: ModuleType) -> None:
    planned = plan(function)
    assert planned["champion"] == ""
    assert "champion" not in planned["places"]
    assert "champion" not in inputs(planned["dataset"]["inputs"])
    assert planned["phases"] == dict.fromkeys(("tuning", "champion", "shadow", "canary", "probation"), False)
    assert planned["compared"] == ""


def test_the_phases_are_those_of_the_policy(function: ModuleType) -> None:
    everything = plan(function, champion="run-0", given={"policy": {"tuning": {"trials": 3}}})
    assert everything["phases"] == dict.fromkeys(("tuning", "champion", "shadow", "canary", "probation"), True)
    assert everything["compared"] == "s3://models/runs/run-1/comparison/"
    assert everything["approval_seconds"] == 72 * 3_600
    own = RunPolicy(release=ReleasePolicy(approval="person"))
    changed = {"policy": {"release": {"canary_share": 0, "approval_hours": 0.0001}}}
    less = plan(function, champion="run-0", given=changed, own=own)
    assert less["phases"] == {
        **{"tuning": False, "champion": True, "shadow": True},
        **{"canary": False, "probation": True},
    }
    assert less["release"]["approval"] == "person"
    assert less["approval_seconds"] == 1


def test_machines_of_the_training_are_those_asked_for(function: ModuleType) -> None:
    assert plan(function)["training"] == {
        **{"count": 1, "type": "ml.m5.xlarge", "volume_gb": 30, "spot": False},
        **{"stopping": {"MaxRuntimeInSeconds": 14_400}, "shared": "FullyReplicated", "encrypted": False},
    }
    several = plan(function, given={"instances": 4, "instance_type": "ml.c5.2xlarge", "spot": True})["training"]
    assert several == {
        **{"count": 4, "type": "ml.c5.2xlarge", "volume_gb": 30, "spot": True},
        "stopping": {"MaxRuntimeInSeconds": 14_400, "MaxWaitTimeInSeconds": 28_800},
        **{"shared": "ShardedByS3Key", "encrypted": True},
    }


@pytest.fixture
def lake(function: ModuleType) -> Any:
    del function  # it makes the account
    client = boto3.client("s3")
    for bucket in ("lake", "models"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


EVENT = {"run_id": "run-1", "started_at": STARTED, "input": {"parameters": {"max_depth": 4}}}


def stored(client: Any, key: str) -> Any:
    return msgspec.json.decode(client.get_object(Bucket="models", Key=f"runs/run-1/{key}")["Body"].read())


def test_the_function_plans_with_what_the_lake_holds(function: ModuleType, lake: Any) -> None:
    with pytest.raises(ValueError, match="no transactions"):
        function.handler(EVENT, Context())
    lake.put_object(Bucket="lake", Key="decisions/2026/part-0.parquet", Body=b"x")
    lake.put_object(Bucket="lake", Key="labels-of-another-kind/part-0.parquet", Body=b"x")
    lake.put_object(Bucket="lake", Key="outcomes/day=2026-01-01/part-0.parquet", Body=b"x")
    planned = function.handler(EVENT, Context())
    assert inputs(planned["dataset"]["inputs"]) == {
        "plan": "s3://models/runs/run-1/plan/",
        "decisions": "s3://lake/decisions/",
        "outcomes": "s3://lake/outcomes/",
        "champion": "s3://models/bundles/run-0/",
    }
    assert planned["champion"] == "run-0"
    assert planned["engine"] == "vectorised"


def test_of_two_retrainings_the_younger_one_ends_with_a_sentence_where_runs_are_held_to_their_policy(
    function: ModuleType, lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.put_object(Bucket="lake", Key="history/a.parquet", Body=b"1")
    client = boto3.client("stepfunctions")
    machine = client.create_state_machine(
        name="retrain",
        definition='{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": true}}}',
        roleArn="arn:aws:iam::123456789012:role/retrain",
    )["stateMachineArn"]
    runs = {}
    for name in ("done", "weekly", "drift-00001"):
        arn = client.start_execution(stateMachineArn=machine, name=name, input="{}")["executionArn"]
        runs[name] = client.describe_execution(executionArn=arn)["startDate"].isoformat()
        if name == "done":
            client.stop_execution(executionArn=arn)

    def plan_of(name: str) -> dict[str, Any]:
        state: dict[str, Any] = function.handler({"run_id": name, "started_at": runs[name]}, Context())
        return state

    tried = replace(function.settings, retrain_state_machine=machine, loose_runs=True)
    monkeypatch.setattr(function, "settings", tried)
    assert plan_of("drift-00001")["alone"] is True
    monkeypatch.setattr(function, "settings", replace(tried, loose_runs=False))
    assert plan_of("weekly")["alone"] is True
    assert plan_of("drift-00001") | {"verdict": {}} == {"run_id": "drift-00001", "alone": False, "verdict": {}}
    assert plan_of("drift-00001")["verdict"] == {
        "passed": False,
        "outcome": "stopped",
        "at": "plan",
        "reason": "The retraining weekly runs, and one at a time may; this one can be started when it is done.",
    }
    client.stop_execution(executionArn=f"{machine.replace(':stateMachine:', ':execution:')}:weekly")
    assert plan_of("drift-00001")["alone"] is True
    # Its own start, as its context has it, may be after the one that is listed.
    later = (datetime.fromisoformat(runs["drift-00001"]) + timedelta(milliseconds=1)).isoformat()
    assert function.older(client, machine, name="drift-00001", started_at=later) == ""


def test_the_plan_is_kept_for_every_step_to_read(function: ModuleType, lake: Any) -> None:
    lake.put_object(Bucket="lake", Key="history/a.parquet", Body=b"12345")
    lake.put_object(Bucket="lake", Key="history/b.parquet", Body=b"123")
    function.handler(EVENT, Context())
    assert stored(lake, "parameters/given.json") == {"max_depth": 4}
    kept = stored(lake, "plan/plan.json")
    history = kept["snapshot"].pop("history")
    assert (history["objects"], history["bytes"]) == (2, 8)
    assert re.fullmatch(r"[0-9a-f]{64}", history["fingerprint"])
    assert kept["snapshot"] == {}
    assert (kept["run_id"], kept["as_of"], kept["champion"]) == ("run-1", STARTED_MS, "run-0")
    assert kept["policy"] == msgspec.to_builtins(RunPolicy())


@pytest.mark.parametrize(
    ("given", "days"),
    [
        ({}, 30.0),
        ({"maturity": "3d"}, 3.0),
        ({"maturity": "12h", "policy": {"data": {"maturity_days": 9, "minimum_frauds": 4}}}, 0.5),
        ({"policy": {"data": {"maturity_days": 9}}}, 9.0),
    ],
)
def test_every_step_reads_the_maturity_in_the_plan(
    function: ModuleType, lake: Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], days: float
) -> None:
    lake.put_object(Bucket="lake", Key="history/a.parquet", Body=b"1")
    monkeypatch.setattr(function, "own_policy", RunPolicy(data=DataPolicy(maturity_days=30)))
    function.handler(EVENT | {"input": given}, Context())
    data = stored(lake, "plan/plan.json")["policy"]["data"]
    assert data["maturity_days"] == days
    assert data["minimum_frauds"] == given.get("policy", {}).get("data", {}).get("minimum_frauds", 10)


def test_the_steps_read_by_which_policy_payments_are_decided(
    function: ModuleType, lake: Any, tmp_path: Path
) -> None:
    lake.put_object(Bucket="lake", Key="history/a.parquet", Body=b"1")
    function.handler(EVENT, Context())
    folder = tmp_path / "processing/input/plan"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(stored(lake, "plan/plan.json")))
    assert read_plan(Contract(tmp_path)).payment_policy == POLICY
    # A run is judged by the policy of its beginning, whatever people change meanwhile.
    function.appconfigdata.deploy(Serving(policy=msgspec.structs.replace(POLICY, version="p2"), champion="run-0"))
    function.handler(EVENT, Context())
    assert stored(lake, "plan/plan.json")["payment_policy"]["version"] == POLICY.version


def test_where_runs_are_held_to_it_the_deployments_policy_is_a_floor(
    function: ModuleType, lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.put_object(Bucket="lake", Key="history/a.parquet", Body=b"1")
    event = EVENT | {"input": {"policy": {"gate": {"minimum_gain": -1.0}}}}
    monkeypatch.setattr(function, "older", lambda *_, **__: "")
    monkeypatch.setattr(function, "settings", replace(function.settings, loose_runs=False))
    with pytest.raises(
        ValueError, match=r"policy.gate.minimum_gain: at least 0.002 here, where a run may tighten"
    ):
        function.handler(event, Context())
    monkeypatch.setattr(function, "settings", replace(function.settings, loose_runs=True))
    function.handler(event, Context())
    assert stored(lake, "plan/plan.json")["policy"]["gate"]["minimum_gain"] == -1.0


def test_a_run_cannot_know_what_comes_after_its_start(function: ModuleType) -> None:
    assert plan(function, given={"as_of": STARTED_MS}, loose=False)["as_of"] == str(STARTED_MS)
    # But for where history is replayed.
    assert plan(function, given={"as_of": STARTED_MS + 1})["as_of"] == str(STARTED_MS + 1)
    with pytest.raises(ValueError, match=r"^as_of: 1767261600124 is later than the run's start at 2026-01-01T10"):
        plan(function, given={"as_of": STARTED_MS + 1}, loose=False)


def test_a_plan_made_again_is_the_first_one_although_the_lake_has_grown(function: ModuleType, lake: Any) -> None:
    lake.put_object(Bucket="lake", Key="history/a.parquet", Body=b"1")
    first = function.handler(EVENT, Context())
    kept = stored(lake, "plan/plan.json")
    lake.put_object(Bucket="lake", Key="labels/a.parquet", Body=b"1")
    function.appconfigdata.deploy(Serving(policy=POLICY, champion="run-9"))
    assert function.handler(EVENT, Context()) == first
    assert stored(lake, "plan/plan.json") == kept


@pytest.mark.parametrize("change", [{"started_at": "2026-01-01T10:00:01Z"}, {"input": {"reason": "again"}}])
def test_another_plan_for_the_same_run_is_refused(function: ModuleType, lake: Any, change: dict[str, Any]) -> None:
    lake.put_object(Bucket="lake", Key="history/a.parquet", Body=b"1")
    function.handler(EVENT, Context())
    before = stored(lake, "parameters/given.json")
    with pytest.raises(ValueError, match=r"run-1 was planned at .* start an execution with another name"):
        function.handler(EVENT | change, Context())
    assert stored(lake, "parameters/given.json") == before


def test_a_fingerprint_tells_another_lake_of_the_same_size(function: ModuleType, lake: Any) -> None:
    snapshots = []
    for body in (b"1", b"2", b"1"):
        lake.put_object(Bucket="lake", Key="history/a.parquet", Body=body)
        snapshots.append(function.snapshot(lake, "lake", "history"))
    assert snapshots[0] == snapshots[2] != snapshots[1]


def test_a_comparison_has_what_became_known_meanwhile(function: ModuleType, lake: Any) -> None:
    lake.put_object(Bucket="lake", Key="decisions/a.parquet", Body=b"1")
    event = {
        **{"run_id": "run-1", "challenger": "run-1", "champion": "run-0"},
        **{"since": 1_767_000_000_000, "now": STARTED},
    }
    words = ["compare", "--challenger", "run-1", "--champion", "run-0"]
    for known in ((), ("labels",)):
        for source in known:
            lake.put_object(Bucket="lake", Key=f"{source}/a.parquet", Body=b"1")
        planned = function.handler(event, Context())
        assert planned["arguments"] == [*words, "--since", "1767000000000", "--as-of", str(STARTED_MS)]
        assert set(inputs(planned["inputs"])) == {"plan", "decisions", *known}
        assert planned["machines"]["count"] == 1


def test_the_disk_of_a_comparison_grows_with_the_lake(function: ModuleType) -> None:
    event = {"run_id": "run-1", "challenger": "run-1", "champion": "run-0", "since": 1, "now": STARTED}
    sizes = {}
    for size in (1, 10**9, 10**11):
        part = function.Part(objects=1, bytes=size, fingerprint="f")
        found = function.compare(event, {"decisions": part, "labels": None}, lake="lake", models="models")
        sizes[size] = found["machines"]["volume_gb"]
        assert set(inputs(found["inputs"])) == {"plan", "decisions"}
    assert sizes == {1: 31, 10**9: 32, 10**11: 230}
