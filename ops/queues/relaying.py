"""Lines of the ledger that never reached the bus: found again, and published by `relay_decisions` itself.

Such a letter holds no line, only where it was in the table's stream. A stream keeps its records for 24 hours.
After them the ledger is searched for lines of that time whose event was never folded. That may be more than what
is missing: whoever gets one twice counts it once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from ops.deployment import Deployment
from ops.functions import call
from ops.queues.letters import Letter, QueueError

__all__ = ["Lost", "lost_of", "publish", "records"]

BATCH: Final = 100
"""Records in a call of `relay_decisions`, as in its mapping."""

SLACK: Final = 60_000
"""How far the time in a line and that of its arrival in the stream may be apart, in ms."""

_GONE: Final = frozenset({"ResourceNotFoundException", "TrimmedDataAccessException", "ExpiredIteratorException"})


@dataclass(frozen=True, slots=True)
class Lost:
    """What a letter says of the records that were given up.

    Attributes
    ----------
    size : int
        How many there were.
    since, until : int
        When the first and the last of them came, in ms.
    """

    stream: str
    shard: str
    first: str
    last: str
    size: int
    since: int
    until: int
    condition: str


class _Row(msgspec.Struct):
    event_id: str
    recorded_at: int


def lost_of(letter: Letter) -> Lost | None:
    """What a letter is about; None if it is no report of Lambda on records of a stream."""
    value = letter.value()
    try:
        info = value["DDBStreamBatchInfo"]
        return Lost(
            stream=info["streamArn"],
            shard=info["shardId"],
            first=info["startSequenceNumber"],
            last=info["endSequenceNumber"],
            size=int(info["batchSize"]),
            since=_milliseconds(info["approximateArrivalOfFirstRecord"]),
            until=_milliseconds(info["approximateArrivalOfLastRecord"]),
            condition=str(value.get("requestContext", {}).get("condition", "given up")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def publish(deployment: Deployment, lost: Lost) -> int:
    """Publish what was lost; how many lines were given to `relay_decisions`.

    Raises
    ------
    FunctionError
        If it failed.
    QueueError
        If the bus refused some of them.
    """
    published = 0
    for batch in batched(records(deployment, lost), BATCH, strict=False):
        refused = call(deployment, "relay_decisions", {"Records": batch})["batchItemFailures"]
        if refused:
            raise QueueError(
                f"the bus refused {len(refused)} of {len(batch)} lines; see the log of relay_decisions"
            )
        published += len(batch)
    return published


def records(deployment: Deployment, lost: Lost) -> Iterator[dict[str, Any]]:
    """What was lost, as records of a stream: from the stream while it has them, else from the ledger."""
    found = list(_in_stream(deployment, lost))
    complete = found and found[0]["dynamodb"]["SequenceNumber"] == lost.first and len(found) >= lost.size
    yield from found if complete else _in_ledger(deployment, lost)


def _in_stream(deployment: Deployment, lost: Lost) -> Iterator[dict[str, Any]]:
    client = deployment.client("dynamodbstreams")
    try:
        iterator = client.get_shard_iterator(
            StreamArn=lost.stream,
            ShardId=lost.shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=lost.first,
        )["ShardIterator"]
        while iterator:
            answer = client.get_records(ShardIterator=iterator)
            for each in answer["Records"]:
                number = each["dynamodb"]["SequenceNumber"]
                if int(number) > int(lost.last):
                    return
                if each["eventName"] == "INSERT":
                    yield _record(number, each["dynamodb"]["NewImage"])
                if number == lost.last:
                    return
            # An open shard answers with nothing at its end, for ever.
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise


def _in_ledger(deployment: Deployment, lost: Lost) -> Iterator[dict[str, Any]]:
    store = deployment.features()
    pages = (
        deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=deployment["DecisionsTable"],
            ConsistentRead=True,
        )
    )
    lines = ((item, _row(item)) for page in pages for item in page["Items"] if "row" in item)
    of_then = (line for line in lines if lost.since - SLACK <= line[1].recorded_at <= lost.until + SLACK)
    for batch in batched(of_then, BATCH, strict=False):
        folded = store.digests({row.event_id for _, row in batch})
        for number, (item, row) in enumerate(batch):
            if row.event_id not in folded:
                yield _record(str(number), item)


def _row(item: Mapping[str, Any]) -> _Row:
    return msgspec.json.decode(item["row"]["S"], type=_Row)


def _record(number: str, image: Mapping[str, Any]) -> dict[str, Any]:
    return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": number, "NewImage": image}}


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
