"""The way of a model: plan, dataset, train, evaluate, register, promote."""

from typing import Any

from infra.workflows.failure import failure
from infra.workflows.jobs import build_dataset, evaluate, train
from infra.workflows.plan import plan
from infra.workflows.register import promote, register

__all__ = ["SUBSTITUTIONS", "retrain"]

SUBSTITUTIONS = frozenset(
    {"plan_training", "register_model", "promote_model", "job_role", "training_image", "alarm_topic"}
)
"""The `${...}` placeholders that a deployment fills in."""


def retrain() -> dict[str, Any]:
    """The state machine's definition, in Amazon States Language.

    Its input is `{}`, or may hold `as_of` (ms since the epoch), `reason`, `engine` and more: see plan_training.
    """
    return {
        "Comment": "Paywarden: learn from what became known, and serve the result if it is better",
        "StartAt": "PlanTraining",
        # Longer than all the tasks together: a run that hangs must not hang for ever.
        "TimeoutSeconds": 12 * 3600,
        "States": {
            **plan(next_state="BuildDataset"),
            **build_dataset(next_state="TrainModel"),
            **train(next_state="EvaluateModel"),
            **evaluate(next_state="RegisterModel"),
            **register(next_state="PromoteModel", unpromoted="ChampionStays"),
            **promote(next_state="ModelServes"),
            "ModelServes": {"Type": "Succeed", "Comment": "The new model is the champion"},
            "ChampionStays": {"Type": "Succeed", "Comment": "The new model is registered and not promoted"},
            **failure(),
        },
    }
