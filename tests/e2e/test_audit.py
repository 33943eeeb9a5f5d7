"""What is changed is told, copied and locked, and whoever changes the trail itself is found out."""

import time
from pathlib import Path

import pytest
import urllib3
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from ops.audit.reading import Recorded, Wanted, read
from ops.audit.verifying import verify
from ops.cli import app
from ops.deployment import Deployment
from ops.merchants import add
from runtime.auditing import merchant
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MERCHANT = "told-of"


@pytest.fixture(scope="module")
def entries(deployment: Deployment) -> list[Recorded]:
    """Of a merchant that was made by an operator, and set a policy itself."""
    key = add(deployment, MERCHANT, at=time.time_ns() // 1_000_000)
    reply = urllib3.PoolManager(retries=False).request(
        "PUT",
        f"{deployment.api_url}/v1/policy",
        json={"thresholds": {"challenge": 0.2, "review": 0.5, "decline": 0.8}},
        headers={"Authorization": f"Bearer {key.secret}", "Paywarden-Correlation-Id": "told-1"},
    )
    assert reply.status == 200, reply.data
    return read(deployment, Wanted(subject=merchant(MERCHANT)))


def test_operators_and_merchants_are_told_by_who_they_are(deployment: Deployment, entries: list[Recorded]) -> None:
    made, changed = (each.entry for each in entries)
    assert made.who == deployment.client("sts").get_caller_identity()["Arn"]
    assert (made.kind, made.action) == ("merchant", "add")
    [key_id] = made.after["keys"]
    assert (changed.who, changed.correlation_id) == (f"key:{key_id}", "told-1")
    assert (changed.before, changed.after["policy"]["thresholds"]["decline"]) == (None, 0.8)


def test_every_entry_is_copied_to_where_it_cannot_be_deleted(
    deployment: Deployment, entries: list[Recorded], tmp_path: Path
) -> None:
    until(lambda: not verify(deployment).unkept, pause=0.2, what="a copy of every entry")
    s3, bucket = deployment.client("s3"), deployment["AuditBucket"]
    [copy] = s3.list_object_versions(Bucket=bucket, Prefix=entries[0].key)["Versions"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=copy["Key"], VersionId=copy["VersionId"])
    path = tmp_path / "trail.jsonl"
    done = CliRunner().invoke(
        app, ["audit", "export", str(path), "--merchant", MERCHANT, "--port", str(deployment.port)]
    )
    assert done.exit_code == 0, done.output
    assert len(path.read_text().splitlines()) == len(entries)


def test_an_entry_that_is_changed_in_the_table_is_found_and_seen(
    deployment: Deployment, entries: list[Recorded]
) -> None:
    """And put back: what was seen of it stays seen."""
    table = deployment.client("dynamodb")
    for text in (entries[1].text.replace(MERCHANT, "nobody"), entries[1].text):
        item = {"subject": entries[1].subject, "id": entries[1].id, "entry": text}
        table.put_item(
            TableName=deployment["AuditTable"], Item={name: {"S": value} for name, value in item.items()}
        )
    until(lambda: len(verify(deployment).altered) == 2, pause=0.2, what="word of both changes")
    verdict = verify(deployment)
    assert verdict.tampered
    assert (verdict.different, verdict.lost, verdict.covered) == ([], [], [])
