"""Lines of the ledger that never reached the bus: found again, and published by `relay_decisions` itself.

Such a letter holds no line, only where it was in the table's stream. A stream keeps its records for 24 hours.
After them the ledger is searched, once for all letters of a run, for lines of that time whose event was never
folded. That may be more than what is missing: whoever gets one twice counts it once. Fewer lines than a letter
reports are told, and the letter stays.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Any, Final

from botocore.exceptions import ClientError

from ops.deployment import Deployment
from ops.functions import FunctionError
from ops.queues.ledger import Line, Stretch, lines, merged
from ops.queues.letters import AWS_ERRORS, Letter, QueueError, in_short

__all__ = ["Lost", "Relay", "lost_of"]

BATCH: Final = 100
"""Records in a call of `relay_decisions`, as in its mapping."""

SLACK: Final = 60_000
"""How far the time in a line and that of its arrival in the stream may be apart, in ms."""

EMPTY: Final = 20
"""Answers without a record, one after the other, until a shard is taken to have no more; a few say nothing."""

_GONE: Final = frozenset({"ResourceNotFoundException", "TrimmedDataAccessException", "ExpiredIteratorException"})
_ERRORS: Final = (FunctionError, QueueError, *AWS_ERRORS)


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

    @property
    def stretch(self) -> Stretch:
        """When its lines were recorded."""
        return Stretch(self.since - SLACK, self.until + SLACK)


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


@dataclass(frozen=True)
class Relay:
    """Publishes what was lost.

    Attributes
    ----------
    call : callable
        `relay_decisions`.
    tell : callable
        Called with sentences on what takes long.
    """

    deployment: Deployment
    call: Callable[[Any], Any]
    tell: Callable[[str], None]

    def publish(self, several: Sequence[Lost]) -> dict[Lost, str]:
        """Publish it: from the stream while that has all of it, else from the ledger.

        Returns
        -------
        dict of Lost to str
            Why it was not published, or not all of it; nothing if it was.
        """
        told: dict[Lost, str] = {}
        searched = []
        for lost in dict.fromkeys(several):
            try:
                records = list(_in_stream(self.deployment, lost))
                if not records or _number(records[0]) != lost.first or len(records) < lost.size:
                    searched.append(lost)
                    continue
                self._give([record for record in records if record["eventName"] == "INSERT"])
                told[lost] = ""
            except _ERRORS as error:
                told[lost] = in_short(error)
        return told | (self._search(searched) if searched else {})

    def _search(self, several: Sequence[Lost]) -> dict[Lost, str]:
        """Publish lines of the ledger that were recorded when those were, unless they were folded.

        Letters whose times overlap have their lines together: a line does not say of which it is.
        """
        self.tell(f"The stream has lost what {len(several)} letters report: the ledger is read once, all of it.")
        stretches = merged(lost.stretch for lost in several)
        within = {
            lost: next(each for each in stretches if each.since <= lost.since <= each.until) for lost in several
        }
        missing = Counter[Stretch]()
        for lost, stretch in within.items():
            missing[stretch] += lost.size
        found = Counter[Stretch]()
        failed: dict[Stretch, str] = {}
        client, table = self.deployment.client("dynamodb"), self.deployment["DecisionsTable"]
        try:
            for batch in batched(lines(client, table, stretches, tell=self.tell), BATCH, strict=False):
                wanted = [line for line in batch if line.stretch not in failed]
                try:
                    self._give(self._unfolded(wanted))
                    found.update(line.stretch for line in wanted)
                except _ERRORS as error:
                    failed |= {line.stretch: in_short(error) for line in wanted}
                if len(failed) == len(stretches):
                    break
        except AWS_ERRORS as error:
            failed = dict.fromkeys(stretches, in_short(error)) | failed

        def told(stretch: Stretch) -> str:
            if stretch in failed:
                return failed[stretch]
            less = found[stretch] < missing[stretch]
            return f"only {found[stretch]:,} of {missing[stretch]:,} lines found" if less else ""

        return {lost: told(stretch) for lost, stretch in within.items()}

    def _unfolded(self, wanted: Sequence[Line]) -> list[dict[str, Any]]:
        folded = self.deployment.features().digests({line.event_id for line in wanted}) if wanted else {}
        return [_record(str(n), line.image) for n, line in enumerate(wanted) if line.event_id not in folded]

    def _give(self, records: Sequence[dict[str, Any]]) -> None:
        """Hand records to `relay_decisions`.

        Raises
        ------
        FunctionError
            If it failed.
        QueueError
            If the bus refused some of them.
        """
        for batch in batched(records, BATCH, strict=False):
            refused = self.call({"Records": batch})["batchItemFailures"]
            if refused:
                raise QueueError(
                    f"the bus refused {len(refused)} of {len(batch)} lines; see the log of relay_decisions"
                )


def _in_stream(deployment: Deployment, lost: Lost) -> Iterator[dict[str, Any]]:
    """Records of the stream from the first that was lost to the last; none if the stream is past them."""
    client = deployment.client("dynamodbstreams")
    empty = 0
    try:
        iterator = client.get_shard_iterator(
            StreamArn=lost.stream,
            ShardId=lost.shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=lost.first,
        )["ShardIterator"]
        # An open shard answers with nothing at its end, for ever; within a shard an answer may be empty, too.
        while iterator and empty < EMPTY:
            answer = client.get_records(ShardIterator=iterator)
            empty = 0 if answer["Records"] else empty + 1
            for each in answer["Records"]:
                number = each["dynamodb"]["SequenceNumber"]
                if int(number) > int(lost.last):
                    return
                yield _record(number, each["dynamodb"].get("NewImage", {}), each["eventName"])
                if number == lost.last:
                    return
            iterator = answer.get("NextShardIterator")
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise


def _number(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def _record(number: str, image: Mapping[str, Any], name: str = "INSERT") -> dict[str, Any]:
    return {"eventName": name, "dynamodb": {"SequenceNumber": number, "NewImage": image}}


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
