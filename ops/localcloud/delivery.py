"""Buffer a delivery stream's records as Firehose does, so that S3 gets objects of many records.

The emulator writes one object per record, at once; with conversion to Parquet that costs more than all the
rest of a request, and fills the lake with thousands of tiny objects.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Buffers", "UnreachableError"]

_MEBIBYTE = 1024 * 1024
_TICK_SECONDS = 0.25
# Firehose waits longer from try to try, and gives up after a day; here nothing is given up.
_AGAIN_SECONDS = 1.0


class UnreachableError(Exception):
    """The destination cannot be reached just now: what was to be delivered has to wait."""


@dataclass
class _Buffer:
    stream: dict[str, Any]
    destination: dict[str, Any]
    since: float
    due: float
    limit: int
    context: Callable[..., Any]
    records: list[tuple[str, bytes]] = field(default_factory=list)
    size: int = 0


class Buffers:
    """Records waiting for delivery, one buffer for each delivery stream.

    Parameters
    ----------
    deliver
        Called with stream, destination and records when a buffer is full or due.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        deliver: Callable[[dict[str, Any], dict[str, Any], Sequence[tuple[str, bytes]]], None],
        clock: Callable[[], float],
    ) -> None:
        self._deliver, self._clock = deliver, clock
        self._buffers: dict[int, _Buffer] = {}
        self._lock = threading.Lock()
        self._delivery = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="firehose-buffers", daemon=True)

    def start(self) -> None:
        """Deliver what is due from now on, on a thread of its own."""
        self._thread.start()

    def add(
        self,
        stream: dict[str, Any],
        destination: dict[str, Any],
        records: Sequence[tuple[str, bytes]],
        context: Callable[..., Any],
    ) -> None:
        """Keep `records` until their buffer is full or due.

        Parameters
        ----------
        context
            Runs a function in the caller's request context (account and region).
        """
        hints = destination["config"].get("BufferingHints") or {}
        full: _Buffer | None = None
        with self._lock:
            buffer = self._buffers.get(id(destination))
            if buffer is None:
                now = self._clock()
                buffer = self._buffers[id(destination)] = _Buffer(
                    stream,
                    destination,
                    since=now,
                    due=now + hints.get("IntervalInSeconds", 300),
                    limit=hints.get("SizeInMBs", 5) * _MEBIBYTE,
                    context=context,
                )
            buffer.records.extend(records)
            buffer.size += sum(len(data) for _, data in records)
            if buffer.size >= buffer.limit:
                full = self._buffers.pop(id(destination))
        if full:
            self._flush(full)

    def flush_due(self) -> None:
        """Deliver every buffer whose time has come."""
        now = self._clock()
        with self._lock:
            due = [key for key, buffer in self._buffers.items() if buffer.due <= now]
            buffers = [self._buffers.pop(key) for key in due]
        for buffer in buffers:
            self._flush(buffer)

    def waiting(self) -> list[tuple[dict[str, Any], Callable[..., Any], float]]:
        """Streams with records that wait, the context of each, and the age of its oldest record in seconds."""
        now = self._clock()
        with self._lock:
            return [(each.stream, each.context, now - each.since) for each in self._buffers.values()]

    def _flush(self, buffer: _Buffer) -> None:
        with self._delivery:
            try:
                buffer.context(self._deliver, buffer.stream, buffer.destination, buffer.records)
            except UnreachableError:
                self._keep(buffer)

    def _keep(self, buffer: _Buffer) -> None:
        """Put what could not be delivered before what has come since."""
        with self._lock:
            newer = self._buffers.pop(id(buffer.destination), None)
            if newer is not None:
                buffer.records.extend(newer.records)
                buffer.size += newer.size
            buffer.due = self._clock() + _AGAIN_SECONDS
            self._buffers[id(buffer.destination)] = buffer

    def _tick(self) -> None:
        while not self._closed.wait(_TICK_SECONDS):
            self.flush_due()

    def close(self) -> None:
        """Stop the thread; what is still buffered is dropped, like the rest of the server's state."""
        self._closed.set()
