"""Phases 2 to 4: the container program, as SageMaker jobs.

One large machine for each; for the dataset as many as the plan says, since a history can outgrow one.
"""

from collections.abc import Mapping
from typing import Any

from infra.workflows.states import State, run_job

__all__ = ["INSTANCE_TYPE", "build_dataset", "evaluate", "train"]

INSTANCE_TYPE = "ml.m5.xlarge"
_VOLUME_GB = 30
_DATASET_SECONDS = 2 * 3600
_TRAIN_SECONDS = 4 * 3600
_EVALUATE_SECONDS = 2 * 3600
# From a job's own limit to the task's: provisioning of instances, download of the image, upload of results.
_AROUND_SECONDS = 1800


def build_dataset(*, next_state: str) -> dict[str, State]:
    """History, decisions and labels -> the dataset, split by time."""
    return {
        "BuildDataset": _processing(
            name="$.jobs.dataset",
            arguments="$.dataset_arguments",
            inputs="$.dataset_inputs",
            output="dataset",
            output_uri="$.dataset_uri",
            machines={
                "InstanceCount.$": "$.dataset_machines.count",
                "InstanceType.$": "$.dataset_machines.type",
                "VolumeSizeInGB.$": "$.dataset_machines.volume_gb",
            },
            # Several machines must reach one another; SageMaker does not promise that to isolated processing jobs.
            network={
                "EnableNetworkIsolation.$": "$.dataset_machines.isolated",
                "EnableInterContainerTrafficEncryption.$": "$.dataset_machines.encrypted",
            },
            seconds=_DATASET_SECONDS,
            next_state=next_state,
        )
    }


def train(*, next_state: str) -> dict[str, State]:
    """The dataset -> a model and its manifest, as model.tar.gz."""
    return {
        "TrainModel": run_job(
            kind="TrainingJob",
            parameters={
                "TrainingJobName.$": "$.jobs.train",
                "RoleArn": "${job_role}",
                "AlgorithmSpecification": {"TrainingImage": "${training_image}", "TrainingInputMode": "File"},
                "HyperParameters": {"run_id.$": "$.run_id", "as_of.$": "$.as_of"},
                "InputDataConfig": [
                    {
                        "ChannelName": "dataset",
                        "DataSource": {
                            "S3DataSource": {
                                "S3DataType": "S3Prefix",
                                "S3Uri.$": "$.dataset_uri",
                                "S3DataDistributionType": "FullyReplicated",
                            }
                        },
                    }
                ],
                "OutputDataConfig": {"S3OutputPath.$": "$.model_uri"},
                "ResourceConfig": _machines(),
                "StoppingCondition": {"MaxRuntimeInSeconds": _TRAIN_SECONDS},
                # The program reads its channel and writes its model; it has no business on any network.
                "EnableNetworkIsolation": True,
            },
            timeout=_TRAIN_SECONDS + _AROUND_SECONDS,
            next_state=next_state,
        )
    }


def evaluate(*, next_state: str) -> dict[str, State]:
    """Model and champion on later data -> the verdict."""
    return {
        "EvaluateModel": _processing(
            name="$.jobs.evaluate",
            arguments="States.Array('evaluate')",
            inputs="$.evaluation_inputs",
            output="evaluation",
            output_uri="$.evaluation_uri",
            machines=_machines(),
            network={"EnableNetworkIsolation": True},
            seconds=_EVALUATE_SECONDS,
            next_state=next_state,
        )
    }


def _machines() -> dict[str, Any]:
    return {"InstanceCount": 1, "InstanceType": INSTANCE_TYPE, "VolumeSizeInGB": _VOLUME_GB}


def _processing(
    *,
    name: str,
    arguments: str,
    inputs: str,
    output: str,
    output_uri: str,
    machines: Mapping[str, Any],
    network: Mapping[str, Any],
    seconds: int,
    next_state: str,
) -> State:
    return run_job(
        kind="ProcessingJob",
        parameters={
            "ProcessingJobName.$": name,
            "RoleArn": "${job_role}",
            "AppSpecification": {"ImageUri": "${training_image}", "ContainerArguments.$": arguments},
            # From the plan: SageMaker refuses an input whose prefix holds nothing.
            "ProcessingInputs.$": inputs,
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": output,
                        "S3Output": {
                            "S3Uri.$": output_uri,
                            "LocalPath": f"/opt/ml/processing/output/{output}",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "ProcessingResources": {"ClusterConfig": dict(machines)},
            "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
            "NetworkConfig": dict(network),
        },
        timeout=seconds + _AROUND_SECONDS,
        next_state=next_state,
    )
