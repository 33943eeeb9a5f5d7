"""Feature tables in moto, one after the other, for tests that need an empty one for each example."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.tables import create_table
from tests.turns import one_call_at_a_time

__all__ = ["fresh_tables"]


@contextmanager
def fresh_tables() -> Iterator[tuple[Any, Callable[[], str]]]:
    """A client, and a function that makes another empty table and names it."""
    numbers = count()
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        client = boto3.client("dynamodb", region_name="eu-west-1")
        one_call_at_a_time(client)
        yield client, lambda: create_table(client, "features", f"features-{next(numbers)}")
