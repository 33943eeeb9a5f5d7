"""Executions of state machines: followed to their end, and why they failed."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from ops.deployment import Deployment

__all__ = ["cause", "events", "follow"]

_POLL_SECONDS, _POLL_LOCALLY_SECONDS = 5.0, 0.5
_SETTLED_SECONDS = 30.0
"""After a start or a re-drive, Step Functions may tell for a while what was before."""
_PAGE = 1_000


def follow(
    deployment: Deployment,
    arn: str,
    *,
    timeout: float,
    entered: Callable[[str], None],
    leaves: Callable[[str], bool] = lambda _state: False,
    since: datetime | None = None,
) -> tuple[dict[str, Any], str]:
    """Wait for an execution; its description, and the state that it entered last.

    Parameters
    ----------
    entered : callable
        Called with each state that it enters.
    leaves : callable
        Whether to wait no longer, by the state that it entered last; it still runs then.
    since : datetime, optional
        When it was re-driven: an end of before is none.

    Raises
    ------
    TimeoutError
        If it is not done in time.
    """
    client = deployment.client("stepfunctions")
    poll = _POLL_SECONDS if deployment.port is None else _POLL_LOCALLY_SECONDS
    began = time.monotonic()
    seen = 0
    while True:
        fresh = time.monotonic() - began < _SETTLED_SECONDS
        described, states = _look(client, arn, since=since, fresh=fresh)
        for state in states[seen:]:
            entered(state)
        seen = max(seen, len(states))
        last = states[-1] if states else ""
        if described["status"] != "RUNNING" or leaves(last):
            return described, last
        if time.monotonic() - began > timeout:
            raise TimeoutError(f"is not done after {timeout:.0f} s; follow it in the console: {arn}")
        time.sleep(poll)


def _look(client: Any, arn: str, *, since: datetime | None, fresh: bool) -> tuple[dict[str, Any], list[str]]:
    """An execution's description, and the states that it entered; a `fresh` one runs, if it is told or not."""
    try:
        described = client.describe_execution(executionArn=arn)
        happened = events(client, arn)
    except ClientError as error:
        if not fresh or error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return {"status": "RUNNING"}, []
    if fresh and since is not None:
        again = described.get("redriveDate")
        if again is None or again < since:
            described = {"status": "RUNNING"}
    return described, [
        event["stateEnteredEventDetails"]["name"] for event in happened if "stateEnteredEventDetails" in event
    ]


def events(client: Any, arn: str) -> list[dict[str, Any]]:
    """All that happened in an execution."""
    pages = client.get_paginator("get_execution_history").paginate(
        executionArn=arn, PaginationConfig={"PageSize": _PAGE}
    )
    return [event for page in pages for event in page["events"]]


def cause(client: Any, arn: str, described: dict[str, Any]) -> str:
    """The innermost words on what went wrong, since the last time that the execution was re-driven."""
    words = [described.get("error", ""), described.get("cause", "")]
    for event in events(client, arn):
        if event.get("type") == "ExecutionRedriven":
            del words[2:]
        for key, details in event.items():
            if key.endswith("FailedEventDetails") and isinstance(details, dict):
                words += [details.get("error", ""), details.get("cause", "")]
    return " | ".join(dict.fromkeys(_sentence(word) for word in words if word)) or "no cause was given"


def _sentence(text: str) -> str:
    """A job's own words, where the cause is the description of a SageMaker job."""
    try:
        job = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text[:600]
    if not isinstance(job, dict):
        return text[:600]
    words = (job.get(name) for name in ("ExitMessage", "FailureReason", "errorMessage"))
    return next((str(word) for word in words if word), text[:600])
