"""Executions of state machines: followed to their end, and why they failed."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["cause", "events", "follow"]

_POLL_SECONDS = 0.5


def follow(
    client: Any,
    arn: str,
    *,
    timeout: float,
    entered: Callable[[str], None],
    leaves: Callable[[str], bool] = lambda _state: False,
) -> tuple[dict[str, Any], str]:
    """Wait for an execution; its description, and the state that it entered last.

    Parameters
    ----------
    client
        Of Step Functions.
    entered : callable
        Called with each state that it enters.
    leaves : callable
        Whether to wait no longer, by the state that it entered last; it still runs then.

    Raises
    ------
    TimeoutError
        If it is not done in time.
    """
    until = time.monotonic() + timeout
    seen = 0
    while True:
        described = client.describe_execution(executionArn=arn)
        states = [
            event["stateEnteredEventDetails"]["name"]
            for event in events(client, arn)
            if "stateEnteredEventDetails" in event
        ]
        for state in states[seen:]:
            entered(state)
        seen = len(states)
        last = states[-1] if states else ""
        if described["status"] != "RUNNING" or leaves(last):
            return described, last
        if time.monotonic() > until:
            raise TimeoutError(f"is not done after {timeout:.0f} s; follow it in the console: {arn}")
        time.sleep(_POLL_SECONDS)


def events(client: Any, arn: str) -> list[dict[str, Any]]:
    """All that happened in an execution."""
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
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
