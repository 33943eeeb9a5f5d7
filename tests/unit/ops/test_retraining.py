"""Following a training run to its end, and telling in its own words how it failed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ops import retraining
from ops.retraining import RetrainingError, retrain

ARN = "arn:aws:states:eu-west-1:123456789012:execution:retrain:r1"
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVALUATION = {"run_id": "r1", "rows": 10, "candidate": {"auc": 0.9}}


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(retraining, "time", made)
    return made


class Body:
    def read(self) -> bytes:
        return msgspec.json.encode(EVALUATION)


class Workflow:
    """Step Functions and S3 around one execution: it is RUNNING for some looks, then it ends."""

    def __init__(self, ending: dict[str, Any], history: list[dict[str, Any]], *, looks: int = 2) -> None:
        self.ending = ending
        self.history = history
        self.looks = looks
        self.started: dict[str, Any] = {}
        self.fetched: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        return {"RetrainStateMachine": "machine"}[name]

    def client(self, service: str) -> Any:
        assert service in ("stepfunctions", "s3")
        return self

    def start_execution(self, **asked: Any) -> dict[str, str]:
        self.started = asked
        return {"executionArn": ARN}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        assert executionArn == ARN
        self.looks -= 1
        return {"status": "RUNNING"} if self.looks >= 0 else self.ending

    def get_paginator(self, operation: str) -> Any:
        assert operation == "get_execution_history"
        return self

    def paginate(self, *, executionArn: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - AWS's name
        assert executionArn == ARN
        # While it runs, only the first states have been entered; one event a page.
        known = self.history if self.looks < 0 else self.history[: 3 - self.looks]
        yield from ({"events": [event]} for event in known)

    def get_object(self, **asked: str) -> dict[str, Any]:
        self.fetched = asked
        return {"Body": Body()}


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


def succeeded(**more: Any) -> dict[str, Any]:
    output = {
        "evaluation_uri": "s3://models/runs/r1/evaluation/",
        "registration": {"version": "r1", "reason": "better than nothing"},
    } | more
    return {"status": "SUCCEEDED", "output": msgspec.json.encode(output).decode()}


def run(workflow: Workflow, **more: Any) -> retraining.Run:
    deployment: Any = workflow
    return retrain(deployment, "r1", options={"as_of": 5}, **more)


@pytest.mark.parametrize("more", [{}, {"promotion": {"version": "r1", "deployment": 1}}])
def test_a_run_that_succeeds_brings_its_evaluation(more: dict[str, Any]) -> None:
    workflow = Workflow(succeeded(**more), HISTORY)
    states: list[str] = []
    done = run(workflow, entered=states.append)
    assert workflow.started == {"stateMachineArn": "machine", "name": "r1", "input": '{"as_of":5}'}
    assert workflow.fetched == {"Bucket": "models", "Key": "runs/r1/evaluation/evaluation.json"}
    assert (done.version, done.promoted, done.reason) == ("r1", bool(more), "better than nothing")
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
