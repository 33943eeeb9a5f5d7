"""Phase 5: the model on later rows, beside the champion if there is one, and whether it passes the gate."""

from typing import Any

from infra.workflows.states import State, choose, process, read_input
from infra.workflows.verdict import read_verdict

__all__ = ["evaluate"]

_SECONDS = 2 * 3600


def evaluate(*, next_state: str) -> dict[str, State]:
    """Model and champion on later data -> a report with the verdict of the gate."""
    # Two states, since an input cannot be left out of a list on the way, and SageMaker refuses an empty one.
    return {
        "HasChampion": choose(("$.phases.champion", True, "EvaluateModel"), otherwise="EvaluateFirstModel"),
        "EvaluateModel": _evaluate(read_input("champion", "$.places.champion")),
        "EvaluateFirstModel": _evaluate(),
        "CheckModel": read_verdict(
            report="States.Format('{}evaluation.json', $.places.evaluation)", at="gate", next_state=next_state
        ),
    }


def _evaluate(*further: dict[str, Any]) -> State:
    return process(
        step="evaluate",
        arguments="States.Array('evaluate')",
        inputs={
            "ProcessingInputs": [
                read_input("plan", "$.places.plan"),
                read_input("dataset", "$.places.dataset"),
                read_input("model", "$.trained.artifact"),
                *further,
            ]
        },
        output="evaluation",
        output_uri="$.places.evaluation",
        seconds=_SECONDS,
        next_state="CheckModel",
    )
