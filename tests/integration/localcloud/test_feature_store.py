"""The suites of the feature store against the emulator: updates, and rebuilds beside them."""

from collections.abc import Callable, Mapping
from itertools import count

import boto3
import pytest
from hypothesis import given, settings

from fraud.events import Event
from runtime.stores.features import DynamoFeatureStore, FeatureStore
from tests.contract.test_rebuilds import WORLDS, rebuilt
from tests.contract.test_updates import DRAWN, delivered
from tests.tables import create_table

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def tables(cloud: boto3.Session) -> Callable[[], FeatureStore]:
    """Makes a store in a table of its own, as often as it is asked."""
    client = cloud.client("dynamodb")
    numbers = count()
    return lambda: DynamoFeatureStore(
        client, create_table(client, "features", f"contract-{next(numbers)}"), consistent=True
    )


@given(**DRAWN)
@settings(max_examples=12)
def test_updates(
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


@given(**WORLDS)
@settings(max_examples=8)
def test_rebuilds(
    tables: Callable[[], FeatureStore],
    events: list[Event],
    imported: int,
    seed: int,
    kills: Mapping[int, bool],
    buckets: int,
) -> None:
    rebuilt(tables(), events, imported, seed, kills, buckets)
