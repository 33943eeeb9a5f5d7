"""A history spread over files by the keys that it touches, so that each part can be folded in bounded memory."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, get_args

import msgspec

from fraud.events import Event, Label, Outcome, OutcomeKind, Transaction
from fraud.features import FeatureSet, Key
from fraud.features.keys import hash64
from fraud.state import State

__all__ = ["MOST_BUCKETS", "Buckets"]

MOST_BUCKETS = 512
"""Each is an open file."""

_FIELDS = tuple(field.name for field in msgspec.structs.fields(Transaction))
_OUTCOMES = frozenset(get_args(OutcomeKind))
_SIZE = 4
"""Bytes that say how long a record is."""


class _Record(msgspec.Struct, array_like=True, frozen=True):
    """An event, and which of the keys that it is folded into are in the bucket."""

    values: list[str | int]
    kind: str
    at: int
    keys: list[int]


class Buckets:
    """Events in files, one for each bucket of keys; used once, as a context manager.

    Parameters
    ----------
    folder : Path
        Empty; an event takes about 300 bytes in each bucket that it has keys in.
    """

    def __init__(self, folder: Path, count: int, features: FeatureSet) -> None:
        self._folder, self._count, self._features = folder, count, features
        self._files = ExitStack()
        self._open: list[BinaryIO] = []
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Record)

    def __enter__(self) -> Self:
        self._open = [self._files.enter_context(self._path(n).open("wb")) for n in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def add(self, event: Event) -> None:
        """Put an event into the buckets of its keys."""
        kind = "" if isinstance(event, Transaction) else event.kind
        at = event.known_at if isinstance(event, Label) else event.event_time
        values = list(msgspec.structs.astuple(event.transaction))
        buckets: dict[int, list[int]] = defaultdict(list)
        for place, key in enumerate(self._features.keys_written(event)):
            buckets[hash64(str(key)) % len(self._open)].append(place)
        for bucket, places in buckets.items():
            record = self._encoder.encode(_Record(values, kind, at, places))
            self._open[bucket].write(len(record).to_bytes(_SIZE, "little") + record)

    def folded(self, bucket: int) -> dict[Key, State]:
        """The states of a bucket's keys; an event that was added more than once counts once, as it came first."""
        states: dict[Key, State] = defaultdict(State)
        seen: set[str] = set()
        for event, places in self._events(bucket):
            event_id = event.event_id
            if event_id in seen:
                continue
            seen.add(event_id)
            keys = self._features.keys_written(event)
            for key in [keys[place] for place in places]:
                self._features.fold(states[key], key.entity, event)
        return dict(states)

    def _events(self, bucket: int) -> Iterator[tuple[Event, list[int]]]:
        self._open[bucket].flush()
        with self._path(bucket).open("rb") as file:
            while size := file.read(_SIZE):
                record = self._decoder.decode(file.read(int.from_bytes(size, "little")))
                yield _event(record), record.keys

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket:04}"


def _event(record: _Record) -> Event:
    # Written by this process a moment ago: nothing to check.
    fields: dict[str, Any] = dict(zip(_FIELDS, record.values, strict=True))
    transaction = Transaction(**fields)
    if not record.kind:
        return transaction
    kind: Any = record.kind
    if kind in _OUTCOMES:
        return Outcome(transaction=transaction, kind=kind, event_time=record.at)
    return Label(transaction=transaction, kind=kind, known_at=record.at)
