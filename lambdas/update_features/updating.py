"""Folding events into states exactly once, however often and in whatever order they are delivered."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

import msgspec

from fraud.events import Event, EventError, Label, Transaction, check
from fraud.features import FeatureSet, Key
from fraud.state import State
from runtime.stores.batches import ThrottledError
from runtime.stores.features import MOST_ITEMS, ConflictError, FeatureStore, Marker, Versioned
from runtime.stores.generations import LEASE, Generations

ATTEMPTS = 6

TOGETHER = 2
"""How many races a batch may lose as a whole. Then events that share no state are written apart: whoever wants the
state of a busy merchant goes on losing, and must not hold back the others. Nothing is written that was not before.
"""

LONGER = 3
"""How many steps of back-off a throttled attempt waits longer than one that lost a race."""

MOST_AHEAD = 600_000
"""How far ahead of the clock an event may be, in ms: one from the far future would expire all else of its keys."""

type Place = tuple[int, Key]
"""A generation's number, and the key of one of its states."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event as it was delivered; `message_id` names the delivery, `recorded_at` is in ms."""

    message_id: str
    event: Event
    recorded_at: int

    @property
    def digest(self) -> str:
        """Of what is counted: the same id with another digest is another event under a used name.

        Of a label that is its transaction and its verdict. Who said it, when and how surely may differ between the
        reports of one verdict, of which the first is folded. What is as it is by default is left out: a field that
        a later release adds makes no other event of one that the release before applied.
        """
        event = self.event
        told = (_told(event.transaction), event.is_fraud) if isinstance(event, Label) else _told(event)
        return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()[:32]


def _told(event: Event) -> dict[str, object]:
    """What an event says beyond the defaults of its fields."""
    defaults = _defaults(type(event))
    told = {name: value for name, value in msgspec.structs.asdict(event).items() if value != defaults[name]}
    if not isinstance(event, Transaction):
        told["transaction"] = _told(event.transaction)
    return told


@cache
def _defaults(kind: type[Event]) -> dict[str, object]:
    return {field.name: field.default for field in msgspec.structs.fields(kind)}


@dataclass(slots=True)
class Report:
    """What became of a batch.

    Attributes
    ----------
    late : int
        Applied, but too late for every state that would have kept them.
    covered : int
        Applied, but part of the history that every generation was built from.
    mismatched : int
        Refused: their id was applied with another payload.
    rejected : int
        Refused: from the future.
    conflicts, throttled : int
        Transactions that lost a race, and reads or writes that DynamoDB had no capacity for; each was tried again.
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
    covered: int = 0
    mismatched: int = 0
    rejected: int = 0
    conflicts: int = 0
    throttled: int = 0
    failed: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    lags: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """An event that was not applied yet, and the states that it belongs to."""

    delivery: Delivery
    digest: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Updater:
    """Applies batches of events to the feature store.

    Parameters
    ----------
    clock : callable
        Wall-clock milliseconds.
    pause : callable
        Waits before attempt number n (0, 1, ...), with jitter.
    ahead : int, optional
        How far an event's time may be ahead of the clock, in ms; without it there is no limit, as for replayed
        histories.
    """

    features: FeatureSet
    store: FeatureStore
    clock: Callable[[], int]
    pause: Callable[[int], None]
    ahead: int | None = None

    def apply(self, deliveries: Sequence[Delivery]) -> Report:
        """Apply every event of a batch that was not applied before.

        Each chunk is one transaction of markers and states: a crash leaves all of it or nothing. An
        event whose id was applied with another payload is refused, and its message fails until it
        reaches the dead-letter queue.
        """
        report = Report()
        waiting = [delivery for delivery in deliveries if self._usable(delivery, report)]
        for attempt in range(ATTEMPTS):
            throttled = report.throttled
            waiting = self._attempt(waiting, report)
            if not waiting:
                return report
            if attempt + 1 < ATTEMPTS:
                self.pause(attempt + LONGER if report.throttled > throttled else attempt)
        report.failed += [delivery.message_id for delivery in waiting]
        return report

    def _usable(self, delivery: Delivery, report: Report) -> bool:
        try:
            check(delivery.event)
        except EventError as error:
            report.unusable.append(str(error))
        else:
            if self.ahead is None or delivery.event.event_time <= self.clock() + self.ahead:
                return True
            report.rejected += 1
        report.failed.append(delivery.message_id)
        return False

    def _attempt(self, deliveries: Sequence[Delivery], report: Report) -> list[Delivery]:
        """Apply what can be applied now; return what has to be tried again."""
        try:
            read_at = self.clock()
            fresh = self._fresh(deliveries, report)
        except ThrottledError:
            report.throttled += 1
            return list(deliveries)
        except ConflictError:
            report.conflicts += 1
            return list(deliveries)
        again: list[Delivery] = []
        groups = [fresh] if report.conflicts < TOGETHER else _related(fresh)
        for chunk in chain.from_iterable(map(_chunks, groups)):
            again += self._transaction(chunk, report, until=read_at + LEASE // 2)
        return again

    def _fresh(self, deliveries: Sequence[Delivery], report: Report) -> list[_Fresh]:
        """Those events of a batch that were not applied yet, each once."""
        if not deliveries:
            return []
        generations, known = self.store.look({delivery.event.event_id for delivery in deliveries})
        now = self.clock()
        self._own_up(generations, deliveries)
        fresh = []
        for delivery in deliveries:
            event_id, digest = delivery.event.event_id, delivery.digest
            if event_id not in known:
                known[event_id] = digest
                takers = generations.takers(delivery.recorded_at, now)
                keys = self.features.keys_written(delivery.event) if takers else ()
                places = tuple((number, key) for number in takers for key in keys)
                report.covered += not takers
                fresh.append(_Fresh(delivery, digest, places))
            elif known[event_id] == digest:
                report.duplicate += 1
            else:
                report.mismatched += 1
                report.failed.append(delivery.message_id)
        return fresh

    def _own_up(self, generations: Generations, deliveries: Sequence[Delivery]) -> None:
        """Before anything is folded into a generation with other features than it is built for, note that down."""
        building = generations.building
        if building is None or building.mixed or building.feature_set in ("", self.features.version):
            return
        if any(delivery.recorded_at > building.watermark for delivery in deliveries):
            mixed = msgspec.structs.replace(building, mixed=True)
            self.store.change(generations, msgspec.structs.replace(generations, building=mixed))

    def _transaction(self, chunk: Sequence[_Fresh], report: Report, *, until: int) -> list[Delivery]:
        """Apply a chunk, all or nothing; return what has to be tried again."""
        try:
            late = self._commit(chunk, until)
        except ConflictError:
            report.conflicts += 1
        except ThrottledError:
            report.throttled += 1
        except ValueError as error:
            return self._apart(chunk, report, error, until=until)
        else:
            report.applied += len(chunk)
            report.late += late
            committed = self.clock()
            report.lags += [committed - each.delivery.recorded_at for each in chunk]
            return []
        return [each.delivery for each in chunk]

    def _apart(self, chunk: Sequence[_Fresh], report: Report, error: ValueError, *, until: int) -> list[Delivery]:
        """Apply each event of a chunk by itself: the one that cannot be folded must not block the others.

        Such an event holds what no state can, belongs to a state that is corrupt, or makes an item too large.
        """
        if len(chunk) > 1:
            return [waits for each in chunk for waits in self._transaction([each], report, until=until)]
        report.failed.append(chunk[0].delivery.message_id)
        report.unusable.append(str(error))
        return []

    def _commit(self, chunk: Sequence[_Fresh], until: int) -> int:
        """Fold and write; the number of events that came too late for all their states."""
        states = self._read({place for each in chunk for place in each.places})
        late = 0
        for each in chunk:
            kept = [
                self.features.fold(states[number][key].state, key.entity, each.delivery.event)
                for number, key in each.places
            ]
            late += bool(kept) and not any(kept)
        applied_at = self.clock()
        if applied_at > until:
            raise ConflictError("the generations were read too long ago to act on them")
        markers = [
            Marker(each.delivery.event.event_id, each.digest, each.delivery.recorded_at, applied_at)
            for each in chunk
        ]
        # Past this moment no window can read what is written here, and no duplicate can do harm: an event
        # older than the longest retention is late for every level.
        newest = [each.state.newest for several in states.values() for each in several.values()]
        expires_at = (max([*newest, applied_at]) + 2 * self.features.retention) // 1_000
        self.store.write(markers, states, expires_at=expires_at)
        return late

    def _read(self, places: Iterable[Place]) -> dict[int, dict[Key, Versioned]]:
        """The states of some places, new ones where there are none yet."""
        keys: dict[int, list[Key]] = {}
        for number, key in sorted(places):
            keys.setdefault(number, []).append(key)
        states: dict[int, dict[Key, Versioned]] = {}
        for number, wanted in keys.items():
            found = self.store.read(wanted, generation=number)
            states[number] = {key: found.get(key) or Versioned(State()) for key in wanted}
        return states


def _related(fresh: Sequence[_Fresh]) -> list[list[_Fresh]]:
    """Split so that two events are together only if they share a state, or others link them that do."""
    groups: list[tuple[set[Place], list[_Fresh]]] = []
    for each in fresh:
        places, members = set(each.places), [each]
        apart = []
        for group in groups:
            if group[0].isdisjoint(each.places):
                apart.append(group)
            else:
                places |= group[0]
                members += group[1]
        groups = [*apart, (places, members)]
    return [members for _, members in groups]


def _chunks(fresh: Sequence[_Fresh]) -> Iterator[list[_Fresh]]:
    """Split so that a chunk's markers and different states always fit into one transaction."""
    chunk: list[_Fresh] = []
    places: set[Place] = set()
    for each in fresh:
        together = places.union(each.places)
        if chunk and len(chunk) + 1 + len(together) > MOST_ITEMS:
            yield chunk
            chunk, together = [], set(each.places)
        chunk.append(each)
        places = together
    if chunk:
        yield chunk
