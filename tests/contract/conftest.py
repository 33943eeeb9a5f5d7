"""DynamoDB tables as the data stack declares them, in moto."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

TABLES = {"features": ("key",), "decisions": ("id", "kind"), "merchants": ("key_id",)}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb")
        for table, names in TABLES.items():
            client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
                KeySchema=[
                    {"AttributeName": name, "KeyType": kind}
                    for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
                ],
            )
        yield client
