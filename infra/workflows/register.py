"""Phase 6: an immutable bundle and an entry in the registry of models, for whatever the gate said."""

from infra.workflows.states import State, call_function, choose

__all__ = ["register"]


def register(*, shadow: str, approve: str, stop: str) -> dict[str, State]:
    """Verify the model, write its bundle, and go on only if the gate let it."""
    return {
        "RegisterModel": call_function(
            function="register_model",
            payload={
                "run_id.$": "$.run_id",
                "champion.$": "$.champion",
                "artifact_uri.$": "$.trained.artifact",
                "evaluation_uri.$": "$.places.evaluation",
                "dataset_uri.$": "$.places.dataset",
                "plan_uri.$": "States.Format('{}plan.json', $.places.plan)",
                "execution.$": "$$.Execution.Id",
            },
            answer={
                "ResultSelector": {
                    "version.$": "$.Payload.version",
                    "package.$": "$.Payload.package",
                    "reason.$": "$.Payload.reason",
                },
                "ResultPath": "$.registered",
            },
            timeout=300,
            next_state="GateHolds",
        ),
        "GateHolds": choose(
            ("$.verdict.passed", False, stop), ("$.phases.shadow", True, shadow), otherwise=approve
        ),
    }
