"""The online fold over a whole history, with all that deliveries do to it.

The updater is the function's own: packed states, markers, transactions. Before a payment is read, everything that
came before it and touches one of its keys has been applied; but in shuffled batches, some of it twice, and by
updaters that die before or after a write, all drawn from a seed. That is zero lag, with everything that
deliveries do.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fraud.events import Event, Transaction
from fraud.features import FeatureSet, Key
from fraud.replay import arrival
from fraud.state import State
from lambdas.update_features.updating import Delivery, Updater
from runtime.stores.features import Marker, MemoryFeatureStore
from runtime.stores.states import ByGeneration

__all__ = ["Online", "ParityError", "online_matrix"]

MOST_PENDING = 60
BATCH = 10
CRASHES, DUPLICATES = 0.05, 0.2
"""How many of the commits die, and how many messages come again for each that is new."""

type Matrix = npt.NDArray[np.float64]


class ParityError(Exception):
    """The history could not be replayed."""


class _CrashError(Exception):
    """The updater died."""


class _Mortal(MemoryFeatureStore):
    """A store whose updaters die at some commits: before the write, or after it and before they can say so."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self.crashes = 0

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        dies = self._rng.random() < CRASHES
        self.crashes += dies
        if dies and self._rng.random() < 0.5:
            raise _CrashError
        super().write(markers, states, expires_at=expires_at)
        if dies:
            raise _CrashError


class Online:
    """The online fold over a history, as serving reads it.

    Attributes
    ----------
    duplicates, crashes : int
        How many messages came more than once, and how many updaters died, so far.
    """

    def __init__(self, features: FeatureSet, seed: int) -> None:
        self.features = features
        self.duplicates = 0
        self._rng = random.Random(seed)  # noqa: S311 - chooses faults, no secrets
        self._store = _Mortal(self._rng)
        self._pending: list[Event] = []
        self._dirty: set[Key] = set()
        self._applied: deque[Event] = deque(maxlen=MOST_PENDING)

    @property
    def crashes(self) -> int:
        return self._store.crashes

    def vectors(self, events: Sequence[Event]) -> Iterator[tuple[Transaction, tuple[float, ...]]]:
        """The vector of every payment, in the order of arrival."""
        end = max((arrival(event)[0] for event in events), default=0)
        updater = Updater(
            features=self.features, store=self._store, clock=lambda: end, pause=lambda _attempt: None
        )
        for event in events:
            if isinstance(event, Transaction):
                keys = self.features.keys_read(event)
                if not self._dirty.isdisjoint(keys):
                    self._deliver(updater)
                yield event, self.features.vector(event, self.states(keys))
            self._pending.append(event)
            self._dirty.update(self.features.keys_written(event))
            if len(self._pending) >= MOST_PENDING:
                self._deliver(updater)
        self._deliver(updater)

    def states(self, keys: Sequence[Key]) -> dict[Key, State]:
        """The states as they are stored now."""
        return {key: found.state for key, found in self._store.read(keys).items()}

    def _deliver(self, updater: Updater) -> None:
        """Apply all that is pending, shuffled, some of it and of what came before twice, by updaters that die."""
        repeats = sum(self._rng.random() < DUPLICATES for _ in self._pending)
        again = self._rng.choices([*self._pending, *self._applied], k=repeats)
        self.duplicates += repeats
        messages = [*self._pending, *again]
        self._rng.shuffle(messages)
        while messages:
            batch = [messages.pop() for _ in range(min(len(messages), self._rng.randint(1, BATCH)))]
            deliveries = [Delivery(str(n), event, arrival(event)[0]) for n, event in enumerate(batch)]
            try:
                report = updater.apply(deliveries)
            except _CrashError:
                messages = [*batch, *messages]
                continue
            if report.failed:
                raise ParityError(f"{len(report.failed)} events could not be folded: {'; '.join(report.unusable)}")
        self._applied.extend(self._pending)
        self._pending.clear()
        self._dirty.clear()


def online_matrix(
    online: Online, events: Sequence[Event], places: Mapping[str, int], *, progress: Callable[[int], None]
) -> Matrix:
    """The online vectors as a matrix, rows at their `places` by event id."""
    out = np.empty((len(places), len(online.features.names)), np.float64)
    for done, (transaction, vector) in enumerate(online.vectors(events), 1):
        out[places[transaction.event_id]] = vector
        if done % 500 == 0 or done == len(places):
            progress(done)
    return out
