"""The objects of S3 that a job is given: those below a prefix, or those that a manifest names."""

import gzip
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from ops.localcloud.errors import JobFailedError, ServiceError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["download", "fetch_objects", "list_objects", "split_uri"]


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an ``s3://`` address."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise ServiceError("ValidationException", f"'{uri}' is not an S3 address: write s3://<bucket>/<prefix>")
    return parts.netloc, parts.path.lstrip("/")


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


def download(
    s3: "S3Client",
    source: Mapping[str, Any],
    target: Path,
    *,
    compression: str,
    what: str,
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Copy what a job is given below `target`.

    Parameters
    ----------
    source
        ``S3DataType`` and ``S3Uri`` of a channel or an input: a prefix, which brings every object whose key begins
        with it, or the address of a manifest. Each object lies by the rest of its key behind the prefix. AWS does
        not document where it puts the objects of a manifest, and the whole key was seen as well, so a program
        should look for its files everywhere below the folder.
    shard
        Position of the host and number of hosts that share the objects, round robin by key.

    Raises
    ------
    JobFailedError
        Nothing lies under the prefix, an object of the manifest is not there, or the bucket cannot be read.
    """
    target.mkdir(parents=True, exist_ok=True)
    uri: str = source["S3Uri"]
    try:
        listed = source["S3DataType"] == "ManifestFile"
        base, keys = _of_manifest(s3, uri, what) if listed else (uri, _of_prefix(s3, uri, what))
        position, hosts = shard
        fetch_objects(s3, base, keys[position::hosts], target, compression=compression)
    except (s3.exceptions.NoSuchBucket, s3.exceptions.ClientError) as error:
        raise JobFailedError(f"ClientError: Data download failed for {what}: {uri}: {error}") from error


def _of_prefix(s3: "S3Client", uri: str, what: str) -> list[str]:
    _, prefix = split_uri(uri)
    keys = list_objects(s3, uri)
    for key in keys:
        if _is_neighbour(key, prefix):
            raise JobFailedError(
                f"ClientError: {what}: the prefix {uri} also matches its neighbour '{key}', "
                "which SageMaker would bring along; end the prefix with '/'"
            )
    if not keys:
        raise JobFailedError(
            f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source ({what}). '
            "Please ensure that the bucket exists in the selected region and that objects exist under that prefix."
        )
    return keys


def _of_manifest(s3: "S3Client", uri: str, what: str) -> tuple[str, list[str]]:
    """The prefix, and whole keys: a manifest is ``[{"prefix": "s3://..."}, "relative/key", ...]``."""

    def refuse(why: str) -> NoReturn:
        raise JobFailedError(f"ClientError: {what}: the manifest {uri} {why}")

    bucket, key = split_uri(uri)
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        document: Any = json.loads(body)
    except ValueError as error:
        refuse(f"is not JSON: {error}")
    first, *names = document if isinstance(document, list) and document else (None,)
    if not isinstance(first, dict) or set(first) != {"prefix"} or not isinstance(first["prefix"], str):
        refuse('is not an array that begins with {"prefix": "s3://<bucket>/<prefix>"}')
    base = first["prefix"]
    try:
        _, prefix = split_uri(base)
    except ServiceError as error:
        refuse(f"has no usable prefix: {error.message}")
    if not names:
        refuse("names no object")
    for name in names:
        if not isinstance(name, str) or not name or name.startswith("/") or ".." in name.split("/"):
            refuse(f"holds {name!r}, which is no key relative to its prefix")
    if len(set(names)) != len(names):
        refuse("names an object more than once")
    return base, [f"{prefix}{name}" for name in names]


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
