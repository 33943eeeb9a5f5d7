"""Phase 1: what to learn from, what to hold to, and the names of everything that follows."""

from infra.workflows.states import State, call_function, choose

__all__ = ["plan"]


def plan(*, next_state: str, stop: str) -> dict[str, State]:
    """The answer of plan_training becomes the state: ids, inputs, places in S3, and which phases there are.

    Where runs are held to their policy, one that finds another one under way ends here; that is no failure.
    """
    return {
        "PlanTraining": call_function(
            function="plan_training",
            payload={
                "run_id.$": "$$.Execution.Name",
                "started_at.$": "$$.Execution.StartTime",
                "input.$": "$",
            },
            answer={"OutputPath": "$.Payload"},
            timeout=330,
            next_state="IsAlone",
        ),
        "IsAlone": choose(("$.alone", False, stop), otherwise=next_state),
    }
