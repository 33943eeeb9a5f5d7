"""Phase 9: somebody says yes, or the bounds do; whoever it is says it in the registry of models."""

from functools import partial

from infra.workflows.release import patient
from infra.workflows.states import State, ask_function, call_function, choose
from infra.workflows.verdict import keep_verdict

__all__ = ["approve"]


def approve(*, canary: str, promote: str, back: str) -> dict[str, State]:
    """Wait for the approval of the model's package in the registry; nobody's word is no."""
    asked = {
        "run_id.$": "$.run_id",
        "version.$": "$.registered.version",
        "package.$": "$.registered.package",
        "champion.$": "$.champion",
        "reason.$": "$.registered.reason",
        "verdict.$": "$.verdict",
        "report.$": "$.places.evaluation",
        "comparison.$": "$.compared",
        "policy.$": "$.release",
        "execution.$": "$$.Execution.Id",
    }
    verdict = partial(keep_verdict, at="approval", outcome="rejected")
    return {
        "AskApproval": ask_function(
            function="request_approval",
            payload={"token.$": "$$.Task.Token", **asked},
            answer=verdict(
                passed="$.approved",
                reason="States.Format('{} did not approve the model: {}', $.by, $.comment)",
            ),
            patience="$.approval_seconds",
            late="ReadApproval",
            next_state="IsApproved",
        ),
        # The event that tells of a word may be lost, or come too late: what counts is the registry.
        "ReadApproval": patient(
            call_function(
                function="request_approval",
                payload=asked,
                answer=verdict(passed="$.Payload.approved", reason="$.Payload.reason"),
                next_state="IsApproved",
            )
        ),
        "IsApproved": choose(
            ("$.verdict.passed", False, back), ("$.phases.canary", True, canary), otherwise=promote
        ),
    }
