"""Entries of the audit trail, read from its table."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

import msgspec

from ops.deployment import Deployment
from ops.scanning import pages
from runtime.auditing import Entry, entry_of, moment_of, object_key

__all__ = ["Recorded", "Wanted", "differences", "read"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """An item of the table, which should hold an entry.

    Attributes
    ----------
    text : str
        The entry as it was written, to the byte; empty if the item holds no text.
    """

    subject: str
    id: str
    text: str

    @property
    def entry(self) -> Entry | None:
        """None if somebody put something into the table that no trail writes."""
        return entry_of(self.subject, self.id, self.text)

    @property
    def at(self) -> int:
        """Ms since the epoch, by the id, which no item can change; 0 if it has none of the trail's."""
        return moment_of(self.id) or 0

    @property
    def key(self) -> str:
        """Of its locked copy."""
        return object_key(self.subject, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries are asked for; by default all.

    Attributes
    ----------
    who : str
        A part of the name is enough.
    since, until : int or None
        Milliseconds since the epoch; the second is not included.
    """

    subject: str = ""
    kind: str = ""
    who: str = ""
    since: int | None = None
    until: int | None = None

    def has(self, recorded: Recorded) -> bool:
        """Whether an entry is among them; what cannot be read may be of any kind, by anybody, at any time."""
        if self.subject not in ("", recorded.subject):
            return False
        entry = recorded.entry
        return entry is None or (
            self.kind in ("", entry.kind)
            and self.who in entry.who
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )


def read(deployment: Deployment, wanted: Wanted = Wanted()) -> list[Recorded]:
    """Entries in order of time."""
    client, table = deployment.client("dynamodb"), deployment["AuditTable"]
    found = map(_recorded, _of_subject(client, table, wanted.subject) if wanted.subject else _all(client, table))
    return sorted(filter(wanted.has, found), key=lambda each: (each.id, each.subject))


def differences(entry: Entry) -> Iterator[str]:
    """From what to what, as lines that are gone (-), that are new (+), and some that stayed around them."""
    lines = unified_diff(_lines(entry.before), _lines(entry.after), lineterm="")
    yield from (line for line in lines if not line.startswith(("---", "+++", "@@")))


def _of_subject(client: Any, table: str, subject: str) -> Iterator[Any]:
    for page in client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="subject = :subject",
        ExpressionAttributeValues={":subject": {"S": subject}},
        ConsistentRead=True,
    ):
        yield from page["Items"]


def _all(client: Any, table: str) -> Iterator[Any]:
    for page in pages(client, TableName=table):
        yield from page


def _recorded(item: Any) -> Recorded:
    return Recorded(item["subject"]["S"], item["id"]["S"], item.get("entry", {}).get("S", ""))


def _lines(state: object) -> list[str]:
    return [] if state is None else msgspec.json.format(msgspec.json.encode(state)).decode().splitlines()
