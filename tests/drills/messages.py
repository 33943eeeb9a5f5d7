"""Queues, filled and emptied; and what is said on the way."""

import sys
import time
from collections.abc import Sequence
from itertools import batched
from typing import Any

import msgspec

__all__ = ["depth", "drain", "now", "say", "send"]


def now() -> int:
    """Wall-clock milliseconds."""
    return time.time_ns() // 1_000_000


def say(text: str) -> None:
    sys.stderr.write(f"drills: {text}\n")
    sys.stderr.flush()


def send(client: Any, url: str, rows: Sequence[Any], *, progress: bool = False) -> None:
    """Put events of the bus into a queue, or whatever else is given as text."""
    done = 0
    for several in batched(rows, 10, strict=False):
        entries = [{"Id": str(n), "MessageBody": _message(row)} for n, row in enumerate(several)]
        answer = client.send_message_batch(QueueUrl=url, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError(f"{url}: {answer['Failed']}")
        done += len(several)
        if progress and done % 10_000 == 0:
            say(f"  {done:,} of {len(rows):,} messages queued")


def depth(client: Any, url: str) -> int:
    """How many messages a queue holds, with those that are out."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def drain(client: Any, url: str) -> list[str]:
    """Take all messages out of a queue."""
    bodies: list[str] = []
    while found := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in found:
            bodies.append(message["Body"])
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def _message(row: Any) -> str:
    """An event as the bus puts it into a queue; text stays as it is."""
    if isinstance(row, str):
        return row
    kind = "label.recorded" if "is_fraud" in row else "transaction.decided"
    return msgspec.json.encode({"source": "paywarden", "detail-type": kind, "detail": row}).decode()
