"""The kinds of state that the fragments are made of.

Nothing here catches a failure. An error that is not caught fails the execution at the state where it happened, and
from that state it can be re-driven; a caught one would have gone on to another state, and a re-drive would begin
there. People hear of it through the rule on the execution's status: see infra/constructs/retraining.py.
"""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "INPUT",
    "ISOLATED",
    "OBJECTS_KEY",
    "ONE_MACHINE",
    "State",
    "Way",
    "ask_function",
    "call_function",
    "choose",
    "name_of_job",
    "planned_machines",
    "process",
    "read_input",
    "run_job",
]

type State = dict[str, Any]

ONE_MACHINE: Mapping[str, Any] = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
ISOLATED: Mapping[str, Any] = {"EnableNetworkIsolation": True}
type Way = tuple[str, Any, str]
"""A path in the state, the value at which it counts, and where it leads."""

INPUT = "/opt/ml/processing/input"

OBJECTS_KEY = "${objects_key}"
"""Under which a job's disks lie, and what it writes."""

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

# Only what happens before a job exists. A job that exists and failed is not run again by itself, not for want of
# machines either (CapacityError): its reason is worth reading, and then it can be re-driven.
_JOB_RETRY = [
    # The account's quota is used up, by other jobs too: up to 5 more attempts within about 30 minutes.
    {
        "ErrorEquals": ["SageMaker.ResourceLimitExceededException"],
        "IntervalSeconds": 60,
        "BackoffRate": 2,
        "MaxAttempts": 5,
        "JitterStrategy": "FULL",
    },
    # SageMaker's own trouble with the call, and too many calls: up to 5 more within about 5 minutes. Not longer,
    # since a request that it refuses has the same name.
    {
        "ErrorEquals": ["SageMaker.AmazonSageMakerException", "ThrottlingException"],
        "IntervalSeconds": 10,
        "BackoffRate": 2,
        "MaxAttempts": 5,
        "JitterStrategy": "FULL",
    },
]
# From a job's own limit to the task's: provisioning of instances, download of the image, upload of results.
_AROUND_SECONDS = 1800


def planned_machines(path: str) -> dict[str, str]:
    """The machines of a processing job, where the plan says how many and what they are."""
    return {
        "InstanceCount.$": f"{path}.count",
        "InstanceType.$": f"{path}.type",
        "VolumeSizeInGB.$": f"{path}.volume_gb",
    }


def call_function(
    *,
    function: str,
    payload: Mapping[str, Any],
    answer: Mapping[str, Any],
    next_state: str,
    timeout: int = 150,
) -> State:
    """A task that calls a Lambda.

    Parameters
    ----------
    function : str
        The placeholder of the function's ARN.
    payload : mapping
        What the function is given.
    answer : mapping
        What becomes of the answer: `OutputPath`, or `ResultSelector` and `ResultPath`.
    timeout : int
        Seconds for one attempt, above the function's own limit.
    """
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": f"${{{function}}}", "Payload": dict(payload)},
        **answer,
        "TimeoutSeconds": timeout,
        "Retry": _LAMBDA_RETRY,
        "Next": next_state,
    }


def ask_function(
    *,
    function: str,
    payload: Mapping[str, Any],
    answer: Mapping[str, Any],
    patience: str,
    late: str,
    next_state: str,
) -> State:
    """A task that calls a Lambda and then waits until somebody sends its token back.

    Parameters
    ----------
    patience : str
        Path to the seconds to wait for that.
    late : str
        The state to go on with when nobody did. That is no failure, so this is caught.
    """
    called = call_function(function=function, payload=payload, answer=answer, next_state=next_state)
    del called["TimeoutSeconds"]
    return {
        **called,
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "TimeoutSecondsPath": patience,
        "Catch": [{"ErrorEquals": ["States.Timeout"], "ResultPath": None, "Next": late}],
    }


def run_job(
    *, kind: str, parameters: Mapping[str, Any], answer: Mapping[str, Any], seconds: int, next_state: str
) -> State:
    """A task that runs a SageMaker job to its end.

    Parameters
    ----------
    kind : str
        "ProcessingJob" or "TrainingJob".
    answer : mapping
        What becomes of SageMaker's description of the job.
    seconds : int
        The job's own limit; the task's is above it, so that the job's reason is the one reported.
    """
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::sagemaker:create{kind}.sync",
        "Parameters": dict(parameters),
        **answer,
        "TimeoutSeconds": seconds + _AROUND_SECONDS,
        "Retry": _JOB_RETRY,
        "Next": next_state,
    }


def process(
    *,
    step: str,
    arguments: str,
    inputs: Mapping[str, Any],
    output: str,
    output_uri: str,
    seconds: int,
    next_state: str,
    machines: Mapping[str, Any] = ONE_MACHINE,
    network: Mapping[str, Any] = ISOLATED,
) -> State:
    """A processing job of one step of the container program, whose result is what it writes to S3.

    Parameters
    ----------
    arguments : str
        Path to the program's arguments, or an intrinsic function that makes them.
    inputs : mapping
        `ProcessingInputs`, or `ProcessingInputs.$` where the plan says which there are.
    output, output_uri : str
        The output's name, and the path to its place in S3.
    """
    return run_job(
        kind="ProcessingJob",
        parameters={
            "ProcessingJobName.$": name_of_job(step),
            "RoleArn": f"${{{step}_role}}",
            "AppSpecification": {"ImageUri": "${training_image}", "ContainerArguments.$": arguments},
            **inputs,
            "ProcessingOutputConfig": {
                "KmsKeyId": OBJECTS_KEY,
                "Outputs": [
                    {
                        "OutputName": output,
                        "S3Output": {
                            "S3Uri.$": output_uri,
                            "LocalPath": f"/opt/ml/processing/output/{output}",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ],
            },
            "ProcessingResources": {"ClusterConfig": {**machines, "VolumeKmsKeyId": OBJECTS_KEY}},
            "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
            "NetworkConfig": dict(network),
        },
        answer={"ResultPath": None},
        seconds=seconds,
        next_state=next_state,
    )


def read_input(name: str, uri: str) -> dict[str, Any]:
    """An input of a processing job, from the place in S3 that a path in the state names."""
    place = {"S3Uri.$": uri, "LocalPath": f"{INPUT}/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": place}


def name_of_job(step: str) -> str:
    """A job's name: of the run, the step and the re-drive, since SageMaker gives no name a second time."""
    return f"States.Format('{{}}-{step}-r{{}}', $.run_id, $$.Execution.RedriveCount)"


def choose(*ways: Way, otherwise: str) -> State:
    """Go the first way whose value is found, or else the last."""
    return {"Type": "Choice", "Choices": [_rule(*each) for each in ways], "Default": otherwise}


def _rule(path: str, value: bool | str, next_state: str) -> dict[str, Any]:
    operator = "BooleanEquals" if isinstance(value, bool) else "StringEquals"
    return {"Variable": path, operator: value, "Next": next_state}
