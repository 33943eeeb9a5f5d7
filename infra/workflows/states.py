"""The kinds of state that the fragments are made of."""

from collections.abc import Mapping
from typing import Any

__all__ = ["FAIL_PATH", "State", "call_function", "run_job"]

type State = dict[str, Any]

FAIL_PATH = "NotifyFailure"

# Every failure of every phase goes one way; what had been reached so far stays in the state.
_CATCH = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": FAIL_PATH}]

# Lambda's own trouble: up to 4 more attempts within about 30 s. An error of our code is not retried.
_LAMBDA_RETRY = [
    {
        "ErrorEquals": [
            "Lambda.ClientExecutionTimeoutException",
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.TooManyRequestsException",
        ],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 4,
        "JitterStrategy": "FULL",
    }
]

# Only what happens before a job exists: 5 more attempts within about 30 minutes for want of instances. A job
# that ran and failed is not run again, since its name is taken and its reason is worth reading.
_JOB_RETRY = [
    {
        "ErrorEquals": ["SageMaker.ResourceLimitExceededException", "ThrottlingException"],
        "IntervalSeconds": 60,
        "BackoffRate": 2,
        "MaxAttempts": 5,
        "JitterStrategy": "FULL",
    }
]


def call_function(
    *, function: str, payload: Mapping[str, Any], answer: Mapping[str, Any], timeout: int, next_state: str
) -> State:
    """A task that calls a Lambda.

    Parameters
    ----------
    function : str
        The placeholder of the function's ARN.
    payload : mapping
        `Payload`, or `Payload.$`.
    answer : mapping
        What becomes of the answer: `OutputPath`, or `ResultSelector` and `ResultPath`.
    timeout : int
        Seconds for one attempt.
    """
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": f"${{{function}}}", **payload},
        **answer,
        "TimeoutSeconds": timeout,
        "Retry": _LAMBDA_RETRY,
        "Catch": _CATCH,
        "Next": next_state,
    }


def run_job(*, kind: str, parameters: Mapping[str, Any], timeout: int, next_state: str) -> State:
    """A task that runs a SageMaker job to its end and keeps nothing of SageMaker's answer.

    Parameters
    ----------
    kind : str
        "ProcessingJob" or "TrainingJob".
    timeout : int
        Seconds for one attempt, above the job's own limit, so that the job's reason is the one reported.
    """
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::sagemaker:create{kind}.sync",
        "Parameters": dict(parameters),
        "ResultPath": None,
        "TimeoutSeconds": timeout,
        "Retry": _JOB_RETRY,
        "Catch": _CATCH,
        "Next": next_state,
    }
