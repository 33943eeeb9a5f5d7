"""`paywarden restore` against DynamoDB and S3 as moto has them: what was lost is back, nothing newer is undone.

moto keeps no history: a table of then is one that is copied while it is as it was.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from infra.environments import PROD
from ops import terminal
from ops.cli import app
from ops.recovery import commands, comparing, dropped, tables
from ops.recovery.comparing import put_back
from ops.recovery.dropped import completed, lacking, revived
from ops.recovery.errors import RecoveryError
from ops.recovery.objects import changes, set_back
from ops.recovery.tables import KINDS, restored_aside, settled
from runtime.stores.merchants import Account, Credential, DynamoMerchantStore
from tests.tables import create_table
from tests.trails import audit_table
from tests.turns import one_call_at_a_time
from tests.unit.ops.clock import Clock

pytestmark = pytest.mark.integration

RESTORED = ("decisions", "merchants", "settings", "releases")


class Deployment:
    """A deployment whose tables and buckets are called like their kinds."""

    environment = PROD

    def __init__(self, clients: dict[str, Any]) -> None:
        self._clients = clients
        self.told: list[tuple[str, str]] = []

    def tell(self, kind: str, action: str, **_more: Any) -> None:
        """Stands for the audit trail."""
        self.told.append((kind, action))

    def client(self, service: str) -> Any:
        return self._clients[service]

    def __getitem__(self, output: str) -> str:
        return output.removesuffix("Table").removesuffix("Bucket").lower()


class Mappings:
    """The event sources of Lambda, as far as a new stream changes them."""

    def __init__(self, *sources: dict[str, Any]) -> None:
        self.sources = list(sources)

    def get_paginator(self, operation: str) -> "Mappings":
        assert operation == "list_event_source_mappings"
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"EventSourceMappings": list(self.sources)}]

    def create_event_source_mapping(self, **given: Any) -> None:
        self.sources.append({"UUID": "new", "FunctionArn": given.pop("FunctionName"), **given})

    def delete_event_source_mapping(self, UUID: str) -> None:  # noqa: N803 - Lambda's name
        self.sources = [each for each in self.sources if each["UUID"] != UUID]


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="eu-west-1")
        one_call_at_a_time(dynamodb)
        for kind in RESTORED:
            create_table(dynamodb, kind)
            dynamodb.update_continuous_backups(
                TableName=kind, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
        yield {"dynamodb": dynamodb, "s3": boto3.client("s3", region_name="eu-west-1"), "lambda": Mappings()}


@pytest.fixture
def dynamodb(clients: dict[str, Any]) -> Any:
    return clients["dynamodb"]


@pytest.fixture
def deployment(clients: dict[str, Any]) -> Deployment:
    return Deployment(clients)


@pytest.fixture
def command(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(commands, "connect", lambda _env, **_options: deployment)
    monkeypatch.setattr(terminal.console, "width", 300)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["restore", *arguments], env={"COLUMNS": "300"})

    return run


def line(name: str, answer: str = "approve", kind: str = "decision") -> dict[str, Any]:
    return {"id": {"S": name}, "kind": {"S": kind}, "answer": {"S": answer}, "row": {"S": "{}"}}


def fill(client: Any, table: str, *items: dict[str, Any]) -> None:
    for item in items:
        client.put_item(TableName=table, Item=item)


def aside(client: Any, table: str) -> str:
    """The table as it is now, under another name."""
    backup = client.create_backup(TableName=table, BackupName="then")["BackupDetails"]["BackupArn"]
    client.restore_table_from_backup(TargetTableName=f"{table}-then", BackupArn=backup)
    return f"{table}-then"


def content(client: Any, table: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.scan(TableName=table)["Items"]
    return sorted(items, key=str)


def test_lost_decisions_come_back_and_none_that_is_there_is_touched(dynamodb: Any) -> None:
    fill(dynamodb, "decisions", *(line(f"shop/{n}") for n in range(120)))
    side = aside(dynamodb, "decisions")
    for n in range(40):
        dynamodb.delete_item(TableName="decisions", Key={"id": {"S": f"shop/{n}"}, "kind": {"S": "decision"}})
    fill(dynamodb, "decisions", line("shop/100", "decline"), line("shop/new"))
    looked = put_back(dynamodb, KINDS["decisions"], "decisions", side, changed=True, write=False)
    assert looked.counts == {"missing": 40, "kept": 1, "same": 79}
    assert looked.written == 0
    done = put_back(dynamodb, KINDS["decisions"], "decisions", side, changed=True, write=True)
    assert (done.written, done.raced) == (40, 0)
    wanted = [line(f"shop/{n}") for n in range(120) if n != 100]
    assert content(dynamodb, "decisions") == sorted(
        [*wanted, line("shop/100", "decline"), line("shop/new")], key=str
    )
    again = put_back(dynamodb, KINDS["decisions"], "decisions", side, changed=True, write=True)
    assert (again.written, again.counts["missing"]) == (0, 0)


def test_settings_that_moved_on_or_expired_stay(dynamodb: Any) -> None:
    def document(merchant: str, version: int, text: str, **more: Any) -> dict[str, Any]:
        return {
            "id": {"S": merchant},
            "part": {"S": "rules"},
            "version": {"N": str(version)},
            "document": {"S": text},
            **more,
        }

    fill(dynamodb, "settings", document("a", 3, "good"), document("b", 3, "good"), document("c", 1, "good"))
    fill(dynamodb, "settings", document("d", 1, "over", expires_at={"N": "1"}))
    side = aside(dynamodb, "settings")
    fill(dynamodb, "settings", document("a", 3, "spoilt"), document("b", 4, "changed by the merchant"))
    for merchant in ("c", "d"):
        dynamodb.delete_item(TableName="settings", Key={"id": {"S": merchant}, "part": {"S": "rules"}})
    kind = KINDS["settings"]
    only_missing = put_back(dynamodb, kind, "settings", side, changed=False, write=True)
    assert only_missing.counts == {"changed": 1, "newer": 1, "missing": 1, "expired": 1}
    assert only_missing.written == 1
    assert put_back(dynamodb, kind, "settings", side, changed=True, write=True).written == 1
    assert content(dynamodb, "settings") == [
        document("a", 3, "good"),
        document("b", 4, "changed by the merchant"),
        document("c", 1, "good"),
    ]


@pytest.fixture
def shop(dynamodb: Any) -> tuple[DynamoMerchantStore, Account]:
    """A merchant with one key, stored as the platform stores it."""
    store = DynamoMerchantStore(dynamodb, "merchants", audit_table(dynamodb))
    key = Credential("k1", "shop", "hash", "standard", created_at=1_000)
    account = Account("shop", "standard", "", created_at=1_000, changed_at=1_000, keys=(key,))
    store.save(account, key)
    return store, account


@pytest.mark.parametrize("ended", [{"disabled_at": 2_000}, {"expires_at": 2_000}], ids=["disabled", "rotated"])
@pytest.mark.parametrize("lost", [False, True], ids=["there", "lost"])
def test_a_key_that_was_ended_since_is_not_let_in_again(
    dynamodb: Any, shop: tuple[DynamoMerchantStore, Account], ended: dict[str, int], lost: bool
) -> None:
    store, account = shop
    side = aside(dynamodb, "merchants")
    [key] = account.keys
    over = Credential(**{**asdict(key), **ended})
    store.save(replace(account, version=2, changed_at=2_000), over)
    if lost:
        dynamodb.delete_item(TableName="merchants", Key={"key_id": {"S": "k1"}})
    done = put_back(dynamodb, KINDS["merchants"], "merchants", side, changed=True, write=True)
    assert (done.counts["newer"], done.written) == (2, 0)
    found = store.get("k1")
    assert found is None if lost else found == over


@pytest.mark.parametrize("ended", ["disabled_at", "expires_at"])
def test_a_key_that_ends_earlier_stays_so_by_itself(
    dynamodb: Any, shop: tuple[DynamoMerchantStore, Account], ended: str
) -> None:
    """Without a newer account, as when the account was lost and put back before."""
    store, _ = shop
    fill(dynamodb, "merchants", {**content(dynamodb, "merchants")[0], "expires_at": {"N": "9000"}})
    side = aside(dynamodb, "merchants")
    now = {**dynamodb.get_item(TableName="merchants", Key={"key_id": {"S": "k1"}})["Item"], ended: {"N": "2000"}}
    fill(dynamodb, "merchants", now)
    done = put_back(dynamodb, KINDS["merchants"], "merchants", side, changed=True, write=True)
    assert (done.counts["newer"], done.written) == (1, 0)
    found = store.get("k1")
    assert found is not None
    assert getattr(found, ended) == 2_000


def test_a_merchant_that_was_lost_comes_back_with_its_keys(
    dynamodb: Any, shop: tuple[DynamoMerchantStore, Account]
) -> None:
    store, account = shop
    side = aside(dynamodb, "merchants")
    spoilt = {**content(dynamodb, "merchants")[0], "secret_hash": {"S": "spoilt"}}
    for name in ("merchant#shop", "k1"):
        dynamodb.delete_item(TableName="merchants", Key={"key_id": {"S": name}})
    done = put_back(dynamodb, KINDS["merchants"], "merchants", side, changed=True, write=True)
    assert (done.written, done.raced) == (2, 0)
    assert store.account("shop") == account
    # A key that is other than it was, of an account that is not: somebody spoilt it.
    fill(dynamodb, "merchants", spoilt)
    assert put_back(dynamodb, KINDS["merchants"], "merchants", side, changed=True, write=True).written == 1
    assert store.account("shop") == account


def test_a_merchant_that_is_changed_meanwhile_gets_no_key_back(
    dynamodb: Any, shop: tuple[DynamoMerchantStore, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, account = shop
    side = aside(dynamodb, "merchants")
    dynamodb.delete_item(TableName="merchants", Key={"key_id": {"S": "k1"}})
    write = comparing._written

    def beaten(client: Any, table: str, each: Any) -> bool:
        store.save(replace(account, version=2, disabled_at=2_000, keys=()))
        return write(client, table, each)

    monkeypatch.setattr(comparing, "_written", beaten)
    done = put_back(dynamodb, KINDS["merchants"], "merchants", side, changed=True, write=True)
    assert (done.written, done.raced) == (0, 1)
    assert store.get("k1") is None


def test_an_item_that_somebody_writes_meanwhile_stays_theirs(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dynamodb, "decisions", line("shop/1"))
    side = aside(dynamodb, "decisions")
    dynamodb.delete_item(TableName="decisions", Key={"id": {"S": "shop/1"}, "kind": {"S": "decision"}})
    write = comparing._written

    def beaten(client: Any, table: str, each: Any) -> bool:
        fill(client, table, line("shop/1", "decline"))
        return write(client, table, each)

    monkeypatch.setattr(comparing, "_written", beaten)
    done = put_back(dynamodb, KINDS["decisions"], "decisions", side, changed=True, write=True)
    assert (done.written, done.raced) == (0, 1)
    assert content(dynamodb, "decisions") == [line("shop/1", "decline")]


def test_the_command_restores_aside_compares_asks_and_cleans_up(dynamodb: Any, command: Any) -> None:
    fill(dynamodb, "decisions", line("shop/1"), line("shop/2"))
    early = command("table", "decisions", "--at", "2020-01-01", "--yes")
    assert isinstance(early.exception, RecoveryError)
    assert "--at: decisions can be restored from" in str(early.exception)
    aside(dynamodb, "decisions")
    dynamodb.delete_item(TableName="decisions", Key={"id": {"S": "shop/1"}, "kind": {"S": "decision"}})
    tried = command("table", "decisions", "--side", "decisions-then", "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "missing: shop/1/decision" in tried.stderr
    assert len(content(dynamodb, "decisions")) == 1
    declined = CliRunner().invoke(app, ["restore", "table", "decisions", "--side", "decisions-then"], input="n\n")
    assert declined.exit_code == 1
    assert len(content(dynamodb, "decisions")) == 1
    done = command("table", "decisions", "--side", "decisions-then", "--yes")
    assert done.exit_code == 0, done.output
    assert "1 items are back" in done.stderr
    assert len(content(dynamodb, "decisions")) == 2
    assert "decisions-then is there beside" not in tried.stderr  # it was restored by hand, and is known to be
    assert "decisions-then" in dynamodb.list_tables()["TableNames"]


def test_a_table_that_is_as_it_was_leaves_nothing_behind(
    dynamodb: Any, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # moto restores a table as it is, to any moment of a window of its own.
    fill(dynamodb, "decisions", line("shop/1"))
    window = dynamodb.describe_continuous_backups(TableName="decisions")["ContinuousBackupsDescription"]
    at = window["PointInTimeRecoveryDescription"]["LatestRestorableDateTime"]
    wanted: list[dict[str, Any]] = []
    restore = dynamodb.restore_table_to_point_in_time
    monkeypatch.setattr(
        dynamodb,
        "restore_table_to_point_in_time",
        lambda **given: (wanted.append(given), restore(**given)),
    )
    side = restored_aside(dynamodb, "decisions", at, tell=lambda _: None)
    assert [(each["SourceTableName"], each["RestoreDateTime"]) for each in wanted] == [("decisions", at)]
    assert side == wanted[0]["TargetTableName"] == f"decisions-at-{at:%Y%m%dT%H%M%S}"
    monkeypatch.setattr(commands, "restored_aside", lambda *_, **__: side)
    done = command("table", "decisions", "--at", "2026-01-01", "--yes")
    assert done.exit_code == 0, done.output
    assert "Nothing was written." in done.stderr
    assert side not in dynamodb.list_tables()["TableNames"]


def test_a_table_beside_that_is_kept_for_later_is_told_of(
    dynamodb: Any, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dynamodb, "decisions", line("shop/1"))
    side = aside(dynamodb, "decisions")
    dynamodb.delete_item(TableName="decisions", Key={"id": {"S": "shop/1"}, "kind": {"S": "decision"}})
    monkeypatch.setattr(commands, "restored_aside", lambda *_, **__: side)
    tried = command("table", "decisions", "--at", "2026-01-01", "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert f"{side} is there beside, and is paid for until it is deleted" in tried.stderr
    assert side in dynamodb.list_tables()["TableNames"]
    assert command("table", "decisions", "--at", "2026-01-01", "--yes").exit_code == 0
    assert side not in dynamodb.list_tables()["TableNames"]


def test_what_cannot_be_restored_says_what_to_do(dynamodb: Any, command: Any) -> None:
    for arguments, remedy in (
        (("features", "--at", "2026-01-01"), "paywarden rebuild-state"),
        (("nothing",), "give one of: decisions, merchants"),
        (("settings",), "--at: give the moment"),
    ):
        result = command("table", *arguments)
        assert isinstance(result.exception, RecoveryError)
        assert remedy in str(result.exception)
    dynamodb.update_continuous_backups(
        TableName="settings", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    result = command("table", "settings", "--at", "2026-01-01")
    assert "on in staging and prod" in str(result.exception)


def test_a_dropped_table_is_made_again_with_its_stream_and_its_recovery(
    dynamodb: Any, clients: dict[str, Any], command: Any
) -> None:
    fill(dynamodb, "decisions", line("shop/1"))
    dynamodb.create_backup(TableName="decisions", BackupName="of before")
    fill(dynamodb, "decisions", line("shop/2"))
    dynamodb.create_backup(TableName="decisions", BackupName="the newest")
    old = "arn:aws:dynamodb:eu-west-1:123456789012:table/decisions/stream/2026"
    relay = "arn:aws:lambda:eu-west-1:123456789012:function:relay"
    clients["lambda"].sources = [
        {"UUID": "1", "EventSourceArn": old, "FunctionArn": relay, "BatchSize": 100, "MaximumRetryAttempts": 10},
        {"UUID": "2", "EventSourceArn": "arn:aws:sqs:eu-west-1:123456789012:queue", "FunctionArn": relay},
    ]
    dynamodb.delete_table(TableName="decisions")
    tried = command("table", "decisions", "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "decisions" not in dynamodb.list_tables()["TableNames"]
    done = command("table", "decisions", "--yes")
    assert done.exit_code == 0, done.output
    assert content(dynamodb, "decisions") == [line("shop/1"), line("shop/2")]
    described = dynamodb.describe_table(TableName="decisions")["Table"]
    assert described["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert described["DeletionProtectionEnabled"]
    recovery = dynamodb.describe_continuous_backups(TableName="decisions")["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    new = next(each for each in clients["lambda"].sources if each["UUID"] == "new")
    assert new == {
        "UUID": "new",
        "FunctionArn": relay,
        "EventSourceArn": described["LatestStreamArn"],
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 100,
        "MaximumRetryAttempts": 10,
    }
    assert {each["UUID"] for each in clients["lambda"].sources} == {"2", "new"}
    assert lacking(dynamodb, clients["lambda"], KINDS["decisions"], "decisions", recoverable=True) == []
    again = command("table", "decisions", "--yes")
    assert "--at: give the moment" in str(again.exception)


@pytest.mark.parametrize("after", ["restored", "streaming", "mapped"])
def test_a_restore_that_ended_early_goes_on(
    dynamodb: Any, clients: dict[str, Any], deployment: Deployment, command: Any, after: str
) -> None:
    """Ended after the items were there, after the stream was, or between the new mapping and the old one's end."""
    relay = "arn:aws:lambda:eu-west-1:123456789012:function:relay"
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/decisions"
    sources = [{"UUID": "old", "EventSourceArn": f"{table}/stream/2026", "FunctionArn": relay, "State": "Enabled"}]
    if after != "restored":
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        dynamodb.update_table(TableName="decisions", StreamSpecification=stream)
    if after == "mapped":
        newest = dynamodb.describe_table(TableName="decisions")["Table"]["LatestStreamArn"]
        sources.append({"UUID": "new", "EventSourceArn": newest, "FunctionArn": relay, "State": "Enabled"})
    clients["lambda"].sources = list(sources)
    tried = command("table", "decisions", "--dry-run")
    assert "relay as reader" in tried.stderr or "lacks its stream" in tried.stderr
    assert clients["lambda"].sources == sources
    assert deployment.told == []
    assert command("table", "decisions", "--yes").exit_code == 0
    assert deployment.told == [("restore", "make again")]
    described = dynamodb.describe_table(TableName="decisions")["Table"]
    assert described["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"
    assert described["DeletionProtectionEnabled"]
    reading = [(each["UUID"], each["EventSourceArn"]) for each in clients["lambda"].sources]
    assert reading == [("new", described["LatestStreamArn"])]


class Refusing:
    """DynamoDB, which refuses to set the recovery of a new table so many times."""

    def __init__(self, client: Any, times: float) -> None:
        self._client, self.times = client, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def update_continuous_backups(self, **given: Any) -> Any:
        if self.times > 0:
            self.times -= 1
            error: dict[str, Any] = {"Error": {"Code": "ContinuousBackupsUnavailableException", "Message": "soon"}}
            raise self._client.exceptions.ContinuousBackupsUnavailableException(error, "UpdateContinuousBackups")
        return self._client.update_continuous_backups(**given)


def test_the_recovery_of_a_new_table_comes_last_and_is_waited_for(
    dynamodb: Any, clients: dict[str, Any], command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb.update_continuous_backups(
        TableName="releases", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    clients["dynamodb"] = refusing = Refusing(dynamodb, math.inf)
    clock = Clock()
    monkeypatch.setattr(dropped, "time", clock)
    tried = command("table", "releases", "--dry-run")
    assert "releases is there and lacks its recovery" in tried.stderr
    failed = command("table", "releases", "--yes")
    assert isinstance(failed.exception, RecoveryError)
    assert "run the same command once more" in str(failed.exception)
    assert dynamodb.describe_table(TableName="releases")["Table"]["DeletionProtectionEnabled"]
    assert 600 < clock.now < 1_800
    refusing.times = 2
    assert command("table", "releases", "--yes").exit_code == 0
    recovery = dynamodb.describe_continuous_backups(TableName="releases")["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert "--at: give the moment" in str(command("table", "releases").exception)


class Behind:
    """DynamoDB, which tells of a table as it was some calls before."""

    def __init__(self, client: Any, times: float) -> None:
        self._client, self._times, self._asked = client, times, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def restore_table_from_backup(self, **given: Any) -> None:
        self._client.restore_table_from_backup(**given)
        self._asked = 0

    def update_table(self, **given: Any) -> None:
        self._client.update_table(**given)
        self._asked = 0

    def describe_table(self, **given: Any) -> Any:
        self._asked += 1
        told = self._client.describe_table(**given)
        if self._asked > self._times:
            return told
        if "LatestStreamArn" not in told["Table"]:
            error: dict[str, Any] = {"Error": {"Code": "ResourceNotFoundException", "Message": "what table?"}}
            raise self._client.exceptions.ResourceNotFoundException(error, "DescribeTable")
        behind = {name: told["Table"][name] for name in told["Table"].keys() - {"LatestStreamArn"}}
        return {"Table": behind}


def test_a_table_is_waited_for_that_dynamodb_does_not_tell_of_yet(
    dynamodb: Any, clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = dynamodb.create_backup(TableName="decisions", BackupName="then")["BackupDetails"]["BackupArn"]
    dynamodb.delete_table(TableName="decisions")
    clock = Clock()
    monkeypatch.setattr(tables, "time", clock)
    told: list[str] = []
    behind = Behind(dynamodb, 2)
    revived(behind, "decisions", backup, tell=told.append)
    assert told == ["decisions is not known yet: 0 s", "decisions is not known yet: 10 s"]
    completed(
        behind,
        clients["lambda"],
        KINDS["decisions"],
        "decisions",
        recoverable=True,
        protected=True,
        tell=told.append,
    )
    # After the stream, and after the protection.
    assert told[2:] == ["decisions is active: 0 s", "decisions is active: 10 s"] * 2
    dynamodb.update_table(TableName="decisions", DeletionProtectionEnabled=False)
    start = clock.now
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        settled(dynamodb, "never made", tell=told.append)
    assert 60 < clock.now - start < 80


def test_a_table_is_read_again_before_its_recovery_is_set(
    dynamodb: Any, clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb.update_continuous_backups(
        TableName="decisions", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    relay = "arn:aws:lambda:eu-west-1:123456789012:function:relay"
    old = "arn:aws:dynamodb:eu-west-1:123456789012:table/decisions/stream/2026"
    clients["lambda"].sources = [{"UUID": "old", "EventSourceArn": old, "FunctionArn": relay}]
    monkeypatch.setattr(dropped, "time", Clock())
    with pytest.raises(RecoveryError):
        completed(
            Refusing(dynamodb, math.inf),
            clients["lambda"],
            KINDS["decisions"],
            "decisions",
            recoverable=True,
            protected=False,
            tell=lambda _: None,
        )
    assert [each["UUID"] for each in clients["lambda"].sources] == ["new"]
    missing = lacking(dynamodb, clients["lambda"], KINDS["decisions"], "decisions", recoverable=True)
    assert missing == ["its recovery"]


def test_a_dropped_table_without_a_backup_says_where_else_its_data_is(dynamodb: Any, command: Any) -> None:
    dynamodb.delete_table(TableName="releases")
    result = command("table", "releases", "--yes")
    assert "has no backup" in str(result.exception)


@pytest.fixture
def bucket(clients: dict[str, Any]) -> Any:
    s3 = clients["s3"]
    s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    for key in ("decisions/a", "decisions/b", "decisions/c", "labels/a"):
        s3.put_object(Bucket="lake", Key=key, Body=f"{key} then".encode())
    s3.put_object(Bucket="lake", Key="decisions/gone before", Body=b"x")
    s3.delete_object(Bucket="lake", Key="decisions/gone before")
    return s3


def body(s3: Any, key: str) -> str:
    read: bytes = s3.get_object(Bucket="lake", Key=key)["Body"].read()
    return read.decode()


def later(s3: Any) -> datetime:
    """A moment after all that was done until now, to the resolution of the listing."""
    found = s3.list_object_versions(Bucket="lake")
    newest: datetime = max(each["LastModified"] for each in (*found["Versions"], *found["DeleteMarkers"]))
    return newest


def spoil(s3: Any) -> None:
    s3.delete_object(Bucket="lake", Key="decisions/a")
    s3.put_object(Bucket="lake", Key="decisions/b", Body=b"spoilt")
    s3.put_object(Bucket="lake", Key="decisions/new", Body=b"new")
    s3.delete_object(Bucket="lake", Key="labels/a")


def test_objects_are_as_they_were_and_new_ones_stay(bucket: Any, command: Any) -> None:
    at = later(bucket)
    _wait_past(at)
    spoil(bucket)
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S")
    found = {each.key: each.what for each in changes(bucket, "lake", "decisions/", at)}
    assert found == {"decisions/a": "deleted", "decisions/b": "overwritten", "decisions/new": "added"}
    tried = command("objects", "lake", "--prefix", "decisions/", "--at", stamp, "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert body(bucket, "decisions/b") == "spoilt"
    done = command("objects", "lake", "--prefix", "decisions/", "--at", stamp, "--yes")
    assert done.exit_code == 0, done.output
    assert "2 objects are as they were" in done.stderr
    assert [body(bucket, f"decisions/{name}") for name in ("a", "b", "c", "new")] == [
        "decisions/a then",
        "decisions/b then",
        "decisions/c then",
        "new",
    ]
    assert not [each for each in changes(bucket, "lake", "decisions/", at) if each.what != "added"]
    assert {each.key for each in changes(bucket, "lake", "labels/", at)} == {"labels/a"}


class Encrypted:
    """S3 with a key of KMS: the ETag of a copy is not that of its source."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def get_paginator(self, operation: str) -> "Encrypted":
        assert operation == "list_object_versions"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        for page in self._s3.get_paginator("list_object_versions").paginate(**asked):
            versions = [{**each, "ETag": each["VersionId"]} for each in page.get("Versions", ())]
            yield {**page, "Versions": versions}


def test_what_is_back_is_known_as_such_where_the_same_bytes_have_another_etag(bucket: Any) -> None:
    described = {"ContentType": "text/plain", "ContentEncoding": "gzip", "Metadata": {"origin": "x"}}
    bucket.put_object(Bucket="lake", Key="decisions/b", Body=b"then", **described)
    at = later(bucket)
    _wait_past(at)
    spoil(bucket)
    encrypted = Encrypted(bucket)
    found = {each.key: each for each in changes(encrypted, "lake", "decisions/", at)}
    assert {key for key, each in found.items() if each.what == "overwritten"} == {"decisions/b"}
    assert all(set_back(encrypted, "lake", found[f"decisions/{name}"]) for name in "ab")
    assert {each.what for each in changes(encrypted, "lake", "decisions/", at)} == {"added"}
    head = bucket.head_object(Bucket="lake", Key="decisions/b")
    assert head["Metadata"].pop("restored-from") == found["decisions/b"].version
    assert {name: head[name] for name in described} == described
    # What is spoilt once more is not what was brought back.
    bucket.put_object(Bucket="lake", Key="decisions/a", Body=b"spoilt")
    assert [each.key for each in changes(encrypted, "lake", "decisions/a", at)] == ["decisions/a"]


def test_an_object_that_is_written_meanwhile_stays_so(bucket: Any) -> None:
    at = later(bucket)
    _wait_past(at)
    spoil(bucket)
    [change] = changes(bucket, "lake", "decisions/b", at)
    bucket.put_object(Bucket="lake", Key="decisions/b", Body=b"mended by hand")
    assert not set_back(bucket, "lake", change)
    assert body(bucket, "decisions/b") == "mended by hand"


def _wait_past(moment: datetime) -> None:
    """Until the listing's clock, which counts whole seconds, shows another one."""
    while datetime.now(UTC).replace(microsecond=0) <= moment:
        time.sleep(0.05)
