"""Dead letters of one queue: looked at and put back, or taken one batch after the other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import batched
from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from ops.deployment import Deployment
from ops.times import now
from runtime.stores.batches import ThrottledError

__all__ = [
    "AWS_ERRORS",
    "OUTPUTS",
    "QUEUES",
    "Box",
    "Letter",
    "Queue",
    "QueueError",
    "box_of",
    "in_short",
    "returned",
]

AWS_ERRORS: Final = (ClientError, BotoCoreError, ThrottledError)
"""What a call to AWS may raise."""

BATCH: Final = 10
"""How many messages SQS takes or gives at once."""

HELD: Final = 300
"""Seconds that a letter is out of sight once it is taken; after them it is back by itself, whatever happened."""

REDRIVEN: Final = "redriven"
"""The attribute that says how often a letter was sent back: it comes along if the letter dies again."""


class QueueError(Exception):
    """Dead letters cannot be handled so; the message says what to do."""


class Queue(StrEnum):
    """The queues of dead letters, by what is in them."""

    UPDATES = "updates"
    LABELS = "labels"
    UNDELIVERED = "undelivered"
    UNRELAYED = "unrelayed"
    UNWITHDRAWN = "unwithdrawn"


QUEUES: Mapping[Queue, str] = {
    Queue.UPDATES: "events that update_features could not fold",
    Queue.LABELS: "labels from the bus that record_label could not record",
    Queue.UNDELIVERED: "events that the bus could not deliver",
    Queue.UNRELAYED: "lines of the ledger that relay_decisions could not publish",
    Queue.UNWITHDRAWN: "models of failed retrainings that release_model could not withdraw",
}

OUTPUTS: Mapping[Queue, str] = {
    Queue.UPDATES: "UpdateDeadLetterQueueUrl",
    Queue.LABELS: "LabelDeadLetterQueueUrl",
    Queue.UNDELIVERED: "UndeliveredQueueUrl",
    Queue.UNRELAYED: "UnrelayedQueueUrl",
    Queue.UNWITHDRAWN: "UnwithdrawnQueueUrl",
}
"""Where a deployment tells their addresses."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that could not be handled.

    Attributes
    ----------
    sent_at : int
        When it was first sent, in ms since the epoch.
    attributes : mapping of str to str
        What whoever gave it up said of it, such as ``ERROR_CODE``.
    """

    message_id: str
    body: str
    sent_at: int
    attributes: Mapping[str, str]

    @property
    def redriven(self) -> int:
        """How often it was sent back and came here again."""
        count = self.attributes.get(REDRIVEN, "0")
        return int(count) if count.isdigit() else 0

    def value(self) -> dict[str, Any]:
        """Its body as a JSON object; empty if it is none."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return {}


class Box:
    """One queue of dead letters.

    Parameters
    ----------
    client
        Of SQS.
    wait : int
        Seconds until a queue without a message counts as empty; SQS asks all of its servers only if it waits.
    """

    def __init__(self, client: Any, url: str, *, wait: int = 1) -> None:
        self._client, self.url, self._wait = client, url, wait
        self._receipts: dict[str, str] = {}
        # Of letters by their ids: SQS heeds the receipt of the last time that a message was received.

    def count(self) -> int:
        """How many letters there are, those out of sight included; SQS calls it approximate."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        found = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found.get(name, 0)) for name in names)

    def take(self, most: int) -> Iterator[list[Letter]]:
        """Up to `most` letters in batches, each letter once.

        They are out of sight for `HELD` seconds. Those that come back into sight while others are still being
        taken are held for as long again, and are no letters anew.
        """
        taken: set[str] = set()
        while most > 0:
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(BATCH, most),
                VisibilityTimeout=HELD,
                WaitTimeSeconds=self._wait,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=["All"],
            )
            messages = answer.get("Messages", ())
            if not messages:
                return
            self._receipts |= {each["MessageId"]: each["ReceiptHandle"] for each in messages}
            letters = [_letter(each) for each in messages if each["MessageId"] not in taken]
            taken.update(letter.message_id for letter in letters)
            most -= len(letters)
            if letters:
                yield letters

    def peek(self, most: int) -> list[Letter]:
        """Up to `most` letters, each of them back in its place before this returns."""
        found = [letter for batch in self.take(most) for letter in batch]
        self.put_back(found)
        return found

    def put_back(self, letters: Iterable[Letter]) -> None:
        """Let letters that were taken be seen again."""
        for batch in batched(letters, BATCH, strict=False):
            self._client.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(n), "ReceiptHandle": self._receipts[each.message_id], "VisibilityTimeout": 0}
                    for n, each in enumerate(batch)
                ],
            )

    def drop(self, letters: Sequence[Letter]) -> None:
        """Delete letters that were taken.

        Raises
        ------
        QueueError
            If SQS did not delete all of them: they come back into sight by themselves.
        """
        failed = 0
        for batch in batched(letters, BATCH, strict=False):
            entries = [
                {"Id": str(n), "ReceiptHandle": self._receipts[each.message_id]} for n, each in enumerate(batch)
            ]
            answer = self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
            failed += len(answer.get("Failed", ()))
        if failed:
            raise QueueError(
                f"{failed} letters were handled and not deleted; run this again: it changes nothing twice"
            )

    def send(self, letters: Sequence[Letter], *, redriven: bool) -> list[str]:
        """Put up to ten letters into this queue; why not, for each, or nothing.

        Parameters
        ----------
        redriven : bool
            Whether this counts as a way back, for those who see the letter next.
        """
        entries = [
            {"Id": str(n), "MessageBody": each.body, **_attributes(each, redriven=redriven)}
            for n, each in enumerate(letters)
        ]
        try:
            answer = self._client.send_message_batch(QueueUrl=self.url, Entries=entries)
        except AWS_ERRORS as error:
            if len(letters) > 1 and in_short(error).endswith("BatchRequestTooLong"):
                return [self.send([each], redriven=redriven)[0] for each in letters]
            return [in_short(error)] * len(letters)
        why = {int(each["Id"]): f"{each['Code']}: not sent" for each in answer.get("Failed", ())}
        return [why.get(n, "") for n in range(len(letters))]


def box_of(deployment: Deployment, queue: Queue) -> Box:
    """A deployment's dead letters of a queue."""
    return Box(deployment.client("sqs"), deployment[OUTPUTS[queue]])


def in_short(error: Exception) -> str:
    """An error in a few words; of AWS the operation and the code, since its text may repeat what was sent."""
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response['Error']['Code']}"
    if isinstance(error, ThrottledError):
        return "DynamoDB is throttling; try again in some minutes"
    return type(error).__name__ if isinstance(error, BotoCoreError) else str(error)


def returned(letter: Letter) -> bool:
    """Whether a letter was sent back before, and died again."""
    return letter.redriven > 0


def _letter(message: Any) -> Letter:
    attributes = {
        name: each["StringValue"]
        for name, each in message.get("MessageAttributes", {}).items()
        if "StringValue" in each
    }
    sent_at = message.get("Attributes", {}).get("SentTimestamp")
    return Letter(
        message_id=message["MessageId"],
        body=message["Body"],
        sent_at=int(sent_at) if sent_at else now(),
        attributes=attributes,
    )


def _attributes(letter: Letter, *, redriven: bool) -> dict[str, Any]:
    values = {name: value for name, value in letter.attributes.items() if name != REDRIVEN}
    count = letter.redriven + redriven
    told = {name: {"DataType": "String", "StringValue": value} for name, value in values.items() if value}
    if count:
        told[REDRIVEN] = {"DataType": "Number", "StringValue": str(count)}
    # SQS takes ten at most; those of EventBridge and ours are seven.
    return {"MessageAttributes": dict(list(told.items())[-10:])} if told else {}
