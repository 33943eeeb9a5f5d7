"""What the phases of a release have in common: a change of what serves, and a look at how that goes."""

from typing import Any

from infra.workflows.states import State, call_function
from infra.workflows.verdict import keep_verdict

__all__ = ["change", "watch"]


def change(*, action: str, reason: str, next_state: str) -> State:
    """Change what serves; asked twice, it is done once.

    Parameters
    ----------
    action : str
        Of release_model: ``shadow``, ``canary``, ``promote``, ``confirm`` or ``withdraw``.
    reason : str
        Path to the sentence that the history of what served keeps.
    """
    return call_function(
        function="release_model",
        payload={"action": action, **_MODEL, "reason.$": reason, "execution.$": "$$.Execution.Id"},
        answer={"ResultSelector": {"since.$": "$.Payload.since"}, "ResultPath": "$.released"},
        timeout=300,
        next_state=next_state,
    )


def watch(stage: str, *, begin: str, action: str, done: str, back: str) -> dict[str, State]:
    """Make the change of a stage, and look until watch_release has seen enough: `done`, or `back`.

    watch_release decides by the time that has passed, so there is an end to it. Its budget is the history of an
    execution, 25,000 events of which a look takes about 10: the plan refuses a policy with more than 2,000 looks.

    A failure takes the model out again (see infra/constructs/retraining.py). An execution that was re-driven after
    one therefore does not believe what it sees of a model that had been out: it begins the stage again.

    Parameters
    ----------
    stage : str
        Lower case.
    begin : str
        The name of the state that makes the change.
    action : str
        Of release_model.
    """
    name = stage.capitalize()
    enter, wait, look, judge = f"Enter{name}", f"Wait{name}", f"Watch{name}", f"Judge{name}"
    return {
        enter: {
            "Type": "Pass",
            "Parameters": {"redrives.$": "$$.Execution.RedriveCount"},
            "ResultPath": "$.entered",
            "Next": begin,
        },
        begin: change(action=action, reason="$.registered.reason", next_state=wait),
        wait: {"Type": "Wait", "SecondsPath": "$.release.poll_seconds", "Next": look},
        look: call_function(
            function="watch_release",
            payload={"stage": stage, **_MODEL, "since.$": "$.released.since"},
            answer=keep_verdict(
                at=stage, outcome="rolled_back", verdict="$.Payload.verdict", reason="$.Payload.reason"
            ),
            timeout=300,
            next_state=judge,
        ),
        judge: {
            "Type": "Choice",
            "Choices": [
                {
                    "Not": {"Variable": "$.entered.redrives", "NumericEqualsPath": "$$.Execution.RedriveCount"},
                    "Next": enter,
                },
                {"Variable": "$.verdict.verdict", "StringEquals": "wait", "Next": wait},
                {"Variable": "$.verdict.verdict", "StringEquals": "done", "Next": done},
            ],
            "Default": back,
        },
    }


_MODEL: dict[str, Any] = {
    "run_id.$": "$.run_id",
    "version.$": "$.registered.version",
    "champion.$": "$.champion",
    "policy.$": "$.release",
}
