"""The promises of the stores of settings, kept by a store in the emulator."""

import inspect
from collections.abc import Callable
from itertools import count
from typing import Any

import boto3
import pytest

from runtime.stores.settings import DynamoSettingsStore
from tests.contract import test_settings as suite
from tests.tables import create_table
from tests.trails import audit_table

pytestmark = pytest.mark.integration

PROMISES = [
    each
    for name, each in vars(suite).items()
    if name.startswith("test_") and set(inspect.signature(each).parameters) in ({"store"}, {"world"})
]


@pytest.fixture(scope="module")
def tables(cloud: boto3.Session) -> Callable[[], suite.World]:
    """Makes a store in a table of its own, as often as it is asked."""
    client = cloud.client("dynamodb")
    numbers = count()

    def make() -> suite.World:
        table = create_table(client, "settings", f"settings-{next(numbers)}")
        trail = audit_table(client, f"audit-{table}")
        return suite.World(DynamoSettingsStore(client, table, trail), client, table)

    return make


@pytest.mark.parametrize("promise", PROMISES, ids=lambda each: each.__name__.removeprefix("test_"))
def test_a_promise(promise: Callable[..., None], tables: Callable[[], suite.World]) -> None:
    world = tables()
    given: dict[str, Any] = {"world": world, "store": world.store}
    promise(**{name: given[name] for name in inspect.signature(promise).parameters})
