"""Phases 3 and 4: the search for better parameters, if there is one, and the model."""

from typing import Any

from infra.workflows.states import OBJECTS_KEY, State, name_of_job, process, read_input, run_job

__all__ = ["train", "tune"]

_TUNE_SECONDS = 8 * 3600
# A spot machine may be waited for as long as it may then work: the plan's `stopping` says both.
_TRAIN_SECONDS = 8 * 3600

# What the program prints of each round, for the graphs of the SageMaker console.
METRICS = ("validation:logloss", "validation:aucpr")


def tune(*, next_state: str) -> dict[str, State]:
    """The search looks only at the rows that the model learns from, and leaves its result among the parameters."""
    return {
        "TuneModel": process(
            step="tune",
            arguments="States.Array('tune')",
            inputs={
                "ProcessingInputs": [
                    read_input("plan", "$.places.plan"),
                    read_input("dataset", "$.places.dataset"),
                    read_input("parameters", "$.places.parameters"),
                ]
            },
            output="parameters",
            output_uri="$.places.parameters",
            seconds=_TUNE_SECONDS,
            next_state=next_state,
        )
    }


def train(*, next_state: str) -> dict[str, State]:
    """The dataset -> a calibrated model and its manifest, as model.tar.gz, whose place SageMaker says."""
    whole = "FullyReplicated"
    return {
        "TrainModel": run_job(
            kind="TrainingJob",
            parameters={
                "TrainingJobName.$": name_of_job("train"),
                "RoleArn": "${train_role}",
                "AlgorithmSpecification": {
                    "TrainingImage": "${training_image}",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": name, "Regex": rf"{name}=([0-9.eE+-]+)"} for name in METRICS],
                },
                "HyperParameters": {"run_id.$": "$.run_id", "as_of.$": "$.as_of"},
                "InputDataConfig": [
                    _channel("train", "States.Format('{}train/', $.places.dataset)", shared="$.training.shared"),
                    _channel("validation", "States.Format('{}validation/', $.places.dataset)", whole=whole),
                    _channel("about", "States.Format('{}about/', $.places.dataset)", whole=whole),
                    _channel("parameters", "$.places.parameters", whole=whole),
                ],
                "OutputDataConfig": {"S3OutputPath.$": "$.places.model", "KmsKeyId": OBJECTS_KEY},
                # After an interruption, and after a re-drive, the job goes on from what lies here.
                "CheckpointConfig": {"S3Uri.$": "$.places.checkpoints", "LocalPath": "/opt/ml/checkpoints"},
                "ResourceConfig": {
                    "InstanceCount.$": "$.training.count",
                    "InstanceType.$": "$.training.type",
                    "VolumeSizeInGB.$": "$.training.volume_gb",
                    "VolumeKmsKeyId": OBJECTS_KEY,
                },
                "EnableManagedSpotTraining.$": "$.training.spot",
                "StoppingCondition.$": "$.training.stopping",
                # The program reads its channels and writes its model; it has no business on any network but that
                # of its own machines, which SageMaker leaves to a training job.
                "EnableNetworkIsolation": True,
                "EnableInterContainerTrafficEncryption.$": "$.training.encrypted",
            },
            answer={
                "ResultSelector": {"artifact.$": "$.ModelArtifacts.S3ModelArtifacts"},
                "ResultPath": "$.trained",
            },
            seconds=_TRAIN_SECONDS,
            next_state=next_state,
        )
    }


def _channel(name: str, uri: str, *, whole: str = "", shared: str = "") -> dict[str, Any]:
    distribution = {"S3DataDistributionType": whole} if whole else {"S3DataDistributionType.$": shared}
    source = {"S3DataType": "S3Prefix", "S3Uri.$": uri, **distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
