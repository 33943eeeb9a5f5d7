"""Phase 5: from a model in a run's folder to the champion, if it earned that."""

from infra.workflows.states import State, call_function

__all__ = ["promote", "register"]


def register(*, next_state: str, unpromoted: str) -> dict[str, State]:
    """Verify the model, write its immutable bundle, and go on only if the verdict says so."""
    return {
        "RegisterModel": call_function(
            function="register_model",
            payload={"Payload.$": "$"},
            answer={
                "ResultSelector": {
                    "version.$": "$.Payload.version",
                    "promote.$": "$.Payload.promote",
                    "reason.$": "$.Payload.reason",
                    "metrics.$": "$.Payload.metrics",
                },
                "ResultPath": "$.registration",
            },
            timeout=300,
            next_state="IsBetter",
        ),
        "IsBetter": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.registration.promote", "BooleanEquals": True, "Next": next_state}],
            "Default": unpromoted,
        },
    }


def promote(*, next_state: str) -> dict[str, State]:
    """Name the bundle in the serving document, and deploy that."""
    return {
        "PromoteModel": call_function(
            function="promote_model",
            payload={"Payload.$": "$"},
            answer={
                "ResultSelector": {
                    "version.$": "$.Payload.version",
                    "deployment.$": "$.Payload.deployment",
                },
                "ResultPath": "$.promotion",
            },
            timeout=300,
            next_state=next_state,
        )
    }
