"""Whether a run is the only retraining: of two at the same time, the younger one goes no further."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

__all__ = ["not_alone", "older"]


def older(client: "SFNClient", machine: str, *, name: str, started_at: str) -> str:
    """The first execution that runs and was started before; or nothing.

    Step Functions lists executions with a delay of some seconds: two that start within it may miss one another.

    Parameters
    ----------
    machine : str
        ARN of the state machine.
    name, started_at : str
        Of the execution that asks; ISO 8601.
    """
    own = datetime.fromisoformat(started_at), name
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    running = sorted((each["startDate"], each["name"]) for page in pages for each in page["executions"])
    # Its context and the list may tell its start to different places, and a run is not before itself.
    return next((each[1] for each in running if each < own and each[1] != name), "")


def not_alone(run_id: str, other: str) -> dict[str, Any]:
    """The state of a run that ends before it began, with the verdict that its end tells people."""
    reason = f"The retraining {other} runs, and one at a time may; this one can be started when it is done."
    return {
        "run_id": run_id,
        "alone": False,
        "verdict": {"passed": False, "reason": reason, "outcome": "stopped", "at": "plan"},
    }
