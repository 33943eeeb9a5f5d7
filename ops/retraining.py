"""Starting the training workflow, following it to its end, and going on after a failure."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from fraud.runids import run_id_of
from ops import executions
from ops.deployment import Deployment

__all__ = ["REPORTS", "RetrainingError", "Run", "fetch_reports", "follow", "resume", "retrain", "start"]

REPORTS = {
    "checks": "dataset/about/checks.html",
    "consistency": "dataset/about/consistency.html",
    "maturity": "dataset/about/maturity.html",
    "evaluation": "evaluation/report.html",
    "comparison": "comparison/report.html",
}
"""What a person may read of a run: the page's name, and its place under the run. Not every run has all of them."""

# Where a run stays for hours or days: nobody sits before a terminal for that unless they want to.
_LONG_STATES = frozenset({"WaitShadow", "WaitCanary", "WaitProbation"})


class RetrainingError(Exception):
    """The workflow failed or cannot be followed; the message says which step and why."""


@dataclass(frozen=True)
class Run:
    """A run that has ended, or that waits.

    Attributes
    ----------
    execution : str
        ARN.
    version : str
        Of the run, and of the model that comes out of it.
    outcome : str
        ``serves``, ``stopped``, ``rejected`` or ``rolled_back``; ``waits`` if it was left waiting.
    at : str
        The phase that decided, or the state that waits.
    reason : str
        A sentence.
    evaluation : dict
        The document that the evaluation step wrote; empty if the run did not come to it.
    states : tuple of (str, float)
        The states that the execution went through, and the seconds it spent in each.
    """

    execution: str
    version: str
    outcome: str
    at: str
    reason: str
    seconds: float
    evaluation: dict[str, Any]
    states: tuple[tuple[str, float], ...]

    @property
    def promoted(self) -> bool:
        """Whether its model became the champion."""
        return self.outcome == "serves"


def retrain(
    deployment: Deployment,
    name: str,
    *,
    options: dict[str, Any],
    timeout: float = 7_200,
    entered: Callable[[str], None] = lambda _state: None,
) -> Run:
    """Start an execution and wait for it.

    Parameters
    ----------
    name : str
        Of the execution, and of the model that comes out of it.
    options : dict
        The execution's input, such as ``{"as_of": 1767225600000}``: see `lambdas/plan_training/asked.py`.
    timeout : float
        Seconds to wait; the execution itself goes on after them.
    entered : callable
        Called with the name of each state that the execution enters.

    Raises
    ------
    RetrainingError
        If the execution fails or is not done in time.
    """
    return follow(deployment, start(deployment, name, options=options), timeout=timeout, entered=entered)


def start(deployment: Deployment, name: str, *, options: dict[str, Any]) -> str:
    """Start an execution; return its ARN."""
    started = deployment.client("stepfunctions").start_execution(
        stateMachineArn=deployment["RetrainStateMachine"],
        name=name,
        input=msgspec.json.encode(options).decode(),
    )
    return str(started["executionArn"])


def resume(deployment: Deployment, name: str) -> tuple[str, datetime]:
    """Go on with an execution from the step that failed; return its ARN, and since when it goes on.

    Raises
    ------
    RetrainingError
        If there is no such execution, or it did not fail.
    """
    arn = f"{deployment['RetrainStateMachine'].replace(':stateMachine:', ':execution:')}:{name}"
    try:
        redriven = deployment.client("stepfunctions").redrive_execution(executionArn=arn)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ExecutionDoesNotExist":
            raise RetrainingError(
                f"there is no run {name}; `paywarden models list` shows those there were"
            ) from error
        if code == "ExecutionNotRedrivable":
            words = error.response["Error"].get("Message", "")
            raise RetrainingError(
                f"run {name} cannot go on: only one that failed, timed out or was aborted in the last 14 days can "
                f"({words})"
            ) from error
        raise
    return arn, redriven["redriveDate"]


def follow(
    deployment: Deployment,
    arn: str,
    *,
    timeout: float = 7_200,
    entered: Callable[[str], None] = lambda _state: None,
    leave: bool = False,
    since: datetime | None = None,
) -> Run:
    """Wait for an execution.

    Parameters
    ----------
    leave : bool
        Do not wait for people, nor for traffic: come back once the run does.
    since : datetime, optional
        When it was resumed, if it was.

    Raises
    ------
    RetrainingError
        If the execution fails or is not done in time.
    """
    began = time.monotonic()
    name = arn.rpartition(":")[2]
    run_id = run_id_of(name)

    def leaves(state: str) -> bool:
        return leave and (state in _LONG_STATES or (state == "AskApproval" and _asks_person(deployment, run_id)))

    try:
        described, last = executions.follow(
            deployment, arn, timeout=timeout, entered=entered, leaves=leaves, since=since
        )
    except TimeoutError as error:
        raise RetrainingError(f"run {name} {error}") from error
    if described["status"] == "RUNNING":
        output = {"outcome": "waits", "at": last, "reason": "the run goes on by itself, and waits now"}
    elif described["status"] == "SUCCEEDED":
        output = msgspec.json.decode(described["output"])
    else:
        words = executions.cause(deployment.client("stepfunctions"), arn, described)
        raise RetrainingError(f"run {name} ended as {described['status']}: {words}")
    return _run(deployment, arn, run_id, output, time.monotonic() - began)


def fetch_reports(deployment: Deployment, run_id: str, folder: Path) -> list[Path]:
    """Copy the pages of a run into a folder; return those there are."""
    found = []
    for name, key in REPORTS.items():
        content = _read(deployment, run_id, key)
        if content is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{name}.html"
            path.write_bytes(content)
            found.append(path)
    return found


def _run(deployment: Deployment, arn: str, run_id: str, output: dict[str, Any], seconds: float) -> Run:
    evaluation = _read(deployment, run_id, "evaluation/evaluation.json")
    return Run(
        execution=arn,
        version=run_id,
        outcome=output["outcome"],
        at=output["at"],
        reason=output["reason"],
        seconds=seconds,
        evaluation={} if evaluation is None else msgspec.json.decode(evaluation),
        states=tuple(_timings(deployment.client("stepfunctions"), arn)),
    )


def _asks_person(deployment: Deployment, run_id: str) -> bool:
    plan = _read(deployment, run_id, "plan/plan.json")
    return plan is not None and msgspec.json.decode(plan)["policy"]["release"]["approval"] == "person"


def _read(deployment: Deployment, run_id: str, key: str) -> bytes | None:
    try:
        stored = deployment.client("s3").get_object(Bucket=deployment["ModelsBucket"], Key=f"runs/{run_id}/{key}")
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    return bytes(stored["Body"].read())


def _timings(client: Any, arn: str) -> Iterator[tuple[str, float]]:
    entered: dict[str, datetime] = {}
    for event in executions.events(client, arn):
        if "stateEnteredEventDetails" in event:
            entered[event["stateEnteredEventDetails"]["name"]] = event["timestamp"]
        elif "stateExitedEventDetails" in event:
            name = event["stateExitedEventDetails"]["name"]
            yield name, (event["timestamp"] - entered[name]).total_seconds()
