"""A generation built beside live traffic is the fold of all events, on every store and after any kill."""

from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.events import Event
from runtime.stores.features import DynamoFeatureStore, FeatureStore, MemoryFeatureStore
from runtime.stores.generations import Generations
from tests.contract.tables import fresh_tables
from tests.contract.worlds import Killed, World, split
from tests.unit.fraud.strategies import histories

type Maker = Callable[[], FeatureStore]


@pytest.fixture(scope="module")
def tables() -> Iterator[Maker]:
    """Makes a store in a table of its own, as often as it is asked."""
    with fresh_tables() as (client, name):
        yield lambda: DynamoFeatureStore(client, name(), consistent=True)


def rebuilt(
    store: FeatureStore, events: list[Event], imported: int, seed: int, kills: Mapping[int, bool], buckets: int
) -> None:
    """Build beside live traffic, with kills; then switch, and go on."""
    before, coming = split(events, imported)
    world = World(store, before, coming, seed)
    world.store.plan = kills
    for _ in range(world.rng.randint(0, 4)):
        world.something()
    while True:
        try:
            built = world.bootstrap(buckets)
        except Killed:
            world.something()
        else:
            break
    if world.rng.random() < 0.5:
        world.finish()
    _switch(world)
    assert world.stored(None) == world.stored(built.generation)
    world.finish()
    assert world.stored(2) == world.expected()
    assert world.stored(None) == world.expected()
    assert world.stored(1) == world.expected(), "the one before is written until it is retired"


def _switch(world: World) -> None:
    now = world.store.look(())[0]
    assert now.building is not None
    assert now.building.built
    after = Generations(
        serving=now.building, retiring=now.serving, retire_at=world.now + 600_000, latest=now.latest
    )
    world.store.change(now, after)


WORLDS = {
    "events": histories(most=14),
    "imported": st.integers(0, 5),
    "seed": st.integers(0, 2**32),
    "kills": st.dictionaries(st.integers(1, 12), st.booleans(), max_size=4),
    "buckets": st.integers(1, 3),
}


@given(**WORLDS)
@settings(max_examples=60)
def test_in_memory(events: list[Event], imported: int, seed: int, kills: Mapping[int, bool], buckets: int) -> None:
    rebuilt(MemoryFeatureStore(), events, imported, seed, kills, buckets)


@given(**WORLDS)
@settings(max_examples=8)
def test_in_a_table(
    tables: Maker, events: list[Event], imported: int, seed: int, kills: Mapping[int, bool], buckets: int
) -> None:
    rebuilt(tables(), events, imported, seed, kills, buckets)
