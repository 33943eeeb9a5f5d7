"""Phase 9: somebody says yes, or the bounds do; whoever it is says it in the registry of models."""

from infra.workflows.states import State, ask_function, choose
from infra.workflows.verdict import keep_verdict

__all__ = ["approve"]


def approve(*, canary: str, promote: str, back: str) -> dict[str, State]:
    """Wait for the approval of the model's package in the registry; nobody's word is no."""
    return {
        "AskApproval": ask_function(
            function="request_approval",
            payload={
                "token.$": "$$.Task.Token",
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
            },
            answer=keep_verdict(
                at="approval",
                outcome="rejected",
                passed="$.approved",
                reason="States.Format('{} did not approve the model: {}', $.by, $.comment)",
            ),
            patience="$.approval_seconds",
            late="NobodyAnswered",
            next_state="IsApproved",
        ),
        "NobodyAnswered": {
            "Type": "Pass",
            "Parameters": {
                "passed": False,
                "reason.$": (
                    "States.Format('nobody approved or rejected the model within {} hours', "
                    "$.release.approval_hours)"
                ),
                "at": "approval",
                "outcome": "rejected",
            },
            "ResultPath": "$.verdict",
            "Next": back,
        },
        "IsApproved": choose(
            ("$.verdict.passed", False, back), ("$.phases.canary", True, canary), otherwise=promote
        ),
    }
