"""What a report counts, and the one retraining that drift starts, however often and by whomever it is seen."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError

from fraud.monitoring import Figures, MonitoringPolicy
from fraud.monitoring_verdict import judge
from tests.turns import one_call_at_a_time
from tests.unit.lambdas.support import REGION, Context

DAY = 86_400_000
AS_OF = 1_780_000_000_000
DRIFTED = Figures(decisions=5_000, champion="run-1", score_index=0.6, approve=0.9, challenge=0.05)


@pytest.fixture
def function(load: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    boto3.client("s3").create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    machine = boto3.client("stepfunctions").create_state_machine(
        name="retrain",
        definition='{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": true}}}',
        roleArn="arn:aws:iam::123456789012:role/retrain",
    )
    monkeypatch.setenv("RETRAIN_STATE_MACHINE", machine["stateMachineArn"])
    module: ModuleType = load("watch_drift")
    return module


def report(
    figures: Figures = DRIFTED, *, run_id: str = "look-1", as_of: int = AS_OF, **policy: Any
) -> dict[str, str]:
    bounds = MonitoringPolicy(**policy)
    document = {
        "run_id": run_id,
        "as_of": as_of,
        "figures": figures,
        "verdict": judge(figures, bounds),
        "policy": bounds,
        "more": [1, 2],
    }
    key = f"monitoring/{run_id}/monitoring.json"
    boto3.client("s3").put_object(Bucket="models", Key=key, Body=msgspec.json.encode(document))
    return {"uri": f"s3://models/{key}"}


def executions(function: ModuleType) -> list[str]:
    machine = function.settings.retrain_state_machine
    listed = boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    return sorted(each["name"] for each in listed)


def stop(function: ModuleType) -> None:
    client = boto3.client("stepfunctions")
    for each in client.list_executions(stateMachineArn=function.settings.retrain_state_machine)["executions"]:
        client.stop_execution(executionArn=each["executionArn"])


def test_figures_become_metrics_and_those_without_an_alarm_only_if_known(
    function: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    function.handler(report(), Context())
    (line,) = [json.loads(each) for each in capsys.readouterr().out.splitlines() if '"_aws"' in each]
    told = {each["Name"]: each["Unit"] for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert told == {
        "MonitoredDecisions": "Count",
        "FailedFindings": "Count",
        "ScoreDrift": "None",
        "DriftedFeatures": "None",
        "MissingDrift": "None",
        "SkewedFeatures": "Count",
        "ApprovalRate": "None",
        "ChallengeRate": "None",
        "ExactlyOnceViolations": "Count",
        "LabelSilence": "Seconds",
    }
    assert (line["ScoreDrift"], line["FailedFindings"], line["LabelSilence"]) == ([0.6], [1.0], [0.0])


def test_who_only_looks_changes_nothing(function: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    answer = function.handler(report() | {"look_only": True}, Context())
    assert answer["passed"] is False
    assert (answer["retraining"], answer["told"]) == ("", "the daily look would start one; this one only looked")
    assert executions(function) == []
    assert "drift/00001.json" not in str(boto3.client("s3").list_objects_v2(Bucket="models"))
    assert "ScoreDrift" not in capsys.readouterr().out
    assert function.handler(report() | {"look_only": False}, Context())["retraining"] == "drift-00001"


def test_a_world_as_it_was_starts_nothing(function: ModuleType) -> None:
    answer = function.handler(report(Figures(decisions=5_000, score_index=0.0)), Context())
    assert answer["passed"] is True
    assert (answer["retraining"], answer["told"]) == ("", "nothing calls for a retraining")
    assert executions(function) == []


def test_drift_starts_a_retraining_that_says_why(function: ModuleType) -> None:
    answer = function.handler(report(), Context())
    assert answer["retraining"] == "drift-00001"
    client = boto3.client("stepfunctions")
    (found,) = client.list_executions(stateMachineArn=function.settings.retrain_state_machine)["executions"]
    given = json.loads(client.describe_execution(executionArn=found["executionArn"])["input"])
    # What plan_training takes, and nothing more.
    assert given.keys() == {"reason"}
    assert given["reason"].startswith("drift, see the report look-1: The champion's scores have an index of 0.600")
    assert len(given["reason"]) <= 500


def test_a_look_that_is_tried_again_starts_nothing_more(function: ModuleType) -> None:
    event = report()
    answers = [function.handler(event, Context()) for _ in range(3)]
    assert {each["retraining"] for each in answers} == {"drift-00001"}
    stop(function)
    assert function.handler(event, Context())["retraining"] == "drift-00001"
    assert executions(function) == ["drift-00001"]


def test_a_look_that_died_between_claim_and_start_makes_up_for_it(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = report()
    with monkeypatch.context() as patched:

        def die(*_: object, **__: object) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "StartExecution")

        patched.setattr(function.retrainings._states, "start_execution", die)
        with pytest.raises(ClientError, match="slow"):
            function.handler(event, Context())
    assert executions(function) == []
    assert function.handler(event, Context())["retraining"] == "drift-00001"
    assert executions(function) == ["drift-00001"]


def test_a_claim_that_never_began_is_begun_by_the_next_look(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, cause = function.retrainings.start, function.Cause(report="look-1", as_of=AS_OF, reason="drift")
    with monkeypatch.context() as patched:

        def die(*_: object, **__: object) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "StartExecution")

        patched.setattr(function.retrainings._states, "start_execution", die)
        with pytest.raises(ClientError, match="slow"):
            start(cause, cool_down_days=7, now=AS_OF)
    # Another one has begun meanwhile: it goes first.
    boto3.client("stepfunctions").start_execution(
        stateMachineArn=function.settings.retrain_state_machine, name="weekly", input="{}"
    )
    later = function.Cause(report="look-2", as_of=AS_OF + DAY, reason="more drift")
    assert start(later, cool_down_days=7, now=later.as_of) == ("", "the retraining weekly runs")
    stop(function)
    due = start(later, cool_down_days=7, now=later.as_of)
    assert due == ("drift-00001", "drift-00001 was due since the report look-1 and is started now")
    assert executions(function) == ["drift-00001", "weekly"]
    stop(function)
    assert start(later, cool_down_days=7, now=later.as_of)[0] == ""


def test_one_that_step_functions_has_forgotten_is_not_begun_again(function: ModuleType) -> None:
    claim = {
        **{"execution": "drift-00001", "at": AS_OF},
        "cause": function.Cause(report="look-1", as_of=AS_OF, reason="drift"),
    }
    boto3.client("s3").put_object(Bucket="models", Key="drift/00001.json", Body=msgspec.json.encode(claim))
    later = function.Cause(report="look-2", as_of=AS_OF + 81 * DAY, reason="drift")
    assert function.retrainings.start(later, cool_down_days=366, now=later.as_of)[0] == ""
    assert executions(function) == []


@pytest.mark.parametrize(
    ("ended", "second"),
    [
        ({"status": "FAILED"}, "drift-00002"),
        ({"status": "TIMED_OUT"}, "drift-00002"),
        # A person had a reason.
        ({"status": "ABORTED"}, ""),
        ({"status": "RUNNING"}, ""),
        ({"status": "SUCCEEDED", "output": '{"outcome": "stopped", "at": "gate"}'}, ""),
        ({"status": "SUCCEEDED", "output": '{"outcome": "stopped", "at": "plan"}'}, "drift-00002"),
    ],
)
def test_one_that_came_to_nothing_does_not_keep_the_next_from_starting(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch, ended: dict[str, str], second: str
) -> None:
    start = function.retrainings.start
    first = function.Cause(report="look-2", as_of=AS_OF, reason="drift")
    assert start(first, cool_down_days=7, now=AS_OF)[0] == "drift-00001"
    stop(function)
    monkeypatch.setattr(function.retrainings._states, "describe_execution", lambda **_: ended)
    older = function.Cause(report="look-1", as_of=AS_OF - 1, reason="drift")
    assert start(older, cool_down_days=7, now=AS_OF + DAY)[0] == ""
    later = function.Cause(report="look-3", as_of=AS_OF + DAY, reason="drift")
    assert start(later, cool_down_days=7, now=later.as_of)[0] == second


def test_a_retraining_that_runs_is_waited_for_whoever_started_it(function: ModuleType) -> None:
    boto3.client("stepfunctions").start_execution(
        stateMachineArn=function.settings.retrain_state_machine, name="weekly", input="{}"
    )
    answer = function.handler(report(), Context())
    assert (answer["retraining"], answer["told"]) == ("", "the retraining weekly runs")
    stop(function)
    # Nothing was claimed meanwhile: the next look starts one.
    assert function.handler(report(run_id="look-2"), Context())["retraining"] == "drift-00001"


@pytest.mark.parametrize(("days", "second"), [(6.9, ""), (7.1, "drift-00002")])
def test_after_one_that_drift_started_there_is_a_pause(function: ModuleType, days: float, second: str) -> None:
    start = function.retrainings.start
    first = function.Cause(report="look-1", as_of=AS_OF, reason="drift")
    assert start(first, cool_down_days=7, now=AS_OF)[0] == "drift-00001"
    stop(function)
    later = function.Cause(report="look-2", as_of=AS_OF + round(days * DAY), reason="drift")
    name, told = start(later, cool_down_days=7, now=later.as_of)
    assert name == second
    assert ("less than 7 days before" in told) == (not second)


def test_an_old_report_does_not_start_one_again(function: ModuleType) -> None:
    start = function.retrainings.start
    start(function.Cause(report="look-2", as_of=AS_OF, reason="drift"), cool_down_days=0.01, now=AS_OF)
    stop(function)
    old = function.Cause(report="look-1", as_of=AS_OF - DAY, reason="drift")
    assert start(old, cool_down_days=0.01, now=AS_OF + 5 * DAY)[0] == ""


def test_of_two_looks_at_the_same_moment_one_starts_a_retraining(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_call_at_a_time(function.retrainings._s3)
    # Both have seen that nothing runs and nothing was claimed before either goes on.
    meet = threading.Barrier(4, timeout=60)
    running = function.retrainings._running

    def together() -> str:
        found: str = running()
        meet.wait()
        return found

    monkeypatch.setattr(function.retrainings, "_running", together)

    def look(number: int) -> tuple[str, str]:
        cause = function.Cause(report=f"look-{number}", as_of=AS_OF + number, reason="drift")
        answer: tuple[str, str] = function.retrainings.start(cause, cool_down_days=7, now=AS_OF)
        return answer

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(look, range(4)))
    assert sorted(name for name, _ in answers) == ["", "", "", "drift-00001"]
    assert {told for name, told in answers if not name} == {"another look started one at the same moment"}
    assert executions(function) == ["drift-00001"]


@pytest.mark.parametrize(
    "uri",
    [
        "s3://other/monitoring/look-1/monitoring.json",
        "s3://models/monitoring/look-1/plan/plan.json",
        "s3://models/runs/look-1/monitoring.json",
        "s3://models/monitoring/monitoring.json",
        "",
    ],
)
def test_only_a_report_is_read(function: ModuleType, uri: str) -> None:
    with pytest.raises(ValueError, match=r"^uri: a report is s3://models/monitoring/ID/monitoring.json"):
        function.handler({"uri": uri}, Context())


def test_what_is_no_report_is_told(function: ModuleType, logged: io.StringIO) -> None:
    del logged
    boto3.client("s3").put_object(Bucket="models", Key="monitoring/x/monitoring.json", Body=b"{}")
    with pytest.raises(ValueError, match="it is no report"):
        function.handler({"uri": "s3://models/monitoring/x/monitoring.json"}, Context())
