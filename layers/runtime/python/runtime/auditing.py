"""The audit trail: who changed what, when, and from what to what. Entries are added, and never changed.

A change of a table and its entry are one transaction: without the entry there is no change. What lies elsewhere,
such as the secret with the keys of tokens, is changed after its entry was recorded: then an entry without a change
is possible, if the change failed, and a change without an entry is not.

========================== ============================ =====================================================
subject                    id                           holds
========================== ============================ =====================================================
``merchant#M``             ``1764515550123-9f86d081``   `Entry`, as JSON: what was changed of a merchant's
``platform``               likewise, in order of time   what was changed of everybody's
========================== ============================ =====================================================
"""

import hashlib
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = [
    "LARGEST_STATE",
    "PLATFORM",
    "AuditTrail",
    "Entry",
    "Kind",
    "MemoryTrail",
    "Trail",
    "altered_key",
    "entry_of",
    "merchant",
    "moment_of",
    "object_key",
    "state",
]

type Kind = Literal[
    "rules",
    "lists",
    "entries",
    "policy",
    "merchant",
    "token keys",
    "erasure",
    "model",
    "serving",
    "code",
    "states",
    "quarantine",
    "redrive",
    "restore",
]
"""What was changed; ``entries`` are those of a merchant's list."""

PLATFORM: Final = "platform"
"""The subject of what is nobody's alone."""

LARGEST_STATE: Final = 150_000
"""Bytes of a state: an entry holds two, and DynamoDB holds no item of more than 400 kB."""

_LONGEST_KEY: Final = 1_024
"""Bytes that S3 takes."""

_SHOWN: Final = 100
"""Characters of a name in a key; none is more than 4 bytes."""


class Entry[K: str = Kind](msgspec.Struct, frozen=True, kw_only=True):
    """One change.

    No secret is in it, and nothing that identifies people but as tokens. One is written of a `Kind` only, and read
    of any: the next release has others.

    Attributes
    ----------
    at : int
        Milliseconds since the epoch, UTC.
    who : str
        ``key:ID`` for a merchant's key, an ARN for a person, ``retrain:NAME`` for an execution.
    subject : str
        Whose it is: `PLATFORM`, or as `merchant` gives it.
    of : str
        Which one of its kind: a list's key, a model's version, a function; empty where there is one only.
    action : str
        One word, such as ``put``, ``rotate`` or ``approve``.
    before, after : object
        What JSON can hold, None where there was or is nothing; see `state` for large ones.
    reason : str
        As given by who did it.
    correlation_id : str
        Of the request that asked for it; empty if none did.
    """

    at: int
    who: str
    kind: K
    subject: str
    action: str
    of: str = ""
    before: Any = None
    after: Any = None
    reason: str = ""
    correlation_id: str = ""


class Trail(Protocol):
    """What takes entries; `AuditTrail` and `MemoryTrail` say where to."""

    def record(self, entry: Entry) -> None:
        """Add an entry, for a change that is made right after and lies in no table."""
        ...


@dataclass(frozen=True)
class AuditTrail:
    """Entries in a table of DynamoDB with the keys subject and id.

    Parameters
    ----------
    who : callable, optional
        Who this process acts for, as AWS knows them. It takes the place of what entries say, which is then only
        what somebody said of themselves.
    correlation_id : callable, optional
        Of the request that is served.
    """

    client: "DynamoDBClient"
    table: str
    who: Callable[[], str] | None = None
    correlation_id: Callable[[], str] = str

    def record(self, entry: Entry) -> None:
        """Add an entry by itself; a failure is the client's error, and then nothing may be changed."""
        self.client.put_item(**self._put(entry))

    def part(self, entry: Entry) -> Any:
        """An entry as a part of a transaction, with the change that it tells of."""
        return {"Put": self._put(entry)}

    def _put(self, entry: Entry) -> dict[str, Any]:
        if self.who is not None:
            entry = msgspec.structs.replace(entry, who=self.who())
        if not entry.correlation_id:
            entry = msgspec.structs.replace(entry, correlation_id=self.correlation_id())
        item = {
            "subject": {"S": entry.subject},
            # In order of time, and different for two of the same moment.
            "id": {"S": f"{entry.at:013d}-{secrets.token_hex(4)}"},
            "entry": {"S": msgspec.json.encode(entry).decode()},
        }
        return {"TableName": self.table, "Item": item, "ConditionExpression": "attribute_not_exists(subject)"}


@dataclass(frozen=True)
class MemoryTrail:
    """The same, in this process."""

    entries: list[Entry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, entry: Entry) -> None:
        with self._lock:
            self.entries.append(entry)


def merchant(merchant_id: str) -> str:
    """The subject of what is a merchant's."""
    return f"merchant#{merchant_id}"


def state(document: object) -> Any:
    """What an entry holds of a document: the document, or what it can be known again by if it is large."""
    if document is None:
        return None
    content = msgspec.json.encode(document)
    if len(content) <= LARGEST_STATE:
        return msgspec.Raw(content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def moment_of(id_: str) -> int | None:
    """When an entry was written, in ms since the epoch, by the id under which it lies; None if that is no id."""
    found = re.fullmatch("([0-9]{13})-[0-9a-f]{8}", id_)
    return int(found[1]) if found else None


def entry_of(subject: str, id_: str, text: str) -> Entry | None:
    """The entry of an item of the table; None if the item is none that a trail writes."""
    try:
        entry = msgspec.json.decode(text, type=Entry)
    except (msgspec.DecodeError, RecursionError):
        return None
    keyed = entry.subject == subject and entry.at == moment_of(id_)
    return entry if keyed and len(object_key(subject, id_).encode()) <= _LONGEST_KEY else None


def object_key(subject: str, id_: str) -> str:
    """Where the locked copy of an entry is."""
    return f"entries/{subject.replace('#', '/', 1)}/{id_}.json"


def altered_key(subject: str, id_: str, number: str) -> str:
    """Where it says what was done to the table; `number` is that of the stream's record, and different for each.

    Somebody may have given the item names that are too long for a key: what it says has them in full.
    """
    return f"altered/{subject.replace('#', '/', 1)[:_SHOWN]}/{id_[:_SHOWN]}/{number}.json"
