"""A replay, as a job of SageMaker or in this process: the same program over the same files."""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from fraud.manifest import MANIFEST_FILE
from ops.deployment import Deployment
from ops.replaying.errors import ReplayError
from ops.replaying.places import Input, bundle_of, fetch, folder_of, inputs_of, keep, of_lake, report_of
from ops.replaying.planning import Planned
from training.contract import Contract, ProgramError

__all__ = ["as_job", "fetched", "here", "job_name", "job_request"]

_POLL_SECONDS, _POLL_LOCALLY_SECONDS = 10.0, 1.0
_SHORTEST, _LONGEST = 3_600, 5 * 86_400
"""Of the time that a job may take, in s; the longer is SageMaker's own limit."""
_BYTES_A_SECOND = 2_000_000
"""A job that reads less is stopped. One core decides 10,000 rows of 900 bytes a second again."""
_FINAL = ("Completed", "Failed", "Stopped")
_INPUT = "/opt/ml/processing/input"
_OUTPUT = "/opt/ml/processing/output/report"
_GIGABYTE = 1_000_000_000
_SPARE_GIGABYTES = 30

type Show = Callable[[str, int, int], None]


def job_name(prefix: str, replay: str) -> str:
    """The name of a replay's job; SageMaker takes on the role of replays for jobs of such names alone."""
    return f"{prefix}-{replay}"


def job_request(
    deployment: Deployment, name: str, inputs: list[Input], prefix: str, *, machine: str
) -> dict[str, Any]:
    """What SageMaker is asked: one machine without a network, and no way to write but the replay's own folder."""
    size = sum(each.objects.bytes for each in inputs)
    return {
        "ProcessingJobName": name,
        "RoleArn": deployment["ReplayRole"],
        "AppSpecification": {"ImageUri": deployment["TrainingImage"], "ContainerArguments": ["replay"]},
        "ProcessingInputs": [
            {
                "InputName": each.name,
                "S3Input": {
                    "S3Uri": each.manifest or each.objects.uri,
                    "LocalPath": f"{_INPUT}/{each.folder}",
                    "S3DataType": MANIFEST_FILE if each.manifest else "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for each in inputs
        ],
        "ProcessingOutputConfig": {
            "KmsKeyId": deployment["ObjectsKey"],
            "Outputs": [
                {
                    "OutputName": "report",
                    "S3Output": {
                        "S3Uri": f"s3://{deployment['ModelsBucket']}/{prefix}report/",
                        "LocalPath": _OUTPUT,
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": machine,
                "VolumeSizeInGB": _SPARE_GIGABYTES + -(-2 * size // _GIGABYTE),
                "VolumeKmsKeyId": deployment["ObjectsKey"],
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": _longest(size)},
        "NetworkConfig": {"EnableNetworkIsolation": True},
    }


def as_job(deployment: Deployment, planned: Planned, target: Path, *, machine: str, show: Show) -> dict[str, Any]:
    """Run a replay as a processing job, wait for it, and copy its report to `target`.

    Returns
    -------
    dict
        The report, replay.json.

    Raises
    ------
    ReplayError
        If the job fails, or is stopped, as it is if it takes longer than its bytes allow.
    """
    client = deployment.client("sagemaker")
    show("laying out the plan", 0, 0)
    prefix = keep(deployment, planned)
    name = job_name(deployment.environment.prefix, planned.plan.id)
    show("listing the lake", 0, 0)
    inputs = inputs_of(deployment, planned.plan, prefix)
    client.create_processing_job(**job_request(deployment, name, inputs, prefix, machine=machine))
    poll = _POLL_SECONDS if deployment.port is None else _POLL_LOCALLY_SECONDS
    while (status := client.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"]) not in _FINAL:
        show(f"{name}: {_last_line(deployment, name) or status}", 0, 0)
        time.sleep(poll)
    show("fetching the report", 0, 0)
    return fetched(deployment, planned.plan.id, target)


def fetched(deployment: Deployment, replay: str, target: Path) -> dict[str, Any]:
    """Copy the report of a replay that ended as a job to `target`; returns as `as_job`.

    Raises
    ------
    ReplayError
        If there is no such job, or it has not ended, or not well, or its report is gone.
    """
    name = job_name(deployment.environment.prefix, replay)
    try:
        described = deployment.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    except ClientError as error:
        # SageMaker has said it in both ways.
        if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
            raise
        raise ReplayError(f"there is no replay {replay!r} here that ran as a job") from error
    status = described["ProcessingJobStatus"]
    if status not in _FINAL:
        raise ReplayError(f"replay {replay} has not ended ({status}): fetch its report later")
    if status != "Completed":
        reason = described.get("ExitMessage") or described.get("FailureReason") or "no reason was given"
        raise ReplayError(f"job {name} ended as {status}: {reason}")
    for _ in fetch(deployment.client("s3"), report_of(deployment, folder_of(replay)), target):
        pass
    return _read(target)


def here(deployment: Deployment, planned: Planned, target: Path, *, show: Show) -> dict[str, Any]:
    """Run a replay in this process, over copies of the files; for stretches that fit onto this machine.

    Nothing is written to the deployment. Returns and raises as `as_job`.
    """
    from training.replay import replay

    with tempfile.TemporaryDirectory(prefix="paywarden-replay-") as folder:
        contract = Contract(Path(folder))
        inputs = _laid_out(deployment, planned, contract)
        client = deployment.client("s3")
        total, done = sum(len(each.objects.keys) for each in inputs), 0
        for each in inputs:
            for _ in fetch(client, each.objects, contract.processing_input(each.folder)):
                done += 1
                show("reading the lake", done, total)
        show("deciding once more", 0, 0)
        try:
            found = replay(contract).parent
        except ProgramError as error:
            raise ReplayError(str(error)) from None
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(found.iterdir()):
            shutil.copyfile(path, target / path.name)
    return _read(target)


def _laid_out(deployment: Deployment, planned: Planned, contract: Contract) -> list[Input]:
    """Write the plan, and say what else has to be copied: bundles come straight from where they are."""
    plan = contract.processing_input("plan")
    plan.mkdir(parents=True)
    (plan / "plan.json").write_bytes(msgspec.json.encode(planned.plan))
    bundles = contract.processing_input("bundles")
    if planned.own_bundle is not None:
        shutil.copytree(planned.own_bundle, bundles / planned.plan.model)
    return [*of_lake(deployment, planned.plan), *(bundle_of(deployment, version) for version in planned.bundles)]


def _longest(size: int) -> int:
    """Seconds that a job of so many bytes may take."""
    return min(_SHORTEST + size // _BYTES_A_SECOND, _LONGEST)


def _last_line(deployment: Deployment, job: str) -> str:
    """The last thing that the program said; a log that is not there yet, or cannot be read, says nothing."""
    client = deployment.client("logs")
    group = "/aws/sagemaker/ProcessingJobs"
    try:
        streams = client.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
        for stream in streams[:1]:
            told = client.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=False, limit=1
            )["events"]
            return told[-1]["message"].strip() if told else ""
    except ClientError:
        pass
    return ""


def _read(folder: Path) -> dict[str, Any]:
    from training.replay import DOCUMENT

    path = folder / DOCUMENT
    if not path.is_file():
        raise ReplayError(
            f"there is no {DOCUMENT}: the job left none, or it went after 90 days; start the replay again"
        )
    told: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return told
