"""What the phases of a release have in common: a change of what serves, and a look at how that goes."""

from typing import Any

from infra.workflows.states import State, call_function, choose
from infra.workflows.verdict import keep_verdict

__all__ = ["PATIENT_RETRY", "REFUSED", "change", "patient", "watch", "withdraw"]

REFUSED = "Refused"
"""The state for a change that may not be made any more."""

# What asks for it can be asked again: 5 more attempts over about 15 minutes, since a slow lake or a throttled call
# is no reason to give up days of shadow. Three events of the history each: see MOST_LOOKS in fraud.run_policy.
PATIENT_RETRY: dict[str, Any] = {
    "ErrorEquals": ["States.TaskFailed", "States.Timeout"],
    "IntervalSeconds": 30,
    "BackoffRate": 2,
    "MaxAttempts": 5,
}


def change(name: str, *, action: str, at: str, reason: str, next_state: str) -> dict[str, State]:
    """Change what serves; asked twice, it is done once, and what may not be done any more goes to `REFUSED`.

    Another model may have become the champion meanwhile, or a person may have gone back to one: no failure.

    Parameters
    ----------
    name : str
        Of the state.
    action : str
        Of release_model: ``shadow``, ``canary``, ``promote`` or ``confirm``.
    at : str
        The phase.
    reason : str
        Path to the sentence that the history of what served keeps.
    """
    released = {"since.$": "$.Payload.since", "refused.$": "$.Payload.refused", "reason.$": "$.Payload.reason"}
    made = f"{name}Made"
    return {
        name: _release(
            action=action,
            reason=reason,
            answer={"ResultSelector": {**released, "at": at}, "ResultPath": "$.released"},
            next_state=made,
        ),
        made: choose(("$.released.refused", True, REFUSED), otherwise=next_state),
    }


def withdraw(*, next_state: str) -> State:
    """Take the model out of everything that it was let into."""
    return _release(
        action="withdraw", reason="$.verdict.reason", answer={"ResultPath": None}, next_state=next_state
    )


def _release(*, action: str, reason: str, answer: dict[str, Any], next_state: str) -> State:
    return patient(
        call_function(
            function="release_model",
            payload={"action": action, **_MODEL, "reason.$": reason, "execution.$": "$$.Execution.Id"},
            answer=answer,
            timeout=300,
            next_state=next_state,
        )
    )


def patient(task: State) -> State:
    """A task that is asked again for a quarter of an hour, whatever it failed of."""
    return {**task, "Retry": [*task["Retry"], PATIENT_RETRY]}


def watch(stage: str, *, begin: str, action: str, done: str, back: str) -> dict[str, State]:
    """Make the change of a stage, and look until watch_release has seen enough: `done`, or `back`.

    watch_release decides by the time that has passed, so there is an end to it. Its budget is the history of an
    execution, 25,000 events of which a look takes 9, and 3 more each time that it is tried again: the plan refuses
    a policy with more than 2,000 looks.

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
        **change(begin, action=action, at=stage, reason="$.registered.reason", next_state=wait),
        wait: {"Type": "Wait", "SecondsPath": "$.release.poll_seconds", "Next": look},
        look: patient(
            call_function(
                function="watch_release",
                payload={"stage": stage, **_MODEL, "since.$": "$.released.since"},
                answer=keep_verdict(
                    at=stage, outcome="rolled_back", verdict="$.Payload.verdict", reason="$.Payload.reason"
                ),
                timeout=300,
                next_state=judge,
            )
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
