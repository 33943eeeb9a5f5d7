"""A platform in miniature: a ledger, a queue, updaters and a bootstrap, in any order, on any feature store."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from fraud.codec import encode
from fraud.events import Event, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import fold
from fraud.state import State
from lambdas.update_features.updating import Delivery, Updater
from ops.featurestore.bootstrap import Built, build
from ops.featurestore.merging import fingerprint, merge
from runtime.stores.features import FeatureStore, Marker, Versioned
from runtime.stores.generations import Generations
from runtime.stores.states import ByGeneration

LEASE, SETTLE = 60_000, 60_000


class Killed(BaseException):
    """The process ends here."""


class Watched(FeatureStore):
    """Any store, with something happening at the writes of a bootstrap."""

    def __init__(self, store: FeatureStore) -> None:
        self.store = store
        self.before: Callable[[], None] = lambda: None
        self.plan: Mapping[int, bool] = {}
        self.writes = 0

    def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
        return self.store.read(keys, generation=generation)

    def look(self, event_ids: Iterable[str]) -> tuple[Generations, dict[str, str]]:
        return self.store.look(event_ids)

    def change(self, before: Generations, after: Generations) -> Generations:
        return self.store.change(before, after)

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        if not markers[0].event_id.startswith("bootstrap/"):
            return self.store.write(markers, states, expires_at=expires_at)
        self.writes += 1
        self.before()
        written = self.plan.get(self.writes)
        if written is not False:
            self.store.write(markers, states, expires_at=expires_at)
        if written is not None:
            raise Killed
        return None


class World:
    """What the platform does with events that are recorded one after the other.

    Attributes
    ----------
    now : int
        Wall-clock ms; time passes only where somebody waits.
    ledger : list of (Event, int)
        With the moment that each was recorded at.
    """

    refused = 0

    def __init__(self, store: FeatureStore, imported: Sequence[Event], coming: Sequence[Event], seed: int) -> None:
        self.store = Watched(store)
        self.store.before = self.something
        self.now = 1_800_000_000_000
        self.imported = list(imported)
        self.ledger: list[tuple[Event, int]] = []
        self._coming = list(coming)
        self._pending: list[Delivery] = []
        self._sent: list[Delivery] = []
        self.rng = random.Random(seed)
        states = reference(self.imported)
        if states:
            self._import(states)

    def something(self) -> None:
        """Nothing, an event, a batch of messages: what live traffic does meanwhile."""
        for _ in range(self.rng.randint(0, 3)):
            if self._coming and self.rng.random() < 0.6:
                self.record()
            else:
                self.deliver()

    def record(self) -> None:
        """The next event is written into the ledger, and is on its way to the queue."""
        event = self._coming.pop(0)
        self.ledger.append((event, self.now))
        self._pending.append(Delivery(event.event_id, event, self.now))

    def deliver(self) -> None:
        """A batch of messages, in no order, some of them for the second time."""
        self.rng.shuffle(self._pending)
        size = self.rng.randint(1, 6)
        batch, self._pending = self._pending[:size], self._pending[size:]
        again = self.rng.sample(self._sent, min(len(self._sent), self.rng.randint(0, 2)))
        report = self.updater().apply([*batch, *again])
        assert (report.failed, report.conflicts) == ([], 0)
        assert (report.applied, report.duplicate) == (len(batch), len(again))
        self._sent += batch

    def updater(self) -> Updater:
        return Updater(features=STANDARD, store=self.store, clock=lambda: self.now, pause=lambda _attempt: None)

    def finish(self) -> None:
        """All that is coming comes, and all messages are delivered."""
        while self._coming:
            self.record()
        while self._pending:
            self.deliver()

    def sleep(self, seconds: float) -> None:
        """Time passes, at least as much as is waited for, and traffic with it."""
        self.now += round(seconds * 1_000) + self.rng.choice([0, 0, 9_000])
        if self.rng.random() < 0.05:  # a wait is two minutes long: some events are to come after it
            self.something()

    def names(self) -> tuple[str, ...]:
        return ("before",) if self.imported else ()

    def events(self, imports: tuple[str, ...], until: int) -> Iterator[Event]:
        if imports:
            yield from self.imported
        found = [event for event, recorded_at in self.ledger if recorded_at <= until]
        self.rng.shuffle(found)  # a scan knows no order
        yield from found

    def bootstrap(self, buckets: int = 2) -> Built:
        return build(
            self.store,
            self,
            clock=lambda: self.now,
            sleep=self.sleep,
            progress=lambda _what, _done, _all: None,
            features=STANDARD,
            buckets=buckets,
            lease=LEASE,
            settle=SETTLE,
        )

    def expected(self) -> dict[Key, bytes]:
        """The states of all events, each folded once."""
        return packed(reference([*self.imported, *(event for event, _ in self.ledger)]))

    def stored(self, generation: int | None) -> dict[Key, bytes]:
        keys = sorted(self.expected())
        found = self.store.read(keys, generation=generation)
        return packed({key: each.state for key, each in found.items()})

    def _import(self, states: Mapping[Key, State]) -> None:
        for number, key in enumerate(sorted(states)):
            mine = {key: states[key]}
            marker = Marker(f"import/1/before/{number}", fingerprint(mine), self.now, self.now)
            assert merge(
                self.store, [marker], mine, generation=1, features=STANDARD, sleep=self.sleep,
                still=lambda _generations: None,
            )  # fmt: skip


def reference(events: Iterable[Event]) -> dict[Key, State]:
    """The states of some events, folded one after the other."""
    states: dict[Key, State] = defaultdict(State)
    for event in events:
        fold(event, states)
    return dict(states)


def packed(states: Mapping[Key, State]) -> dict[Key, bytes]:
    return {key: encode(state) for key, state in states.items()}


def split(events: Sequence[Event], at: int) -> tuple[list[Event], list[Event]]:
    """A history as an import with everything on its first payments, and what came live."""
    first = {event.event_id for event in [each for each in events if isinstance(each, Transaction)][:at]}
    imported = [event for event in events if event.transaction.event_id in first]
    return imported, [event for event in events if event.transaction.event_id not in first]
