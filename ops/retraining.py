"""Starting the training workflow and following it to its end."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from ops.deployment import Deployment

__all__ = ["RetrainingError", "Run", "retrain"]

_POLL_SECONDS = 0.5


class RetrainingError(Exception):
    """The workflow did not succeed; the message says which step failed and why."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    promoted : bool
        Whether its model became the champion.
    evaluation : dict
        The document that the evaluation step wrote.
    states : tuple of (str, float)
        The states that the execution went through, and the seconds it spent in each.
    """

    execution: str
    version: str
    promoted: bool
    reason: str
    seconds: float
    evaluation: dict[str, Any]
    states: tuple[tuple[str, float], ...]


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
        The execution's input, such as ``{"as_of": 1767225600000}``.
    timeout : float
        Seconds to wait; the execution itself goes on after them.
    entered : callable
        Called with the name of each state that the execution enters.

    Raises
    ------
    RetrainingError
        If the execution fails or is not done in time.
    """
    client = deployment.client("stepfunctions")
    start = time.monotonic()
    arn = client.start_execution(
        stateMachineArn=deployment["RetrainStateMachine"],
        name=name,
        input=msgspec.json.encode(options).decode(),
    )["executionArn"]
    seen = 0
    while True:
        described = client.describe_execution(executionArn=arn)
        seen = _report(client, arn, seen, entered)
        if described["status"] != "RUNNING":
            break
        if time.monotonic() - start > timeout:
            raise RetrainingError(f"run {name} is not done after {timeout:.0f} s; follow it in the console: {arn}")
        time.sleep(_POLL_SECONDS)
    if described["status"] != "SUCCEEDED":
        raise RetrainingError(f"run {name} ended as {described['status']}: {_cause(client, arn, described)}")
    output = msgspec.json.decode(described["output"])
    bucket, _, prefix = output["evaluation_uri"].removeprefix("s3://").partition("/")
    stored = deployment.client("s3").get_object(Bucket=bucket, Key=f"{prefix}evaluation.json")["Body"].read()
    registration = output["registration"]
    return Run(
        execution=arn,
        version=registration["version"],
        promoted="promotion" in output,
        reason=registration["reason"],
        seconds=time.monotonic() - start,
        evaluation=msgspec.json.decode(stored),
        states=tuple(_timings(client, arn)),
    )


def _events(client: Any, arn: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]


def _report(client: Any, arn: str, seen: int, entered: Callable[[str], None]) -> int:
    names = [
        event["stateEnteredEventDetails"]["name"]
        for event in _events(client, arn)
        if "stateEnteredEventDetails" in event
    ]
    for name in names[seen:]:
        entered(name)
    return len(names)


def _timings(client: Any, arn: str) -> Iterator[tuple[str, float]]:
    entered: dict[str, datetime] = {}
    for event in _events(client, arn):
        if "stateEnteredEventDetails" in event:
            entered[event["stateEnteredEventDetails"]["name"]] = event["timestamp"]
        elif "stateExitedEventDetails" in event:
            name = event["stateExitedEventDetails"]["name"]
            yield name, (event["timestamp"] - entered[name]).total_seconds()


def _cause(client: Any, arn: str, described: dict[str, Any]) -> str:
    """The innermost words on what went wrong."""
    words = [described.get("error", ""), described.get("cause", "")]
    for event in _events(client, arn):
        for key, details in event.items():
            if key.endswith("FailedEventDetails") and isinstance(details, dict):
                words += [details.get("error", ""), details.get("cause", "")]
    return " | ".join(dict.fromkeys(_sentence(word) for word in words if word)) or "no cause was given"


def _sentence(cause: str) -> str:
    """A job's own words, where the cause is the description of a SageMaker job."""
    try:
        job = msgspec.json.decode(cause)
    except msgspec.DecodeError:
        return cause[:600]
    if not isinstance(job, dict):
        return cause[:600]
    words = (job.get(name) for name in ("ExitMessage", "FailureReason", "errorMessage"))
    return next((str(each) for each in words if each), cause[:600])
