"""What a job's request must satisfy beyond the service's model."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.localcloud.errors import ServiceError
from ops.localcloud.jobs import Kind
from ops.localcloud.objects import split_uri
from ops.localcloud.staging import local_path

__all__ = ["check_locally"]

# Paths are checked before it is known where the job will be staged.
_ANYWHERE = Path()
# Each is a process of this machine.
_MOST_INSTANCES = 8
# AWS would take these; a program on this machine has no counterpart, so a job that asks is refused.
_NOT_LOCAL = {
    "AlgorithmSpecification.AlgorithmName": "built-in and marketplace algorithms",
    "ModelPackageConfig": "model packages",
    "ResourceConfig.InstanceGroups": "several instance groups",
    "RetryStrategy": "retries of a job",
    "ServerlessJobConfig": "serverless jobs",
}


def _asks_for(request: Mapping[str, Any], path: str) -> bool:
    value: Any = request
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return bool(value)


def check_locally(kind: Kind, request: Mapping[str, Any]) -> None:
    """What the service checks beyond its model, and what this machine cannot do."""
    for path, what in _NOT_LOCAL.items():
        if _asks_for(request, path):
            raise ServiceError("ValidationException", f"The local SageMaker has no {what}: leave out {path}")
    if kind == "Training":
        _check_training(request)
    else:
        _check_processing(request)


def _check_training(request: Mapping[str, Any]) -> None:
    for name in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if name not in request:
            raise ServiceError(
                "ValidationException",
                f"1 validation error detected: Value 'null' at '{name[:1].lower()}{name[1:]}' failed to satisfy "
                "constraint: Member must not be null",
            )
    if "TrainingImage" not in request["AlgorithmSpecification"]:
        raise ServiceError("ValidationException", "AlgorithmSpecification needs a TrainingImage")
    if request["ResourceConfig"].get("InstanceCount", 1) > _MOST_INSTANCES:
        raise ServiceError(
            "ValidationException", f"The local SageMaker has no more than {_MOST_INSTANCES} instances for a job"
        )
    _check_spot(request)
    if "CheckpointConfig" in request:
        split_uri(request["CheckpointConfig"]["S3Uri"])
        local_path(_ANYWHERE, request["CheckpointConfig"].get("LocalPath", "/opt/ml/checkpoints"))
    for definition in request["AlgorithmSpecification"].get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise ServiceError(
                "ValidationException", f"Regex of metric '{definition['Name']}' is malformed: {error}"
            ) from error
    split_uri(request["OutputDataConfig"]["S3OutputPath"])
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(names)) != len(names):
        raise ServiceError("ValidationException", f"ChannelName must be unique, given: {', '.join(names)}")
    for channel in request.get("InputDataConfig", []):
        _check_source(channel["ChannelName"], channel["DataSource"].get("S3DataSource"))
        mode = channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"])
        if mode != "File":
            raise ServiceError("ValidationException", f"The local SageMaker has no input mode {mode}: use File")


def _check_spot(request: Mapping[str, Any]) -> None:
    limits = request["StoppingCondition"]
    if request.get("EnableManagedSpotTraining"):
        if limits.get("MaxWaitTimeInSeconds", 0) < limits.get("MaxRuntimeInSeconds", 86400):
            raise ServiceError(
                "ValidationException",
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
                "MaxRuntimeInSeconds",
            )
    elif "MaxWaitTimeInSeconds" in limits:
        raise ServiceError(
            "ValidationException",
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true",
        )


def _check_processing(request: Mapping[str, Any]) -> None:
    for item in request.get("ProcessingInputs", []):
        source = item.get("S3Input")
        _check_source(item["InputName"], source)
        if source.get("S3InputMode", "File") != "File" or "LocalPath" not in source:
            raise ServiceError(
                "ValidationException", f"Input {item['InputName']} needs S3InputMode File and a LocalPath"
            )
        local_path(_ANYWHERE, source["LocalPath"])
    for item in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        output = item.get("S3Output")
        if output is None or output["S3UploadMode"] != "EndOfJob" or "LocalPath" not in output:
            raise ServiceError(
                "ValidationException",
                f"Output {item['OutputName']} needs an S3Output with S3UploadMode EndOfJob and a LocalPath here",
            )
        split_uri(output["S3Uri"])
        local_path(_ANYWHERE, output["LocalPath"])


def _check_source(name: str, source: Mapping[str, Any] | None) -> None:
    if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise ServiceError(
            "ValidationException",
            f"Input {name}: the local SageMaker reads S3 sources of type S3Prefix and ManifestFile only",
        )
    split_uri(source["S3Uri"])
