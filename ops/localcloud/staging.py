"""Lay out /opt/ml for a job, and bring its results home, as SageMaker does around a container.

A job sees one folder, `root`, in the place of ``/opt/ml``. Every path of the request that begins with
``/opt/ml`` is taken below it.
"""

import gzip
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops.localcloud.errors import JobFailedError, ServiceError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = [
    "fetch_objects",
    "list_objects",
    "local_path",
    "pack_model",
    "read_reason",
    "split_uri",
    "stage_processing",
    "stage_training",
    "upload_directory",
]

_CONTAINER_ROOT = PurePosixPath("/opt/ml")
# The service keeps this much of what a container says on its way out.
_REASON_CHARACTERS = 1024


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an ``s3://`` address."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise ServiceError("ValidationException", f"'{uri}' is not an S3 address: write s3://<bucket>/<prefix>")
    return parts.netloc, parts.path.lstrip("/")


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


def list_objects(s3: "S3Client", uri: str) -> list[str]:
    """Keys of the objects whose key begins with the prefix of `uri`, in order, without markers of folders."""
    bucket, prefix = split_uri(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = sorted(item["Key"] for page in pages for item in page.get("Contents", []))
    return [key for key in keys if not key.endswith("/")]


def fetch_objects(
    s3: "S3Client", uri: str, keys: Sequence[str], target: Path, *, compression: str = "None"
) -> None:
    """Copy the objects `keys`, which lie under `uri`, below `target`, each by the rest of its key."""
    bucket, prefix = split_uri(uri)
    base = prefix.rpartition("/")[0] + "/" if "/" in prefix else ""
    for key in keys:
        relative = key.removeprefix(prefix).lstrip("/") if key != prefix else key.removeprefix(base)
        _fetch(s3, bucket, key, target / relative, compression)


def download_prefix(
    s3: "S3Client", uri: str, target: Path, *, compression: str, what: str, shard: tuple[int, int] = (0, 1)
) -> None:
    """Copy every object whose key begins with the prefix of `uri` below `target`.

    Parameters
    ----------
    shard
        Position of the host and number of hosts that share the objects, round robin by key.

    Raises
    ------
    JobFailedError
        Nothing lies under the prefix, or the bucket cannot be read.
    """
    _, prefix = split_uri(uri)
    target.mkdir(parents=True, exist_ok=True)
    try:
        keys = list_objects(s3, uri)
        for key in keys:
            if _is_neighbour(key, prefix):
                raise JobFailedError(
                    f"ClientError: {what}: the prefix {uri} also matches its neighbour '{key}', "
                    "which SageMaker would bring along; end the prefix with '/'"
                )
        position, hosts = shard
        fetch_objects(s3, uri, keys[position::hosts], target, compression=compression)
    except (s3.exceptions.NoSuchBucket, s3.exceptions.ClientError) as error:
        raise JobFailedError(f"ClientError: Data download failed for {what}: {uri}: {error}") from error
    if not keys:
        raise JobFailedError(
            f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source ({what}). '
            "Please ensure that the bucket exists in the selected region and that objects exist under that prefix."
        )


def _is_neighbour(key: str, prefix: str) -> bool:
    rest = key.removeprefix(prefix)
    return bool(prefix) and not prefix.endswith("/") and rest != "" and not rest.startswith("/")


def _fetch(s3: "S3Client", bucket: str, key: str, target: Path, compression: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if compression != "Gzip":
        s3.download_file(bucket, key, str(target))
        return
    packed = target.with_name(target.name + ".part")
    s3.download_file(bucket, key, str(packed))
    with gzip.open(packed) as source, target.with_suffix("").open("wb") as unpacked:
        shutil.copyfileobj(source, unpacked)
    packed.unlink()


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
        download_prefix(
            s3,
            source["S3Uri"],
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
        download_prefix(
            s3,
            source["S3Uri"],
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
