"""The platform's tables in moto, and the feature stores."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from runtime.stores.features import DynamoFeatureStore, FeatureStore, MemoryFeatureStore
from tests.tables import KEYS, create_table
from tests.turns import one_call_at_a_time


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb")
        one_call_at_a_time(client)
        for kind in KEYS:
            create_table(client, kind)
        yield client


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> FeatureStore:
    """A feature store of each kind; tests of other stores have their own fixture of this name."""
    if request.param == "memory":
        return MemoryFeatureStore()
    return DynamoFeatureStore(request.getfixturevalue("dynamodb"), "features", consistent=True)
