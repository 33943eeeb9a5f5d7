"""Whatever deliveries do, states are the fold of each event once: one suite, in memory and in a table."""

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.events import Event
from fraud.features import STANDARD, Key
from lambdas.update_features.updating import Delivery, Updater
from runtime.stores.features import (
    ConflictError,
    DynamoFeatureStore,
    FeatureStore,
    Marker,
    MemoryFeatureStore,
    Versioned,
)
from runtime.stores.generations import Generation, Generations
from runtime.stores.states import ByGeneration
from tests.contract.tables import fresh_tables
from tests.contract.worlds import packed, reference
from tests.unit.fraud.strategies import histories

NOW = 1_800_000_000_000


class Crash(Exception):  # noqa: N818 - not an error of the code: the machine went away
    """The process ended here."""


class Mortal(FeatureStore):
    """Any store whose users die at chosen writes, right before or right after them, and lose the first races."""

    def __init__(self, store: FeatureStore, plan: Mapping[int, bool], losses: int) -> None:
        self._store, self._plan, self._losses = store, plan, losses
        self._numbers = count()

    def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
        return self._store.read(keys, generation=generation)

    def look(self, event_ids: Iterable[str]) -> tuple[Generations, dict[str, str]]:
        return self._store.look(event_ids)

    def change(self, before: Generations, after: Generations) -> Generations:
        return self._store.change(before, after)

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        number = next(self._numbers)
        if number < self._losses:
            raise ConflictError("someone was faster")
        written = self._plan.get(number)
        if written is not False:
            self._store.write(markers, states, expires_at=expires_at)
        if written is not None:
            raise Crash


def consume(store: FeatureStore, batches: list[list[Delivery]], workers: int) -> None:
    """Updaters that share a queue: what failed, and what a crash cut short, is delivered again."""
    lock = threading.Lock()
    left = iter(range(30 * len(batches) + 60))  # far more than crashes and lost races can ask for
    broken: list[BaseException] = []

    def work() -> None:
        mine = Updater(features=STANDARD, store=store, clock=lambda: NOW, pause=lambda _attempt: None)
        while True:
            with lock:
                if not batches or next(left, None) is None:
                    return
                batch = batches.pop()
            try:
                failed = set(mine.apply(batch).failed)
            except Crash:
                failed = {each.message_id for each in batch}
            except BaseException as error:
                broken.append(error)
                raise
            if failed:
                with lock:
                    batches.append([each for each in batch if each.message_id in failed])

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not broken
    assert not batches, "some messages come back for ever"


@pytest.fixture(scope="module")
def tables() -> Iterator[Callable[[], FeatureStore]]:
    with fresh_tables() as (client, name):
        yield lambda: DynamoFeatureStore(client, name(), consistent=True)


DRAWN = {
    "events": histories(least=1, most=14),
    "copies": st.integers(1, 3),
    "size": st.integers(1, 12),
    "seed": st.integers(0, 2**32),
    "losses": st.integers(0, 6),
    "crashes": st.dictionaries(st.integers(0, 8), st.booleans(), max_size=4),
    "workers": st.integers(1, 4),
    "watermark": st.none() | st.integers(0, 14),
}


def delivered(
    store: FeatureStore,
    events: list[Event],
    copies: int,
    size: int,
    seed: int,
    losses: int,
    crashes: Mapping[int, bool],
    workers: int,
    watermark: int | None,
) -> None:
    """Deliver all in shuffled batches; with a watermark, beside a generation that takes what came after it."""
    recorded = {event.event_id: at for at, event in enumerate(events)}
    if watermark is not None:
        building = Generation(number=2, watermark=watermark)
        store.change(Generations(), Generations(building=building, latest=2))
    sent = [Delivery(f"{n}", event, recorded[event.event_id]) for n, event in enumerate(events * copies)]
    random.Random(seed).shuffle(sent)
    consume(Mortal(store, crashes, losses), [sent[at : at + size] for at in range(0, len(sent), size)], workers)
    assert store.digests(recorded).keys() == recorded.keys()
    later = [event for event in events if watermark is not None and recorded[event.event_id] > watermark]
    for number, expected in ((1, packed(reference(events))), (2, packed(reference(later)))):
        found = store.read(sorted(packed(reference(events))), generation=number)
        assert packed({key: each.state for key, each in found.items()}) == expected


@given(**DRAWN)
@settings(max_examples=40)
def test_in_memory(
    events: list[Event],
    copies: int,
    size: int,
    seed: int,
    losses: int,
    crashes: Mapping[int, bool],
    workers: int,
    watermark: int | None,
) -> None:
    delivered(MemoryFeatureStore(), events, copies, size, seed, losses, crashes, workers, watermark)


@given(**DRAWN)
@settings(max_examples=10)
def test_in_a_table(
    tables: Callable[[], FeatureStore],
    events: list[Event],
    copies: int,
    size: int,
    seed: int,
    losses: int,
    crashes: Mapping[int, bool],
    workers: int,
    watermark: int | None,
) -> None:
    delivered(tables(), events, copies, size, seed, losses, crashes, workers, watermark)
