"""Folding events into states exactly once, however often and in whatever order they are delivered."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from fraud.events import Event
from fraud.features import FeatureSet, Key
from fraud.state import State
from runtime.stores.features import MOST_ITEMS, ConflictError, FeatureStore, Marker, Versioned

ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event as it was delivered; `message_id` names the delivery, `recorded_at` is in ms."""

    message_id: str
    event: Event
    recorded_at: int

    @property
    def digest(self) -> str:
        """Of the event itself: the same id with another digest is another event under a used name."""
        return hashlib.sha256(msgspec.json.encode(self.event, order="deterministic")).hexdigest()[:32]


@dataclass(slots=True)
class Report:
    """What became of a batch.

    Attributes
    ----------
    failed : list of str
        Message ids to deliver again.
    unusable : list of str
        What was wrong with each event that could not be folded; their messages are among `failed`.
    lags : list of int
        Milliseconds from recording to commit, one for each event applied.
    """

    applied: int = 0
    duplicate: int = 0
    late: int = 0
    mismatched: int = 0
    conflicts: int = 0
    failed: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    lags: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Updater:
    """Applies batches of events to the feature store.

    Parameters
    ----------
    clock : callable
        Wall-clock milliseconds.
    pause : callable
        Waits before attempt number n (0, 1, ...), with jitter.
    """

    features: FeatureSet
    store: FeatureStore
    clock: Callable[[], int]
    pause: Callable[[int], None]

    def apply(self, deliveries: Sequence[Delivery]) -> Report:
        """Apply every event of a batch that was not applied before.

        Each chunk is one transaction of markers and states: a crash leaves all of it or nothing. An
        event whose id was applied with another payload is refused, and its message fails until it
        reaches the dead-letter queue.
        """
        report = Report()
        for chunk in self._chunks(deliveries):
            self._apply_chunk(chunk, report)
        return report

    def _chunks(self, deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
        """Split so that a chunk's markers and states always fit into one transaction."""
        chunk: list[Delivery] = []
        items = 0
        for delivery in deliveries:
            size = 1 + len(self.features.keys_written(delivery.event))
            if items + size > MOST_ITEMS:
                yield chunk
                chunk, items = [], 0
            chunk.append(delivery)
            items += size
        if chunk:
            yield chunk

    def _apply_chunk(self, chunk: list[Delivery], report: Report) -> None:
        for attempt in range(ATTEMPTS):
            if attempt:
                self.pause(attempt - 1)
            try:
                self._attempt(chunk, report)
            except ConflictError:
                report.conflicts += 1
            except ValueError as error:
                self._apart(chunk, report, error)
                return
            else:
                return
        report.failed += [delivery.message_id for delivery in chunk]

    def _apart(self, chunk: list[Delivery], report: Report, error: ValueError) -> None:
        """Apply each event of a chunk by itself: the one that cannot be folded must not block the others.

        Such an event holds what no state can, or belongs to a state that is corrupt.
        """
        if len(chunk) > 1:
            for delivery in chunk:
                self._apply_chunk([delivery], report)
        else:
            report.failed.append(chunk[0].message_id)
            report.unusable.append(str(error))

    def _attempt(self, chunk: list[Delivery], report: Report) -> None:
        known = self.store.digests({delivery.event.event_id for delivery in chunk})
        fresh: dict[str, Delivery] = {}
        duplicate = 0
        mismatched: list[str] = []
        for delivery in chunk:
            event_id, digest = delivery.event.event_id, delivery.digest
            if event_id not in known:
                known[event_id] = digest
                fresh[event_id] = delivery
            elif known[event_id] == digest:
                duplicate += 1
            else:
                mismatched.append(delivery.message_id)
        late = self._commit(list(fresh.values())) if fresh else 0
        report.applied += len(fresh)
        report.duplicate += duplicate
        report.late += late
        report.mismatched += len(mismatched)
        report.failed += mismatched
        committed = self.clock()
        report.lags += [committed - delivery.recorded_at for delivery in fresh.values()]

    def _commit(self, fresh: Sequence[Delivery]) -> int:
        written = {key for delivery in fresh for key in self.features.keys_written(delivery.event)}
        states = self.store.read(sorted(written))
        folded: dict[Key, Versioned] = {key: states.get(key, Versioned(State())) for key in sorted(written)}
        late = 0
        for delivery in fresh:
            event = delivery.event
            kept = [
                self.features.fold(folded[key].state, key.entity, event)
                for key in self.features.keys_written(event)
            ]
            late += bool(kept) and not any(kept)
        applied_at = self.clock()
        markers = [
            Marker(delivery.event.event_id, delivery.digest, delivery.recorded_at, applied_at)
            for delivery in fresh
        ]
        # Past this moment no window can read what is written here, and no duplicate can do harm: an event
        # older than the longest retention is late for every level.
        newest = max(state.state.newest for state in folded.values()) if folded else applied_at
        expires_at = (max(newest, applied_at) + 2 * self.features.retention) // 1_000
        self.store.commit(markers, folded, expires_at=expires_at)
        return late
