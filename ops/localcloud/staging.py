"""Lay out /opt/ml for a job, and bring its results home, as SageMaker does around a container.

A job sees one folder, `root`, in the place of ``/opt/ml``. Every path of the request that begins with
``/opt/ml`` is taken below it.
"""

import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ops.localcloud.errors import ServiceError
from ops.localcloud.objects import download, split_uri

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["local_path", "pack_model", "read_reason", "stage_processing", "stage_training", "upload_directory"]

_CONTAINER_ROOT = PurePosixPath("/opt/ml")
# The service keeps this much of what a container says on its way out.
_REASON_CHARACTERS = 1024


def local_path(root: Path, container_path: str) -> Path:
    """Where `container_path` of the container lies on this machine.

    Raises
    ------
    ServiceError
        The path is outside ``/opt/ml``; SageMaker mounts nothing there.
    """
    path = PurePosixPath(container_path)
    if not path.is_relative_to(_CONTAINER_ROOT) or ".." in path.parts:
        raise ServiceError("ValidationException", f"LocalPath '{container_path}' must lie below {_CONTAINER_ROOT}")
    return root / path.relative_to(_CONTAINER_ROOT)


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, sort_keys=True))


def _resources(instance_type: str, count: int, hosts: Sequence[str], position: int = 0) -> dict[str, Any]:
    """What the program on one host is told of its machines; a processing job has one, whatever it asked for."""
    return {
        "current_host": hosts[position],
        "current_instance_type": instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": list(hosts),
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": list(hosts)}
        ],
        "network_interface_name": "lo",
        "requested_instance_count": count,
    }


def stage_training(
    s3: "S3Client",
    request: Mapping[str, Any],
    root: Path,
    hosts: Sequence[str] = ("algo-1",),
    position: int = 0,
) -> None:
    """Write the ``/opt/ml`` of a training job for one of its hosts: channels and the files of input/config."""
    config = root / "input" / "config"
    for folder in ("input/data", "model", "output/data"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    channels: dict[str, dict[str, str]] = {}
    for channel in request.get("InputDataConfig", []):
        name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
        compression = channel.get("CompressionType", "None")
        distribution = source.get("S3DataDistributionType", "FullyReplicated")
        download(
            s3,
            source,
            root / "input" / "data" / name,
            compression=compression,
            what=f"channel {name}",
            shard=(position, len(hosts)) if distribution == "ShardedByS3Key" else (0, 1),
        )
        channels[name] = {
            "TrainingInputMode": "File",
            "S3DistributionType": distribution,
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if "ContentType" in channel:
            channels[name]["ContentType"] = channel["ContentType"]
    resources = request["ResourceConfig"]
    _write_json(config / "hyperparameters.json", dict(request.get("HyperParameters", {})))
    _write_json(config / "inputdataconfig.json", channels)
    _write_json(
        config / "resourceconfig.json",
        _resources(resources["InstanceType"], resources.get("InstanceCount", 1), hosts, position),
    )
    _write_json(
        config / "trainingjobconfig.json", {k: v for k, v in request.items() if k not in {"Tags", "Environment"}}
    )


def stage_processing(s3: "S3Client", request: Mapping[str, Any], root: Path) -> None:
    """Write the ``/opt/ml`` of a processing job: inputs, empty output folders, the files of config."""
    (root / "output").mkdir(parents=True, exist_ok=True)
    for item in request.get("ProcessingInputs", []):
        source = item["S3Input"]
        download(
            s3,
            source,
            local_path(root, source["LocalPath"]),
            compression=source.get("S3CompressionType", "None"),
            what=f"input {item['InputName']}",
        )
    for output in _outputs(request):
        local_path(root, output["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    cluster = request["ProcessingResources"]["ClusterConfig"]
    _write_json(root / "config" / "processingjobconfig.json", {k: v for k, v in request.items() if k != "Tags"})
    _write_json(
        root / "config" / "resourceconfig.json",
        _resources(cluster["InstanceType"], cluster["InstanceCount"], ["algo-1"]),
    )


def _outputs(request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    outputs: Sequence[Mapping[str, Any]] = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return outputs


def upload_directory(s3: "S3Client", folder: Path, uri: str) -> int:
    """Copy every file below `folder` to the prefix of `uri`; return their number."""
    bucket, prefix = split_uri(uri)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        key = "/".join(part for part in (prefix.rstrip("/"), path.relative_to(folder).as_posix()) if part)
        s3.upload_file(str(path), bucket, key)
    return len(files)


def upload_outputs(s3: "S3Client", request: Mapping[str, Any], root: Path) -> None:
    """Copy the outputs of a processing job, as SageMaker does at its end."""
    for output in _outputs(request):
        target = output["S3Output"]
        upload_directory(s3, local_path(root, target["LocalPath"]), target["S3Uri"])


def pack_model(s3: "S3Client", root: Path, output_uri: str, job_name: str) -> str:
    """Pack ``/opt/ml/model`` as model.tar.gz below `output_uri`; return its address."""
    archive = root / "model.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted((root / "model").iterdir()):
            tar.add(path, arcname=path.name)
    bucket, prefix = split_uri(output_uri)
    key = "/".join(part for part in (prefix.rstrip("/"), job_name, "output/model.tar.gz") if part)
    s3.upload_file(str(archive), bucket, key)
    extra = root / "output" / "data"
    if any(extra.iterdir()):
        upload_directory(s3, extra, f"{output_uri.rstrip('/')}/{job_name}/output/data")
    return f"s3://{bucket}/{key}"


def read_reason(path: Path) -> str:
    """First 1024 characters of a file the container may have left; empty if it left none."""
    if not path.is_file():
        return ""
    return path.read_text(errors="replace").strip()[:_REASON_CHARACTERS]
