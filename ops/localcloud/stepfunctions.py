"""Step Functions' optimized integration of SageMaker: ``sagemaker:createTrainingJob.sync`` and its kin."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from ops.localcloud.errors import ServiceError
from ops.localcloud.jobs import Job, JobStatus, Kind
from ops.localcloud.sagemaker import SageMaker

__all__ = ["RESOURCES", "TaskFailedError", "run_task", "stop_task"]

RESOURCES: Final[Mapping[str, Kind]] = {
    "arn:aws:states:::sagemaker:createTrainingJob": "Training",
    "arn:aws:states:::sagemaker:createProcessingJob": "Processing",
}
# Errors without an exception class of their own in SageMaker's model come out under the service's name.
_MODELLED = frozenset({"ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound"})
_POLL_SECONDS = 0.2


class TaskFailedError(Exception):
    """The task failed with an ASL error name and a cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


def _milliseconds(value: Any, key: str = "") -> Any:
    """`value` with its times as Step Functions writes them: whole milliseconds."""
    if isinstance(value, Mapping):
        return {name: _milliseconds(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_milliseconds(item) for item in value]
    if key.endswith(("Time", "Timestamp")) and isinstance(value, float):
        return round(value * 1000)
    return value


def _kind(resource: str) -> Kind:
    return RESOURCES[resource.removesuffix(".sync")]


def run_task(
    sagemaker: SageMaker,
    resource: str,
    parameters: Mapping[str, Any],
    *,
    aborted: Callable[[], bool],
) -> dict[str, Any]:
    """Carry out a task of a state machine on the calling thread.

    Parameters
    ----------
    resource
        The task's ``Resource``; with ``.sync`` the task lasts as long as the job.
    parameters
        The job's request, from the state's input.
    aborted
        Whether the execution has ended meanwhile; the job is stopped then, as on AWS.

    Returns
    -------
    dict
        The Create answer, or with ``.sync`` the Describe answer.

    Raises
    ------
    TaskFailedError
        ``SageMaker.<...>`` if the job was refused; ``States.TaskFailed`` with the Describe answer as its
        cause if the job failed or was stopped.
    """
    kind = _kind(resource)
    try:
        answer = sagemaker.call(f"Create{kind}Job", dict(parameters))
    except ServiceError as refusal:
        name = f"{refusal.code}Exception" if refusal.code in _MODELLED else "AmazonSageMakerException"
        raise TaskFailedError(f"SageMaker.{name}", refusal.message) from refusal
    if not resource.endswith(".sync"):
        return answer
    job = sagemaker.job(kind, parameters[f"{kind}JobName"])
    _await(job, aborted)
    described: dict[str, Any] = _milliseconds(sagemaker.describe(kind, job.name))
    if job.status is not JobStatus.COMPLETED:
        raise TaskFailedError("States.TaskFailed", json.dumps(described))
    return described


def _await(job: Job, aborted: Callable[[], bool]) -> None:
    while not job.done.wait(_POLL_SECONDS):
        if aborted():
            job.ask_to_stop()


def stop_task(sagemaker: SageMaker, resource: str, parameters: Mapping[str, Any]) -> None:
    """Stop the job of a task that took longer than its ``TimeoutSeconds``."""
    kind = _kind(resource)
    sagemaker.job(kind, parameters[f"{kind}JobName"]).ask_to_stop()
