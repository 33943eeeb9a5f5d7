"""Importing history: once, whatever happens, and beside live traffic."""

from collections.abc import Sequence
from typing import Any

import boto3
import pytest

from fraud.codec import encode
from fraud.features import Key
from fraud.replay import arrival
from fraud.tokens import Tokeniser
from infra.environments import LOCAL
from ops.history import ImportConflictError, Imported, import_history
from ops.inputs import Row, WorldOptions, build_world
from runtime.stores.features import FeatureStore, Marker, MemoryFeatureStore
from runtime.stores.states import ByGeneration
from tests.unit.lambdas.deliveries import reference

pytestmark = pytest.mark.usefixtures("lake")

TOKENISER = Tokeniser(b"0" * 64)


class Deployment:
    """What an import needs of a deployment: a bucket, a feature store and the token key."""

    environment = LOCAL

    def __init__(self, store: FeatureStore) -> None:
        self.store = store
        self.told: list[Any] = []

    def __getitem__(self, name: str) -> str:
        return {"LakeBucket": "lake"}[name]

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]

    def tell(self, kind: str, action: str, **more: Any) -> None:
        self.told.append((kind, action, more))

    def features(self) -> FeatureStore:
        return self.store

    def tokeniser(self) -> Tokeniser:
        return TOKENISER


class Killed(BaseException):
    """The process ends here."""


class Fragile(MemoryFeatureStore):
    """Dies at one of its commits, before or after it took effect."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self.left = at
        self.after = after

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        super().write(markers, states, expires_at=expires_at)
        if self.left == 0:
            raise Killed


@pytest.fixture(scope="module")
def rows() -> tuple[Row, ...]:
    frauds = {"stolen card": 12, "card testing": 12}
    options = WorldOptions(
        customers=90,
        history_days=14,
        history_rows=500,
        live_days=7,
        live_rows=40,
        history_fraud=frauds,
        live_fraud={},
    )
    return build_world(3, options).history


def run(store: FeatureStore, rows: Sequence[Row], name: str = "before") -> Imported:
    return import_history(Deployment(store), name, rows, clock=1, sleep=lambda _seconds: None)  # type: ignore[arg-type]


def folded(rows: Sequence[Row]) -> dict[Key, bytes]:
    tokenised = [(row, TOKENISER.apply(row.transaction)) for row in rows]
    end = max(transaction.event_time for _, transaction in tokenised)
    events: list[Any] = [transaction for _, transaction in tokenised]
    for row, transaction in tokenised:
        if row.label is not None and row.label.known_at <= end:
            events.append(
                type(row.label)(transaction=transaction, kind=row.label.kind, known_at=row.label.known_at)
            )
    return reference(sorted(events, key=arrival))


def stored(store: FeatureStore, keys: Sequence[Key]) -> dict[Key, bytes]:
    return {key: encode(versioned.state) for key, versioned in store.read(keys).items()}


@pytest.fixture(scope="module")
def expected(rows: tuple[Row, ...]) -> dict[Key, bytes]:
    return folded(rows)


def test_an_import_leaves_the_states_that_folding_leaves(
    rows: tuple[Row, ...], expected: dict[Key, bytes]
) -> None:
    store = MemoryFeatureStore()
    done = run(store, rows)
    assert done.rows == len(rows)
    assert done.states == len(expected)
    assert stored(store, sorted(expected)) == expected


def test_an_import_is_told(rows: tuple[Row, ...]) -> None:
    deployment: Any = Deployment(MemoryFeatureStore())
    import_history(deployment, "before", rows, clock=1, sleep=lambda _seconds: None)
    [(kind, action, more)] = deployment.told
    assert (kind, action, more["of"], more["after"]["rows"]) == ("states", "import", "before", len(rows))


def test_the_same_import_again_changes_nothing(rows: tuple[Row, ...], expected: dict[Key, bytes]) -> None:
    store = MemoryFeatureStore()
    run(store, rows)
    again = run(store, tuple(reversed(rows)))
    assert (again.states, again.unchanged) == (0, len(expected))
    assert stored(store, sorted(expected)) == expected


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_killed_import_is_taken_up_where_it_ended(
    rows: tuple[Row, ...], expected: dict[Key, bytes], at: int, *, after: bool
) -> None:
    store = Fragile(at, after=after)
    with pytest.raises(Killed):
        run(store, rows)
    run(store, rows)
    assert stored(store, sorted(expected)) == expected


def test_history_is_added_to_what_is_there_already(rows: tuple[Row, ...]) -> None:
    # Payments only: a label that becomes known between the ends of two imports belongs to neither.
    payments = [Row(row.transaction) for row in rows]
    store, expected = MemoryFeatureStore(), folded(payments)
    run(store, payments[400:], name="later")
    run(store, payments[:400], name="earlier")
    assert stored(store, sorted(expected)) == expected


def test_other_rows_under_the_same_name_are_refused(rows: tuple[Row, ...]) -> None:
    store = MemoryFeatureStore()
    run(store, rows)
    with pytest.raises(ImportConflictError, match="before"):
        run(store, rows[:-1])


def test_the_lake_gets_tokens_and_no_identifier(rows: tuple[Row, ...]) -> None:
    run(MemoryFeatureStore(), rows)
    found = boto3.client("s3", region_name="us-east-1").get_object(
        Bucket="lake", Key="history/before/transactions-00000.parquet"
    )
    content = found["Body"].read()
    assert TOKENISER.apply(rows[0].transaction).card.encode() in content
    assert rows[0].transaction.card.encode() not in content
