"""Generations of states: side by side in one store, changed by one at a time, and read as they serve."""

from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from fraud.features import STANDARD, Key
from fraud.features.definitions import PAYMENTS
from fraud.state import State
from runtime.stores.batches import ThrottledError
from runtime.stores.features import (
    ConflictError,
    DynamoFeatureStore,
    FeatureStore,
    Marker,
    Versioned,
)
from runtime.stores.generations import FIRST, Generation, Generations
from runtime.stores.transactions import RefusedError

CARD, OTHER = Key("card", "card_a"), Key("card", "card_b")
NOON = 1_770_000_000_000
EXPIRY = 2_000_000_000
SECOND = Generation(number=2, watermark=NOON, feature_set="abc", imports=("before",), buckets=3, built=True)


def state(amount: int) -> Versioned:
    made = State()
    made.add(STANDARD.layouts["card"], PAYMENTS.slot, amount, NOON)
    return Versioned(made)


def marker(name: str) -> Marker:
    return Marker(name, "d", 1, 2)


def serve(store: FeatureStore, generation: Generation) -> Generations:
    now, _ = store.look(())
    return store.change(now, msgspec.structs.replace(now, serving=generation, latest=9))


def test_a_new_store_serves_its_first_generation(store: FeatureStore) -> None:
    assert store.look(["e1"]) == (Generations(), {})
    store.commit([marker("e1")], {CARD: state(5)}, expires_at=EXPIRY)
    assert store.read([CARD]) == store.read([CARD], generation=FIRST) != {}


def test_what_was_changed_is_read_back_whole_and_beside_the_digests(store: FeatureStore) -> None:
    made = Generations(
        serving=SECOND, building=Generation(number=3, watermark=7), retiring=Generation(), retire_at=8, latest=3
    )
    store.commit([marker("e1")], {}, expires_at=EXPIRY)
    written = store.change(Generations(), made)
    assert written == msgspec.structs.replace(made, revision=1)
    assert store.look(["e1", "e2"]) == (written, {"e1": "d"})


def test_of_two_who_change_the_same_one_wins(store: FeatureStore) -> None:
    before, _ = store.look(())
    first = store.change(before, Generations(latest=2))
    with pytest.raises(ConflictError):
        store.change(before, Generations(latest=3))
    assert store.look(())[0] == first
    second = store.change(first, Generations(latest=4))
    with pytest.raises(ConflictError):
        store.change(first, Generations(latest=5))
    assert store.look(())[0] == second


def test_one_transaction_writes_several_generations_or_none(store: FeatureStore) -> None:
    store.write([marker("e1")], {1: {CARD: state(5)}, 2: {CARD: state(7), OTHER: state(8)}}, expires_at=EXPIRY)
    assert store.read([CARD, OTHER], generation=1) == {CARD: Versioned(state(5).state, 1)}
    assert store.read([CARD, OTHER], generation=2).keys() == {CARD, OTHER}
    assert store.read([CARD, OTHER], generation=3) == {}
    # The second generation's state has moved, so nothing of the first is written either.
    with pytest.raises(ConflictError):
        store.write([marker("e2")], {1: {OTHER: state(5)}, 2: {CARD: state(9)}}, expires_at=EXPIRY)
    assert store.read([OTHER], generation=1) == {}
    assert store.digests(["e1", "e2"]) == {"e1": "d"}


def test_reading_follows_the_generation_that_serves(store: FeatureStore) -> None:
    store.write([], {1: {CARD: state(5)}, 2: {CARD: state(7)}, 3: {OTHER: state(9)}}, expires_at=EXPIRY)
    assert store.read([CARD])[CARD].state == state(5).state
    serve(store, SECOND)
    assert store.read([CARD])[CARD].state == state(7).state, "who saw another one serve asks again"
    assert store.read([CARD])[CARD].state == state(7).state
    serve(store, Generation(number=3))
    assert store.read([CARD, OTHER]) == {OTHER: Versioned(state(9).state, 1)}
    assert store.read([]) == {}
    serve(store, Generation())
    assert store.read([CARD])[CARD].state == state(5).state


class Calls:
    """A client that counts its reads."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.reads = 0

    def batch_get_item(self, **request: Any) -> Any:
        self.reads += 1
        return self.client.batch_get_item(**request)


def test_the_generation_costs_a_decision_no_round_trip(dynamodb: Any) -> None:
    writer = DynamoFeatureStore(dynamodb, "features", consistent=True)
    writer.write([], {1: {CARD: state(5)}, 2: {CARD: state(7)}}, expires_at=EXPIRY)
    calls: Any = Calls(dynamodb)
    reader = DynamoFeatureStore(calls, "features", consistent=False)
    reads = []
    for number in (1, 1, 2, 2):
        if number == 2 and not reads[2:]:
            serve(writer, SECOND)
        before = calls.reads
        reader.read([CARD])
        reads.append(calls.reads - before)
    assert reads == [1, 1, 2, 1]


class Failing:
    """A client whose calls fail in a chosen way."""

    def __init__(self, code: str, *reasons: str) -> None:
        self._answer: Any = {"Error": {"Code": code, "Message": "as told"}}
        if reasons:
            self._answer["CancellationReasons"] = [{"Code": reason} for reason in reasons]

    def _fail(self, **_request: Any) -> None:
        raise ClientError(self._answer, "any")

    transact_write_items = batch_get_item = put_item = _fail


CANCELLED = "TransactionCanceledException"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((CANCELLED, "None", "ConditionalCheckFailed"), ConflictError),
        ((CANCELLED, "TransactionConflict", "None"), ConflictError),
        ((CANCELLED,), ConflictError),
        (("TransactionInProgressException",), ConflictError),
        ((CANCELLED, "ConditionalCheckFailed", "ThrottlingError"), ThrottledError),
        ((CANCELLED, "ProvisionedThroughputExceeded"), ThrottledError),
        (("ProvisionedThroughputExceededException",), ThrottledError),
        (("ThrottlingException",), ThrottledError),
        (("RequestLimitExceeded",), ThrottledError),
        ((CANCELLED, "TransactionConflict", "ValidationError"), RefusedError),
        ((CANCELLED, "ItemCollectionSizeLimitExceeded"), RefusedError),
        (("ValidationException",), RefusedError),
        (("AccessDeniedException",), ClientError),
        (("ResourceNotFoundException",), ClientError),
    ],
)
def test_why_nothing_was_written_is_told_apart(answer: tuple[str, ...], expected: type[Exception]) -> None:
    client: Any = Failing(*answer)
    store = DynamoFeatureStore(client, "features", consistent=True)
    with pytest.raises(expected) as told:
        store.commit([marker("e1")], {CARD: state(5)}, expires_at=EXPIRY)
    assert type(told.value) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ThrottlingException", ThrottledError), ("AccessDeniedException", ClientError)],
)
def test_why_nothing_was_read_is_told_apart(code: str, expected: type[Exception]) -> None:
    client: Any = Failing(code)
    store = DynamoFeatureStore(client, "features", consistent=True)
    for ask in (lambda: store.read([CARD]), lambda: store.look(["e1"])):
        with pytest.raises(expected):
            ask()
    if expected is ClientError:
        with pytest.raises(ClientError):
            store.change(Generations(), Generations(latest=2))


def test_an_item_that_is_too_large_is_refused_for_good(dynamodb: Any) -> None:
    store = DynamoFeatureStore(dynamodb, "features", consistent=True)
    huge = state(10**14).state
    for slot in range(100, 30_000):  # more than the 400 KB that DynamoDB keeps in an item
        huge.tiles[slot] = huge.tiles[PAYMENTS.slot]
    with pytest.raises(RefusedError):
        store.commit([marker("e1")], {CARD: Versioned(huge)}, expires_at=EXPIRY)
    assert store.digests(["e1"]) == {}
