"""The lake as it is now, and the plan in the models bucket, which is written once."""

import hashlib
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from .monitoring import Look
from .plans import Part, Plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["keep", "keep_monitoring", "snapshot"]


def snapshot(client: "S3Client", lake: str, source: str) -> Part | None:
    """What lies under a source's prefix; None if nothing does, since SageMaker refuses an input without any."""
    objects = size = 0
    digest = hashlib.sha256()
    # S3 lists in the order of the names, so the same objects have the same fingerprint.
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=lake, Prefix=f"{source}/"):
        for item in page.get("Contents", []):
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


def keep_monitoring(client: "S3Client", models: str, look: Look) -> None:
    """Write the plan of a look at the lake; planned anew, it only knows of more objects."""
    key = f"monitoring/{look.run_id}/plan/plan.json"
    client.put_object(Bucket=models, Key=key, Body=_readable(look), ContentType="application/json")


def _readable(document: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document))
