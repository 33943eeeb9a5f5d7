"""How every phase that may stop a run says so: one place in the state, `$.verdict`.

It holds `passed` (or `verdict`, of a model that is watched), `reason`, `at` (the phase) and `outcome`, which is
how the run ends if the verdict ends it; a report's also `labels`, whether it stands on enough of them.
"""

from typing import Any

from infra.workflows.states import State, call_function

__all__ = ["keep_verdict", "read_verdict"]


def keep_verdict(*, at: str, outcome: str, **answer: str) -> dict[str, Any]:
    """What becomes of an answer that holds a verdict; `answer` names paths in it."""
    selected = {f"{name}.$": path for name, path in answer.items()}
    return {"ResultSelector": {**selected, "at": at, "outcome": outcome}, "ResultPath": "$.verdict"}


def read_verdict(*, report: str, at: str, next_state: str) -> State:
    """A job's verdict, from the report that it wrote.

    Parameters
    ----------
    report : str
        Path to the report's place in S3, or an intrinsic function that makes it.
    at : str
        The phase.
    """
    return call_function(
        function="read_verdict",
        payload={"uri.$": report},
        answer=keep_verdict(
            at=at,
            outcome="stopped",
            passed="$.Payload.passed",
            reason="$.Payload.reason",
            labels="$.Payload.labels",
        ),
        next_state=next_state,
    )
