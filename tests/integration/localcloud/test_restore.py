"""Tables and objects restored in the local cloud, over HTTP and by more than one thread."""

import time
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from ops.recovery.comparing import put_back
from ops.recovery.objects import changes, set_back
from ops.recovery.tables import KINDS
from tests.tables import create_table

pytestmark = pytest.mark.integration

ITEMS = 300


@pytest.fixture
def table(cloud: boto3.Session) -> Any:
    client = cloud.client("dynamodb")
    create_table(client, "decisions", "ledger")
    yield client
    for name in ("ledger", "ledger-then"):
        client.delete_table(TableName=name)


def line(number: int, answer: str = "approve") -> dict[str, Any]:
    return {"id": {"S": f"shop/{number}"}, "kind": {"S": "decision"}, "answer": {"S": answer}}


def test_half_of_a_table_comes_back(table: Any) -> None:
    for first in range(0, ITEMS, 25):
        puts = [{"PutRequest": {"Item": line(number)}} for number in range(first, first + 25)]
        assert not table.batch_write_item(RequestItems={"ledger": puts})["UnprocessedItems"]
    backup = table.create_backup(TableName="ledger", BackupName="then")["BackupDetails"]["BackupArn"]
    table.restore_table_from_backup(TargetTableName="ledger-then", BackupArn=backup)
    for first in range(0, ITEMS // 2, 25):
        gone = [
            {"DeleteRequest": {"Key": {name: line(number)[name] for name in ("id", "kind")}}}
            for number in range(first, first + 25)
        ]
        table.batch_write_item(RequestItems={"ledger": gone})
    table.put_item(TableName="ledger", Item=line(ITEMS - 1, "decline"))
    done = put_back(table, KINDS["decisions"], "ledger", "ledger-then", changed=True, write=True)
    assert done.counts == {"missing": ITEMS // 2, "same": ITEMS // 2 - 1, "kept": 1}
    assert (done.written, done.raced) == (ITEMS // 2, 0)
    items = {item["id"]["S"]: item for item in table.scan(TableName="ledger")["Items"]}
    assert len(items) == ITEMS
    assert items[f"shop/{ITEMS - 1}"] == line(ITEMS - 1, "decline")


def test_a_deleted_object_comes_back(cloud: boto3.Session) -> None:
    client, bucket = cloud.client("s3"), "versions"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=bucket, Key="lake/a", Body=b"then")
    client.put_object(Bucket=bucket, Key="lake/b", Body=b"then")
    at = datetime.now(UTC)
    # The listing's clock may count whole seconds.
    time.sleep(1.1)
    client.delete_object(Bucket=bucket, Key="lake/a")
    client.put_object(Bucket=bucket, Key="lake/b", Body=b"spoilt")
    found = list(changes(client, bucket, "lake/", at))
    assert [(each.key, each.what) for each in found] == [("lake/a", "deleted"), ("lake/b", "overwritten")]
    assert all(set_back(client, bucket, each) for each in found)
    for key in ("lake/a", "lake/b"):
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"then"
    assert not list(changes(client, bucket, "lake/", at))
