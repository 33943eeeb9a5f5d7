"""Events on their way to the feature store, and stores that fail on purpose."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import msgspec
from hypothesis import strategies as st

from fraud.codec import encode
from fraud.events import Event, Label, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import fold
from fraud.state import State
from lambdas.update_features.updating import Delivery, Updater
from runtime.stores.features import FeatureStore, Marker, MemoryFeatureStore, Versioned
from runtime.stores.states import ByGeneration
from tests.unit.fraud import strategies

START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY = 86_400_000


class Crash(Exception):  # noqa: N818 - not an error of the code: the machine went away
    """The process ended here."""


class CrashingStore(MemoryFeatureStore):
    """Dies at chosen commits, right before or right after the write.

    Parameters
    ----------
    plan : mapping of int to bool
        The number of the commit to die at, and whether the write was done by then.
    """

    def __init__(self, plan: Mapping[int, bool]) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self._plan = dict(plan)
        self._counting = threading.Lock()

    def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
        found = super().read(keys, generation=generation)
        time.sleep(0)  # another updater's turn, while this one holds states that may go stale
        return found

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        with self._counting:
            written = self._plan.get(len(self.sizes))
            self.sizes.append(len(markers) + sum(map(len, states.values())))
        if written is None or written:
            super().write(markers, states, expires_at=expires_at)
        if written is not None:
            raise Crash


def updater(store: MemoryFeatureStore, *, now: int = START + 400 * DAY) -> Updater:
    """An updater that never waits."""
    return Updater(features=STANDARD, store=store, clock=lambda: now, pause=lambda _: None)


def deliver(events: Iterable[Event], *, recorded_at: int = START) -> Iterator[Delivery]:
    """Each event in a message of its own."""
    for number, event in enumerate(events):
        yield Delivery(f"message-{number}", event, recorded_at)


payment = partial(strategies.payment, at=START)
"""One payment, at `START` where no other time is given."""


def packed(store: FeatureStore, events: Sequence[Event]) -> dict[Key, bytes]:
    """The states of every key that the events touch, as bytes."""
    keys = sorted({key for event in events for key in STANDARD.keys_written(event)})
    return {key: encode(versioned.state) for key, versioned in store.read(keys).items()}


def reference(events: Sequence[Event]) -> dict[Key, bytes]:
    """What the same states are when each event is folded once, one after the other."""
    states: dict[Key, State] = defaultdict(State)
    for event in events:
        fold(event, states)
    return {key: encode(state) for key, state in states.items()}


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Unique payments and labels over a few shared keys, some far older than what states keep."""
    times = st.one_of(
        st.integers(START, START + 600_000),
        st.integers(START - 3 * DAY, START + 3 * DAY),
        st.sampled_from([START - 90 * DAY, START, START + 900_000, START + 30 * DAY]),
    )
    events: list[Event] = []
    for number in range(draw(st.integers(1, 14))):
        made = payment(
            f"t{number}",
            at=draw(times),
            amount=draw(st.integers(0, 10**9)),
            merchant_id=draw(st.sampled_from(["m1", "m2"])),
            card=draw(st.sampled_from(["card_a", "card_b", "card_c"])),
            customer=draw(st.sampled_from(["cust_a", "cust_b", ""])),
            device=draw(st.sampled_from(["dev_a", "dev_b", ""])),
        )
        events.append(made)
        kind = draw(st.sampled_from([None, "chargeback", "confirmed_fraud", "confirmed_genuine"]))
        if kind is not None:
            events.append(Label(transaction=made, kind=kind, known_at=made.event_time + 5 * DAY))
    return events


def changed(event: Transaction) -> Transaction:
    """Another payload under the same id."""
    return msgspec.structs.replace(event, amount=event.amount + 1)
