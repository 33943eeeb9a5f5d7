"""Phases 7 and 8: the model scores beside the champion, and both are compared on what became of the payments."""

from infra.workflows.release import watch
from infra.workflows.states import State, call_function, choose, planned_machines, process
from infra.workflows.verdict import read_verdict

__all__ = ["shadow"]

_SECONDS = 2 * 3600


def shadow(*, next_state: str, back: str) -> dict[str, State]:
    """Score in shadow for as long as the policy says, and go on only if the comparison lets it."""
    return {
        **watch("shadow", begin="StartShadow", action="shadow", done="PlanComparison", back=back),
        # Labels that came meanwhile may be the first ones, so which inputs there are is looked up now.
        "PlanComparison": call_function(
            function="plan_training",
            payload={
                "run_id.$": "$.run_id",
                "challenger.$": "$.registered.version",
                "champion.$": "$.champion",
                "since.$": "$.released.since",
                "now.$": "$$.State.EnteredTime",
            },
            answer={
                "ResultSelector": {
                    "arguments.$": "$.Payload.arguments",
                    "inputs.$": "$.Payload.inputs",
                    "machines.$": "$.Payload.machines",
                },
                "ResultPath": "$.comparison",
            },
            # It lists what the lake holds by now.
            timeout=330,
            next_state="CompareModels",
        ),
        "CompareModels": process(
            step="compare",
            arguments="$.comparison.arguments",
            inputs={"ProcessingInputs.$": "$.comparison.inputs"},
            output="comparison",
            output_uri="$.places.comparison",
            machines=planned_machines("$.comparison.machines"),
            seconds=_SECONDS,
            next_state="CheckComparison",
        ),
        "CheckComparison": read_verdict(
            report="States.Format('{}comparison.json', $.places.comparison)",
            at="comparison",
            next_state="ComparisonHolds",
        ),
        "ComparisonHolds": choose(
            ("$.verdict.passed", False, back), ("$.verdict.labels", True, next_state), otherwise="IsUnlabelled"
        ),
        # What became of the payments is not known, so the bounds cannot answer for the model.
        "IsUnlabelled": choose(("$.release.unlabelled", "person", "PersonDecides"), otherwise=next_state),
        "PersonDecides": {
            "Type": "Pass",
            "Result": "person",
            "ResultPath": "$.release.approval",
            "Next": next_state,
        },
    }
