"""Feature stores under writers that race, and at the edge of what one transaction carries."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fraud.features import STANDARD, Key
from fraud.features.standard import PAYMENTS
from fraud.state import State
from runtime.stores.features import (
    MOST_ITEMS,
    ConflictError,
    FeatureStore,
    Marker,
    Versioned,
)

CARD = Key("card", "card_a")
OTHER = Key("card", "card_b")
NOON = 1_770_000_000_000
EXPIRY = 2_000_000_000


def one(amount: int) -> State:
    state = State()
    state.add(STANDARD.layouts["card"], PAYMENTS.slot, amount, NOON)
    return state


def test_no_fold_is_lost_between_racing_writers(store: FeatureStore) -> None:
    """Each reads, folds and commits until it wins: the state holds every one of them, once."""

    def fold(number: int) -> None:
        while True:
            read = store.read([CARD]).get(CARD, Versioned(State()))
            read.state.add(STANDARD.layouts["card"], PAYMENTS.slot, 10 + number, NOON + number)
            try:
                store.commit([Marker(f"e{number}", "d", 1, 2)], {CARD: read}, expires_at=EXPIRY)
            except ConflictError:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fold, range(12)))
    expected = State()
    for number in range(12):
        expected.add(STANDARD.layouts["card"], PAYMENTS.slot, 10 + number, NOON + number)
    assert store.read([CARD]) == {CARD: Versioned(expected, 12)}
    assert len(store.digests([f"e{number}" for number in range(12)])) == 12


def test_a_full_transaction_is_written_and_one_item_more_is_not(store: FeatureStore) -> None:
    keys = [Key("card", f"card_{number}") for number in range(MOST_ITEMS)]
    full = {key: Versioned(one(1)) for key in keys[:-1]}
    store.commit([Marker("full", "d", 1, 2)], full, expires_at=EXPIRY)
    assert store.read(keys).keys() == full.keys()
    again = {key: Versioned(one(2), 1) for key in keys[:-1]} | {keys[-1]: Versioned(one(2))}
    with pytest.raises(Exception, match="100"):
        store.commit([Marker("more", "d", 1, 2)], again, expires_at=EXPIRY)
    assert store.read(keys) == {key: Versioned(one(1), 1) for key in keys[:-1]}
    assert store.digests(["full", "more"]) == {"full": "d"}


def test_a_state_that_cannot_be_packed_leaves_nothing_behind(store: FeatureStore) -> None:
    broken = one(5)
    (level,) = broken.tiles[PAYMENTS.slot].levels.values()
    level.total[0] = -5
    with pytest.raises(ValueError, match="negative"):
        store.commit(
            [Marker("e1", "d", 1, 2)], {CARD: Versioned(one(5)), OTHER: Versioned(broken)}, expires_at=EXPIRY
        )
    assert store.read([CARD, OTHER]) == {}
    assert store.digests(["e1"]) == {}


def test_the_same_key_and_event_asked_for_twice_come_once(store: FeatureStore) -> None:
    store.commit([Marker("e1", "d", 1, 2)], {CARD: Versioned(one(5))}, expires_at=EXPIRY)
    assert store.read([CARD, CARD]) == {CARD: Versioned(one(5), 1)}
    assert store.digests(["e1", "e1"]) == {"e1": "d"}
    assert store.read([]) == {}
    assert store.digests([]) == {}


@pytest.mark.parametrize("markers", [[], [Marker("e1", "d", 1, 2), Marker("e1", "d", 1, 2)]])
def test_a_transaction_of_nothing_or_of_one_item_twice_is_a_mistake(
    store: FeatureStore, markers: list[Marker]
) -> None:
    with pytest.raises(Exception, match=r"at least one|min length: 1|multiple operations") as refused:
        store.commit(markers, {}, expires_at=EXPIRY)
    # Not a conflict: who gets one reads again and tries again, for ever.
    assert not isinstance(refused.value, ConflictError)
    assert store.digests(["e1"]) == {}


def test_many_digests_are_read_at_once(store: FeatureStore) -> None:
    names = [f"e{number}" for number in range(230)]
    for start in range(0, 230, 100):
        markers = [Marker(name, name, 1, 2) for name in names[start : start + 100]]
        store.commit(markers, {}, expires_at=EXPIRY)
    assert store.digests([*names, "absent"]) == {name: name for name in names}
