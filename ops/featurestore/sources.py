"""All that a deployment knows of the past: what was imported into its lake, and what its ledger recorded."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fraud.decision import event_of
from fraud.events import Event, EventError, check
from fraud.replay import arrival
from ops import scanning
from ops.inputs import Row, from_frame

__all__ = ["History", "import_key", "import_names", "known"]

_HISTORY, _FILE = "history/", "/transactions-00000.parquet"

AHEAD = 600_000
"""How far ahead of the watermark an event of the ledger may be, in ms; live traffic refuses it too."""


def import_key(name: str) -> str:
    """Where the rows of an import are in the lake."""
    return f"{_HISTORY}{name}{_FILE}"


def import_names(s3: Any, bucket: str) -> tuple[str, ...]:
    """The names of all imports, sorted."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_HISTORY)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    return tuple(sorted(key.removeprefix(_HISTORY).removesuffix(_FILE) for key in keys if key.endswith(_FILE)))


def known(rows: Sequence[Row], until: int | None = None) -> tuple[list[Event], int]:
    """The events of an import with the labels known by `until` (ms), and how many labels are later.

    Without a moment, as where history is replayed at its own times, it is that of the last payment.
    """
    if until is None:
        until = max((row.transaction.event_time for row in rows), default=0)
    labels = [row.label for row in rows if row.label is not None]
    events: list[Event] = [row.transaction for row in rows]
    events += [label for label in labels if label.known_at <= until]
    events.sort(key=arrival)
    return events, sum(label.known_at > until for label in labels)


@dataclass
class History:
    """The events of some imports, and of the ledger up to a moment.

    Attributes
    ----------
    replays : bool
        Whether events carry the times of a replayed history, which may be ahead of the clock.
    refused : int
        Records so far that no feature can be computed from; live traffic refuses them too.
    """

    s3: Any
    bucket: str
    dynamodb: Any
    table: str
    replays: bool
    refused: int = field(default=0, init=False)

    def names(self) -> tuple[str, ...]:
        """The imports that there are now."""
        return import_names(self.s3, self.bucket)

    def events(self, imports: Sequence[str], until: int) -> Iterator[Event]:
        """Every event of those imports, and every one that was recorded up to `until` (ms): the same each time."""
        for name in sorted(imports):
            for event in self._import(name, None if self.replays else until):
                if self._usable(event):
                    yield event
        for text in self._ledger():
            try:
                row = msgspec.json.decode(text, type=dict[str, Any])
                recorded_at = msgspec.convert(row.get("recorded_at"), int)
                event = event_of(row)
            except msgspec.DecodeError:  # no JSON, or not that of an event
                self.refused += 1
                continue
            if recorded_at <= until and self._usable(event, None if self.replays else until + AHEAD):
                yield event

    def _import(self, name: str, until: int | None) -> list[Event]:
        import pandas as pd

        body = self.s3.get_object(Bucket=self.bucket, Key=import_key(name))["Body"].read()
        return known(list(from_frame(pd.read_parquet(io.BytesIO(body)))), until)[0]

    def _usable(self, event: Event, latest: int | None = None) -> bool:
        try:
            check(event)
        except EventError:
            usable = False
        else:
            usable = latest is None or event.event_time <= latest
        self.refused += not usable
        return usable

    def _ledger(self) -> Iterator[str]:
        """The rows of the whole ledger, a page of each segment at a time."""
        pages = scanning.pages(
            self.dynamodb,
            TableName=self.table,
            ProjectionExpression="#r",
            ExpressionAttributeNames={"#r": "row"},
        )
        for page in pages:
            for item in page:
                yield item.get("row", {}).get("S", "")
