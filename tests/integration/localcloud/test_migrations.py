"""States take another form beside live traffic in the emulator too."""

import inspect
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import boto3
import pytest

from tests.contract import test_migrations as suite
from tests.contract.forms import known
from tests.tables import create_table

pytestmark = pytest.mark.integration

PROMISES = [
    each
    for name, each in vars(suite).items()
    if name.startswith("test_")
    and set(inspect.signature(each).parameters) == {"tables"}
    and not hasattr(each, "hypothesis")
]
"""One example of races is enough here: what many examples find is found in moto, in a tenth of the time."""


@pytest.fixture(scope="module", autouse=True)
def both_forms() -> Iterator[None]:
    with known():
        yield


@pytest.mark.parametrize("promise", PROMISES, ids=lambda each: each.__name__.removeprefix("test_"))
def test_a_promise(promise: Callable[..., None], cloud: boto3.Session) -> None:
    client: Any = cloud.client("dynamodb")
    numbers = count()
    promise(
        tables=(client, lambda: create_table(client, "features", f"{promise.__name__}-{next(numbers)}"[-200:]))
    )
