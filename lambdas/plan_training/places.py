"""The lake as it is now, and the plan in the models bucket, which is written once."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError

from fraud.manifest import Days, manifest

from .monitoring import Look
from .plans import Part, Plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

__all__ = ["Held", "held", "keep", "keep_monitoring", "snapshot"]


@dataclass(frozen=True, slots=True)
class Held:
    """Some objects of a part of the lake, and their keys in order."""

    part: Part
    keys: tuple[str, ...]


def snapshot(client: "S3Client", lake: str, source: str) -> Part | None:
    """What lies under a source's prefix; None if nothing does, since SageMaker refuses an input without any."""
    return _part(_listed(client, lake, Days(source)))


def held(client: "S3Client", lake: str, source: str, *, since: int, until: int) -> Held | None:
    """What lies in the days of a source that hold what was recorded between two moments; None for nothing.

    Imported history has no days: an import that was written before holds nothing later. Where no label came in
    these days, the newest one there is stands for the silence since.

    Parameters
    ----------
    since, until : int
        In ms since the epoch; everything, if the first is 0.
    """
    days = Days(source) if since == 0 or source == "history" else Days.of(source, since, until)
    found = [
        item
        for item in _listed(client, lake, days)
        if item["LastModified"].timestamp() * 1_000 >= since or days.first
    ]
    if not found and source == "labels":
        found = [*_listed(client, lake, Days(source))][-1:]
    part = _part(found)
    return None if part is None else Held(part, tuple(item["Key"] for item in found))


def _listed(client: "S3Client", lake: str, days: Days) -> Iterator["ObjectTypeDef"]:
    """Objects in the order of their names, so that the same ones have the same fingerprint."""
    listing: Any = days.listing
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=lake, **listing):
        for item in page.get("Contents", []):
            if days.is_over(item["Key"]):
                return
            # A console's folder is an object that holds nothing.
            if not item["Key"].endswith("/"):
                yield item


def _part(items: Iterable["ObjectTypeDef"]) -> Part | None:
    objects = size = 0
    digest = hashlib.sha256()
    for item in items:
        objects += 1
        size += item["Size"]
        digest.update(f"{item['Key']}\0{item['Size']}\0{item['ETag']}\n".encode())
    return Part(objects=objects, bytes=size, fingerprint=digest.hexdigest()) if objects else None


def keep(client: "S3Client", models: str, plan: Plan) -> Plan:
    """Write the plan of a run, and answer the one that counts.

    A step that is tried again, or re-driven, finds the plan of its first time, and that one counts, although the
    lake may hold more by now.

    Raises
    ------
    ValueError
        If the run was planned for another execution, or with another input.
    """
    key = f"runs/{plan.run_id}/plan/plan.json"
    try:
        client.put_object(
            Bucket=models, Key=key, Body=_readable(plan), ContentType="application/json", IfNoneMatch="*"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        kept = msgspec.json.decode(client.get_object(Bucket=models, Key=key)["Body"].read(), type=Plan)
        if (kept.started_at, kept.asked) != (plan.started_at, plan.asked):
            raise ValueError(
                f"run_id: {plan.run_id} was planned at {kept.started_at} already; a run is never planned anew: "
                "start an execution with another name"
            ) from None
        plan = kept
    given = f"runs/{plan.run_id}/parameters/given.json"
    client.put_object(Bucket=models, Key=given, Body=_readable(plan.parameters), ContentType="application/json")
    return plan


def keep_monitoring(client: "S3Client", models: str, lake: str, look: Look, found: Mapping[str, Held]) -> None:
    """Write the plan of a look, and the lists of what it reads; planned anew, it only knows of more objects."""
    for source, each in found.items():
        listed = manifest(lake, f"{source}/", each.keys)
        client.put_object(Bucket=models, Key=look.manifest_of(source), Body=listed, ContentType="application/json")
    key = f"monitoring/{look.run_id}/plan/plan.json"
    client.put_object(Bucket=models, Key=key, Body=_readable(look), ContentType="application/json")


def _readable(document: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document))
