"""Following a training run to its end, and telling in its own words how it failed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from ops.retraining import REPORTS, RetrainingError, Run, fetch_reports, follow, resume, retrain
from tests.unit.ops.clock import Clock, stopped

ARN = "arn:aws:states:eu-west-1:123456789012:execution:retrain:r1"
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVALUATION = {"run_id": "r1", "rows": 10, "candidate": {"auc": 0.9}}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped(monkeypatch)


class Body:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> bytes:
        return self.content


def error(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "any")


class Workflow:
    """Step Functions and S3 around one execution: it is RUNNING, or `stale`, for some looks, then it ends."""

    def __init__(self, ending: dict[str, Any], history: list[dict[str, Any]], *, looks: int = 2) -> None:
        self.ending = ending
        self.history = history
        self.looks = looks
        self.started: dict[str, Any] = {}
        self.stored = {"runs/r1/evaluation/evaluation.json": msgspec.json.encode(EVALUATION)}
        self.redriven: list[str] = []
        self.refusal: ClientError | None = None
        self.stale: dict[str, Any] | ClientError = {"status": "RUNNING"}
        self.port: int | None = 4566

    def __getitem__(self, name: str) -> str:
        machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:retrain"
        return {"RetrainStateMachine": machine, "ModelsBucket": "models"}[name]

    def redrive_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if self.refusal is not None:
            raise self.refusal
        self.redriven.append(executionArn)
        return {"redriveDate": START}

    def client(self, service: str) -> Any:
        assert service in ("stepfunctions", "s3")
        return self

    def start_execution(self, **asked: Any) -> dict[str, str]:
        self.started = asked
        return {"executionArn": ARN}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        assert executionArn == ARN
        self.looks -= 1
        if self.looks < 0:
            return self.ending
        if isinstance(self.stale, ClientError):
            raise self.stale
        return self.stale

    def get_paginator(self, operation: str) -> Any:
        assert operation == "get_execution_history"
        return self

    def paginate(
        self,
        *,
        executionArn: str,  # noqa: N803 - AWS's names
        PaginationConfig: dict[str, int],  # noqa: N803
    ) -> Iterator[dict[str, Any]]:
        assert (executionArn, PaginationConfig) == (ARN, {"PageSize": 1_000})
        # While it runs, only the first states have been entered; one event a page.
        known = self.history if self.looks < 0 else self.history[: 3 - self.looks]
        yield from ({"events": [event]} for event in known)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - AWS's names
        assert Bucket == "models"
        if Key not in self.stored:
            raise error("NoSuchKey")
        return {"Body": Body(self.stored[Key])}


def entered(name: str, second: int) -> dict[str, Any]:
    return {"timestamp": START + timedelta(seconds=second), "stateEnteredEventDetails": {"name": name}}


def exited(name: str, second: int) -> dict[str, Any]:
    return {"timestamp": START + timedelta(seconds=second), "stateExitedEventDetails": {"name": name}}


def failed(kind: str, **details: str) -> dict[str, Any]:
    return {"timestamp": START, f"{kind}FailedEventDetails": details}


HISTORY = [
    entered("PlanTraining", 0),
    exited("PlanTraining", 2),
    entered("BuildDataset", 2),
    exited("BuildDataset", 32),
]


def succeeded(outcome: str = "serves", at: str = "promotion") -> dict[str, Any]:
    output = {"run_id": "r1", "outcome": outcome, "at": at, "reason": "better than nothing"}
    return {"status": "SUCCEEDED", "output": msgspec.json.encode(output).decode()}


def run(workflow: Workflow, **more: Any) -> Run:
    deployment: Any = workflow
    return retrain(deployment, "r1", options={"as_of": 5}, **more)


@pytest.mark.parametrize(
    ("outcome", "at"),
    [("serves", "promotion"), ("stopped", "gate"), ("rejected", "approval"), ("rolled_back", "canary")],
)
def test_a_run_that_succeeds_brings_its_evaluation(outcome: str, at: str) -> None:
    workflow = Workflow(succeeded(outcome, at), HISTORY)
    states: list[str] = []
    done = run(workflow, entered=states.append)
    machine = workflow["RetrainStateMachine"]
    assert workflow.started == {"stateMachineArn": machine, "name": "r1", "input": '{"as_of":5}'}
    assert (done.version, done.outcome, done.at, done.reason) == ("r1", outcome, at, "better than nothing")
    assert done.promoted == (outcome == "serves")
    assert done.evaluation == EVALUATION
    assert done.states == (("PlanTraining", 2.0), ("BuildDataset", 30.0))
    assert states == ["PlanTraining", "BuildDataset"], "each state is told once"
    assert done.seconds == pytest.approx(1.0)


SAGEMAKER_JOB = msgspec.json.encode(
    {"ProcessingJobName": "r1-dataset", "ExitMessage": "The training part holds 0 frauds; import more history."}
).decode()
TRAINING_JOB = msgspec.json.encode({"TrainingJobName": "r1-train", "FailureReason": "AlgorithmError: no rows"})
LAMBDA_ERROR = msgspec.json.encode(
    {"errorMessage": "bundle r1: digest", "errorType": "CorruptBundleError"}
).decode()


@pytest.mark.parametrize(
    ("status", "details", "events", "words"),
    [
        (
            "FAILED",
            {"error": "RetrainFailed"},
            [failed("task", cause=SAGEMAKER_JOB)],
            ["RetrainFailed", "0 frauds"],
        ),
        ("FAILED", {}, [failed("task", error="States.TaskFailed", cause=TRAINING_JOB.decode())], ["no rows"]),
        ("FAILED", {"cause": LAMBDA_ERROR}, [failed("lambdaFunction", cause=LAMBDA_ERROR)], ["bundle r1: digest"]),
        ("TIMED_OUT", {}, [], ["TIMED_OUT", "no cause was given"]),
        ("ABORTED", {"cause": "stopped by hand"}, [], ["ABORTED", "stopped by hand"]),
        ("FAILED", {"cause": "[1, 2]"}, [], ["[1, 2]"]),
        ("FAILED", {"cause": '{"unknown": "shape"}'}, [], ["unknown", "shape"]),
        ("FAILED", {"cause": '{"ExitMessage": null, "FailureReason": "out of disk"}'}, [], ["out of disk"]),
    ],
)
def test_a_run_that_fails_speaks_for_itself(
    status: str, details: dict[str, str], events: list[dict[str, Any]], words: list[str]
) -> None:
    workflow = Workflow({"status": status, **details}, [*HISTORY, *events])
    with pytest.raises(RetrainingError) as found:
        run(workflow)
    for word in ("run r1", status, *words):
        assert word in str(found.value)
    assert "ProcessingJobName" not in str(found.value)


def test_the_same_words_are_told_once_and_long_ones_are_cut() -> None:
    workflow = Workflow({"status": "FAILED", "cause": "x" * 5_000}, [failed("task", cause="x" * 5_000)])
    with pytest.raises(RetrainingError) as found:
        run(workflow)
    assert str(found.value).count("x" * 600) == 1
    assert "x" * 601 not in str(found.value)


def test_patience_ends_and_says_where_to_look(clock: Clock) -> None:
    workflow = Workflow({}, HISTORY, looks=10_000)
    with pytest.raises(RetrainingError, match=f"not done after 60 s; .*{ARN}"):
        run(workflow, timeout=60)
    assert 60 < clock.now < 62


def test_a_run_that_was_stopped_early_has_no_evaluation() -> None:
    workflow = Workflow(succeeded("stopped", "checks"), HISTORY)
    workflow.stored.clear()
    assert run(workflow).evaluation == {}


def test_another_trouble_with_a_report_is_not_taken_for_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_asked: str) -> None:
        raise error("AccessDenied")

    workflow = Workflow(succeeded(), HISTORY)
    monkeypatch.setattr(workflow, "get_object", denied)
    with pytest.raises(ClientError, match="AccessDenied"):
        run(workflow)


@pytest.mark.parametrize(
    ("state", "approval", "leaves"),
    [
        ("WaitShadow", "bounds", True),
        ("WaitCanary", "bounds", True),
        ("WaitProbation", "person", True),
        ("AskApproval", "person", True),
        ("AskApproval", "bounds", False),
        ("TrainModel", "person", False),
    ],
)
def test_a_run_that_waits_for_people_or_traffic_can_be_left(state: str, approval: str, leaves: bool) -> None:
    workflow = Workflow(succeeded(), [*HISTORY[:2], entered(state, 40)], looks=1)
    plan = {"policy": {"release": {"approval": approval}}}
    workflow.stored["runs/r1/plan/plan.json"] = msgspec.json.encode(plan)
    deployment: Any = workflow
    found = follow(deployment, ARN, leave=True)
    assert (found.outcome, found.at) == (("waits", state) if leaves else ("serves", "promotion"))


def test_without_leave_it_waits_for_people_too() -> None:
    workflow = Workflow(succeeded(), [entered("WaitShadow", 0)], looks=3)
    deployment: Any = workflow
    assert follow(deployment, ARN).outcome == "serves"


def test_a_failed_run_goes_on_from_where_it_failed() -> None:
    workflow = Workflow(succeeded(), HISTORY)
    deployment: Any = workflow
    assert resume(deployment, "r1") == (ARN, START)
    assert workflow.redriven == [ARN]


@pytest.mark.parametrize("again", [{}, {"redriveDate": START - timedelta(days=1)}])
def test_a_failure_of_before_a_run_went_on_is_not_its_end(again: dict[str, Any]) -> None:
    """Step Functions may tell of it for a while; a failure since is one."""
    for ending, message in ((succeeded(), ""), ({"status": "FAILED", "cause": "no rows"}, "no rows")):
        workflow = Workflow({**ending, "redriveDate": START}, HISTORY)
        workflow.stale = {"status": "FAILED", "cause": "the machine went away", **again}
        deployment: Any = workflow
        if not message:
            assert follow(deployment, ARN, since=START).outcome == "serves"
            continue
        with pytest.raises(RetrainingError, match=message):
            follow(deployment, ARN, since=START)


def test_a_failure_that_is_told_on_and_on_is_its_end(clock: Clock) -> None:
    workflow = Workflow({}, HISTORY, looks=10_000)
    workflow.stale = {"status": "FAILED", "cause": "the machine went away"}
    deployment: Any = workflow
    with pytest.raises(RetrainingError, match="went away"):
        follow(deployment, ARN, since=START)
    assert 30 <= clock.now < 40


def test_a_run_that_was_only_just_started_may_not_be_known_yet(clock: Clock) -> None:
    workflow = Workflow(succeeded(), HISTORY, looks=3)
    workflow.stale = error("ExecutionDoesNotExist")
    assert run(workflow).outcome == "serves"
    workflow.looks, clock.now = 10_000, 0.0
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        run(workflow)
    assert 30 <= clock.now < 40


@pytest.mark.parametrize(("port", "seconds"), [(4566, 0.5), (None, 5.0)])
def test_step_functions_is_asked_less_often_where_many_ask_it(
    clock: Clock, port: int | None, seconds: float
) -> None:
    workflow = Workflow(succeeded(), HISTORY, looks=4)
    workflow.port = port
    run(workflow)
    assert clock.now == pytest.approx(4 * seconds)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExecutionDoesNotExist", "there is no run r1"),
        ("ExecutionNotRedrivable", "run r1 cannot go on: .*SUCCEEDED"),
    ],
)
def test_what_cannot_go_on_is_told(code: str, words: str) -> None:
    workflow = Workflow(succeeded(), HISTORY)
    workflow.refusal = error(code, "Execution is SUCCEEDED")
    deployment: Any = workflow
    with pytest.raises(RetrainingError, match=words):
        resume(deployment, "r1")


def test_after_going_on_only_the_new_failure_is_told() -> None:
    events = [
        failed("task", cause="the machine went away"),
        {"timestamp": START, "type": "ExecutionRedriven"},
        failed("task", cause="no rows"),
    ]
    with pytest.raises(RetrainingError, match="no rows") as found:
        run(Workflow({"status": "FAILED"}, [*HISTORY, *events]))
    assert "went away" not in str(found.value)


def test_the_pages_of_a_run_are_fetched_as_far_as_there_are_any(tmp_path: Path) -> None:
    workflow = Workflow(succeeded(), HISTORY)
    deployment: Any = workflow
    assert fetch_reports(deployment, "r1", tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
    workflow.stored |= {f"runs/r1/{REPORTS[name]}": name.encode() for name in ("checks", "evaluation")}
    found = fetch_reports(deployment, "r1", tmp_path / "r1")
    assert {path.name: path.read_text() for path in found} == {
        "checks.html": "checks",
        "evaluation.html": "evaluation",
    }
