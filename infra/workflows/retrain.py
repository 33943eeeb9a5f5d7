"""The way of a model, from what became known to what serves, and the ways back."""

from typing import Any

from infra.workflows.approve import approve
from infra.workflows.dataset import dataset
from infra.workflows.ends import ends
from infra.workflows.evaluate import evaluate
from infra.workflows.plan import plan
from infra.workflows.promote import canary, promote
from infra.workflows.register import register
from infra.workflows.shadow import shadow
from infra.workflows.train import train, tune

__all__ = ["FUNCTIONS", "SUBSTITUTIONS", "retrain"]

FUNCTIONS = frozenset(
    {"plan_training", "read_verdict", "register_model", "release_model", "request_approval", "watch_release"}
)
"""The Lambdas that it calls."""

SUBSTITUTIONS = FUNCTIONS | {
    *(f"{step}_role" for step in ("dataset", "tune", "train", "evaluate", "compare")),
    *("objects_key", "training_image", "alarm_topic", "models_bucket"),
}
"""The `${...}` placeholders that a deployment fills in."""

# Four weeks of shadow, four of waiting for somebody, one of canary and one of probation are the most that a policy
# may ask for; two days for all the jobs. A run that hangs must not hang for ever.
_SECONDS = (28 + 28 + 7 + 7 + 2) * 24 * 3600


def retrain() -> dict[str, Any]:
    """The state machine's definition, in Amazon States Language.

    Its input is `{}`, or may hold `as_of` (ms since the epoch), `reason`, `policy` and more: see plan_training.
    """
    return {
        "Comment": "Paywarden: learn from what became known, and serve the result if it is better",
        "StartAt": "PlanTraining",
        "TimeoutSeconds": _SECONDS,
        "States": {
            **plan(next_state="BuildDataset", stop="Stopped"),
            **dataset(tune="TuneModel", train="TrainModel", stop="Stopped"),
            **tune(next_state="TrainModel"),
            **train(next_state="HasChampion"),
            **evaluate(next_state="RegisterModel"),
            **register(shadow="EnterShadow", approve="AskApproval", stop="Stopped"),
            **shadow(next_state="AskApproval", back="RollBack"),
            **approve(canary="EnterCanary", promote="WatchesPromotion", back="RollBack"),
            **canary(next_state="WatchesPromotion", back="RollBack"),
            **promote(served="Served", back="RollBack"),
            **ends(),
        },
    }
