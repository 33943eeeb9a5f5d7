"""The one way in which every failure ends: people are told, and the execution says why it failed."""

from infra.workflows.states import FAIL_PATH, State

__all__ = ["failure"]


def failure() -> dict[str, State]:
    """Tell the operators, then fail with the error and the cause that were caught."""
    return {
        FAIL_PATH: {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {
                "TopicArn": "${alarm_topic}",
                "Subject": "Paywarden: retrain failed",
                "Message": {
                    "execution.$": "$$.Execution.Id",
                    "error.$": "$.failure.Error",
                    "cause.$": "$.failure.Cause",
                },
            },
            "ResultPath": None,
            "TimeoutSeconds": 30,
            # Up to 3 more attempts within about 10 s; then the execution fails all the same.
            "Retry": [
                {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3}
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.notification", "Next": "RetrainFailed"}],
            "Next": "RetrainFailed",
        },
        "RetrainFailed": {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"},
    }
