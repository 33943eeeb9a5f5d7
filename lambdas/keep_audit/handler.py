"""From the audit table's stream to the locked bucket: entries as they were written, and what befell them since.

An entry is written once, and by a trail. A record of the stream that says anything else is kept too, with both
states of the item, and counted: somebody changed the trail.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError

from runtime import clients
from runtime.auditing import altered_key, entry_of, object_key
from runtime.settings import load
from runtime.telemetry import count, instrumented, logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Settings:
    audit_bucket: str


settings = load(Settings)
s3 = clients.s3(clients.DOGGED)


@dataclass(frozen=True, slots=True)
class Copy:
    """What is kept of a record of the stream."""

    key: str
    content: bytes
    altered: bool


@instrumented
def handler(event: dict[str, Any], context: object) -> None:
    """Keep a batch of the stream. A failure is one of the whole batch: what was kept by then is kept once."""
    del context
    copies = [copy_of(record) for record in event["Records"]]
    altered = sum(each.altered for each in copies)
    # Before anything can fail, and again with each attempt at the batch: an alarm too many, and never one too few.
    count("AuditAltered", altered)
    kept = 0
    try:
        for each in copies:
            kept += keep(each, s3, settings.audit_bucket) and not each.altered
    finally:
        count("AuditKept", kept)
    logger.info("kept", extra={"entries": kept, "altered": altered})


def copy_of(record: Any) -> Copy:
    """What is to be kept of a record, whatever is in the item: one that nobody can read must not be in the way."""
    item = record["dynamodb"]
    subject, id_ = item["Keys"]["subject"]["S"], item["Keys"]["id"]["S"]
    if record["eventName"] == "INSERT":
        text = item["NewImage"].get("entry", {}).get("S", "")
        if entry_of(subject, id_, text) is not None:
            return Copy(object_key(subject, id_), text.encode(), altered=False)
    logger.error("the audit trail was altered", extra={"entry": id_, "how": record["eventName"]})
    content = {
        "how": record["eventName"],
        # Seconds; the stream tells no more.
        "at": int(item["ApproximateCreationDateTime"]),
        "by": record.get("userIdentity"),
        "before": item.get("OldImage"),
        "after": item.get("NewImage"),
    }
    return Copy(altered_key(subject, id_, item["SequenceNumber"]), msgspec.json.encode(content), altered=True)


def keep(copy: Copy, client: "S3Client", bucket: str) -> bool:
    """Write a copy into the bucket; False if it is there already."""
    try:
        client.put_object(
            Bucket=bucket, Key=copy.key, Body=copy.content, ContentType="application/json", IfNoneMatch="*"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        return False
    return True
