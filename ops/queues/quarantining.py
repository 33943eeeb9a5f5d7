"""Dead letters put aside in the lake's bucket: nothing reads them there, and none is lost.

A letter is written before it is deleted, under its own id: ended in between, it is in both places, and the next
run finishes it. The bucket is encrypted and versioned; no role of the platform may read below `quarantine/`.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ops.deployment import Deployment
from ops.queues.letters import Letter, Queue, QueueError, box_of
from ops.times import now

__all__ = ["FOLDER", "Kept", "kept", "quarantine", "restore"]

FOLDER: Final = "quarantine/"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A letter in quarantine, as its object holds it.

    Attributes
    ----------
    sent_at, kept_at : int
        When it was sent, and put aside, in ms.
    by : str
        Who put it aside.
    """

    queue: Queue
    message_id: str
    sent_at: int
    kept_at: int
    by: str
    reason: str
    attributes: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a letter in quarantine is."""

    key: str
    size: int

    @property
    def message_id(self) -> str:
        """The letter's id."""
        return self.key.rpartition("/")[2].removesuffix(".json")

    @property
    def queue(self) -> str:
        """The queue that it was in."""
        return self.key.split("/")[1]

    @property
    def day(self) -> str:
        """When it was put aside (UTC)."""
        return self.key.split("/")[2]


def quarantine(
    deployment: Deployment,
    queue: Queue,
    *,
    wanted: Collection[str] | None,
    reason: str,
    by: str,
    progress: Callable[[int], None] = lambda _done: None,
) -> int:
    """Put letters aside; return how many.

    Parameters
    ----------
    wanted : collection of str or None
        Ids of messages; None for all letters that there are now.

    Raises
    ------
    QueueError
        If one of those that are wanted is not in the queue; the others were put aside.
    """
    box, s3, bucket = box_of(deployment, queue), deployment.client("s3"), deployment["LakeBucket"]
    missing = set(wanted or ())
    others: list[Letter] = []
    done = 0
    try:
        # A little more than was counted: the count is approximate.
        for batch in box.take(box.count() + 100):
            chosen = [letter for letter in batch if wanted is None or letter.message_id in missing]
            others += [letter for letter in batch if letter not in chosen]
            if chosen:
                ids = [letter.message_id for letter in chosen]
                deployment.tell("quarantine", "put aside", of=str(queue), after=ids, reason=reason)
            for letter in chosen:
                _write(s3, bucket, _kept(letter, queue, by=by, reason=reason))
            box.drop(chosen)
            missing -= {letter.message_id for letter in chosen}
            done += len(chosen)
            progress(done)
            if wanted is not None and not missing:
                break
    finally:
        box.put_back(others)
    if missing:
        raise QueueError(
            f"{done} put aside; not in {queue}: {', '.join(sorted(missing))}; "
            f"`paywarden redrive {queue} --dry-run --ids` lists those that are"
        )
    return done


def kept(deployment: Deployment, queue: Queue | None = None) -> Iterator[Place]:
    """Where letters in quarantine are, without a look into them."""
    prefix = f"{FOLDER}{queue}/" if queue else FOLDER
    pages = (
        deployment.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=deployment["LakeBucket"], Prefix=prefix)
    )
    for page in pages:
        for each in page.get("Contents", ()):
            yield Place(each["Key"], each["Size"])


def restore(deployment: Deployment, message_id: str) -> Kept:
    """Put a letter back among the dead letters of its queue, from where it can be redriven.

    Its object is deleted then; the bucket keeps the version for 30 days.

    Raises
    ------
    QueueError
        If there is no such letter.
    """
    found = [place for place in kept(deployment) if place.message_id == message_id]
    if not found:
        raise QueueError(
            f"no letter {message_id} is in quarantine; `paywarden quarantine list` shows those that are"
        )
    s3, bucket = deployment.client("s3"), deployment["LakeBucket"]
    letter = read(s3, bucket, found[-1].key)
    deployment.tell("quarantine", "put back", of=str(letter.queue), before=[message_id])
    told = Letter(letter.message_id, letter.body, letter.sent_at, letter.attributes)
    why = box_of(deployment, letter.queue).send([told], redriven=False)[0]
    if why:
        raise QueueError(f"letter {message_id} stays in quarantine: {why}; run this again")
    for place in found:
        s3.delete_object(Bucket=bucket, Key=place.key)
    return letter


def read(s3: Any, bucket: str, key: str) -> Kept:
    """One letter in quarantine."""
    return msgspec.json.decode(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), type=Kept)


def _kept(letter: Letter, queue: Queue, *, by: str, reason: str) -> Kept:
    return Kept(
        queue=queue,
        message_id=letter.message_id,
        sent_at=letter.sent_at,
        kept_at=now(),
        by=by,
        reason=reason,
        attributes=dict(letter.attributes),
        body=letter.body,
    )


def _write(s3: Any, bucket: str, letter: Kept) -> None:
    day = f"{datetime.fromtimestamp(letter.kept_at / 1_000, UTC):%Y-%m-%d}"
    s3.put_object(
        Bucket=bucket,
        Key=f"{FOLDER}{letter.queue}/{day}/{letter.message_id}.json",
        Body=msgspec.json.encode(letter),
        ContentType="application/json",
    )
