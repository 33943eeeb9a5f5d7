"""How a run ends: the model serves, or people are told in a sentence why it does not.

The output of every end is `{"run_id", "outcome", "at", "reason"}`; `outcome` is `serves`, `stopped`, `rejected` or
`rolled_back`, and `at` the phase that decided.
"""

from infra.workflows.release import REFUSED, withdraw
from infra.workflows.states import State

__all__ = ["ends"]


def ends() -> dict[str, State]:
    """`Served`, `RollBack` for what was released already (`Refused` leads there), `Stopped` for what was not."""
    return {
        "Served": {
            "Type": "Pass",
            "Parameters": {
                "run_id.$": "$.run_id",
                "outcome": "serves",
                "at": "promotion",
                "reason.$": "$.registered.reason",
            },
            "Next": "ModelServes",
        },
        "ModelServes": {"Type": "Succeed", "Comment": "The new model is the champion"},
        REFUSED: {
            "Type": "Pass",
            "Parameters": {
                "passed": False,
                "reason.$": "$.released.reason",
                "at.$": "$.released.at",
                "outcome": "rolled_back",
            },
            "ResultPath": "$.verdict",
            "Next": "RollBack",
        },
        "RollBack": withdraw(next_state="Stopped"),
        "Stopped": {
            "Type": "Pass",
            "Parameters": {
                "run_id.$": "$.run_id",
                "outcome.$": "$.verdict.outcome",
                "at.$": "$.verdict.at",
                "reason.$": "$.verdict.reason",
            },
            "Next": "NotifyStopped",
        },
        "NotifyStopped": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {
                "TopicArn": "${alarm_topic}",
                "Subject": "Paywarden: a new model does not serve",
                "Message.$": (
                    "States.Format('Run {} is {} at {}: {} The champion stays. The reports lie under "
                    "s3://${models_bucket}/runs/{}/, and the execution is {}', "
                    "$.run_id, $.outcome, $.at, $.reason, $.run_id, $$.Execution.Id)"
                ),
            },
            "ResultPath": None,
            "TimeoutSeconds": 30,
            # Up to 3 more attempts within about 10 s. Then the execution fails, and people are told of that.
            "Retry": [
                {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3}
            ],
            "Next": "ChampionStays",
        },
        "ChampionStays": {"Type": "Succeed", "Comment": "The new model does not serve"},
    }
