"""What every feature store does, whatever it is made of."""

from collections.abc import Callable
from itertools import batched
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fraud.features import STANDARD, Key
from fraud.features.standard import PAYMENTS
from fraud.replay import replay
from fraud.state import State
from runtime.stores.batches import ThrottledError, UnprocessedError, batch_get
from runtime.stores.features import (
    ConflictError,
    FeatureStore,
    Marker,
    Versioned,
)
from tests.unit.fraud.strategies import world

CARD = Key("card", "card_a")
OTHER = Key("card", "card_b")
NOON = 1_770_000_000_000


def state(*amounts: int) -> State:
    made = State()
    for number, amount in enumerate(amounts):
        made.add(STANDARD.layouts["card"], PAYMENTS.slot, amount, NOON + number)
    return made


def marker(name: str, digest: str = "d") -> Marker:
    return Marker(name, digest, recorded_at=1, applied_at=2)


def commit(store: FeatureStore, markers: list[Marker], states: dict[Key, Versioned]) -> None:
    store.commit(markers, states, expires_at=2_000_000_000)


def test_what_was_never_written_is_absent(store: FeatureStore) -> None:
    assert store.read([CARD, OTHER]) == {}
    assert store.digests(["e1"]) == {}


def test_what_was_committed_is_read(store: FeatureStore) -> None:
    commit(store, [marker("e1", "digest-1")], {CARD: Versioned(state(100))})
    found = store.read([CARD, OTHER])
    assert found == {CARD: Versioned(state(100), 1)}
    assert store.digests(["e1", "e2"]) == {"e1": "digest-1"}


def test_a_state_that_was_read_may_be_written_again(store: FeatureStore) -> None:
    commit(store, [marker("e1")], {CARD: Versioned(state(100))})
    read = store.read([CARD])[CARD]
    commit(store, [marker("e2")], {CARD: Versioned(state(100, 200), read.version)})
    assert store.read([CARD])[CARD] == Versioned(state(100, 200), 2)


def test_a_state_is_a_copy(store: FeatureStore) -> None:
    commit(store, [marker("e1")], {CARD: Versioned(state(100))})
    store.read([CARD])[CARD].state.add(STANDARD.layouts["card"], PAYMENTS.slot, 999, NOON)
    assert store.read([CARD])[CARD].state == state(100)


def test_every_state_of_a_whole_history_is_read_as_it_was_written(store: FeatureStore) -> None:
    """Tiles of all levels and parts, outcomes and labels, sketches, and every entity with its shards."""
    states: dict[Key, State] = {}
    list(replay(world(3, 80), states=states))
    assert {key.entity for key in states} == {entity.name for entity in STANDARD.entities}
    for some in batched(states.items(), 50, strict=False):
        commit(store, [], {key: Versioned(each) for key, each in some})
    assert store.read(list(states)) == {key: Versioned(each, 1) for key, each in states.items()}


def _moved(store: FeatureStore) -> None:
    commit(store, [marker("new")], {CARD: Versioned(state(7), 0), OTHER: Versioned(state(8))})


def _stale(store: FeatureStore) -> None:
    commit(store, [marker("new")], {CARD: Versioned(state(7), 5), OTHER: Versioned(state(8))})


def _applied(store: FeatureStore) -> None:
    commit(store, [marker("e1")], {CARD: Versioned(state(7), 1), OTHER: Versioned(state(8))})


@pytest.mark.parametrize("attempt", [_moved, _stale, _applied])
def test_a_conflict_writes_nothing_at_all(store: FeatureStore, attempt: Callable[[FeatureStore], None]) -> None:
    commit(store, [marker("e1")], {CARD: Versioned(state(100))})
    with pytest.raises(ConflictError):
        attempt(store)
    assert store.read([CARD, OTHER]) == {CARD: Versioned(state(100), 1)}
    assert store.digests(["e1", "new"]) == {"e1": "d"}


def test_more_than_a_transaction_carries_is_refused(store: FeatureStore) -> None:
    many = {Key("card", f"card_{number}"): Versioned(state(1)) for number in range(100)}
    with pytest.raises(Exception, match="100") as refused:
        commit(store, [marker("e1")], many)
    assert not isinstance(refused.value, ConflictError)
    assert store.digests(["e1"]) == {}


def test_many_keys_are_read_at_once(store: FeatureStore) -> None:
    keys = [Key("card", f"card_{number}") for number in range(150)]
    for start in (0, 75):
        commit(store, [], {key: Versioned(state(5)) for key in keys[start : start + 75]})
    assert store.read(keys).keys() == set(keys)


class Throttled:
    """A client that leaves one key unread for some rounds."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - DynamoDB's name
        asked = RequestItems["t"]["Keys"]
        if self.rounds and len(asked) > 0:
            self.rounds -= 1
            return {"Responses": {"t": asked[1:]}, "UnprocessedKeys": {"t": {"Keys": asked[:1]}}}
        return {"Responses": {"t": asked}}


def test_keys_left_unread_are_asked_for_again() -> None:
    keys = [{"key": {"S": str(number)}} for number in range(3)]
    found = batch_get(Throttled(2), {"t": {"Keys": keys}})  # type: ignore[arg-type]  # only what batch_get calls
    assert sorted(found["t"], key=str) == keys


def test_when_nothing_of_what_is_left_can_be_read_only_these_keys_are_at_fault() -> None:
    class Refusing(Throttled):
        def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - DynamoDB's name
            if not self.rounds:
                error = {"Code": "ProvisionedThroughputExceededException", "Message": "none can be read"}
                raise ClientError({"Error": error}, "BatchGetItem")
            return super().batch_get_item(RequestItems)

    keys = [{"key": {"S": str(number)}} for number in range(3)]
    with pytest.raises(UnprocessedError):
        batch_get(Refusing(1), {"t": {"Keys": keys}})  # type: ignore[arg-type]  # as above
    with pytest.raises(ThrottledError) as refused:
        batch_get(Refusing(0), {"t": {"Keys": keys}})  # type: ignore[arg-type]  # as above
    assert not isinstance(refused.value, UnprocessedError)


def test_a_partial_answer_is_never_passed_off_as_a_whole_one() -> None:
    with pytest.raises(UnprocessedError, match="t"):
        batch_get(Throttled(99), {"t": {"Keys": [{"key": {"S": "a"}}]}})  # type: ignore[arg-type]  # as above
