"""The audit trail is copied as it was written, once, and what befalls it in the table is kept and counted."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest

from runtime.auditing import PLATFORM, AuditTrail, Entry
from tests.trails import audit_table
from tests.unit.lambdas.support import REGION, Context

BUCKET = "audit"
ENTRY = Entry(
    at=1_767_000_000_000, who="key:k1", kind="code", subject=PLATFORM, action="roll back", before={"live": 2}
)


@pytest.fixture
def function(load: Callable[[str], ModuleType], aws: None) -> ModuleType:
    del aws
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return load("keep_audit")


@pytest.fixture
def item(aws: None) -> dict[str, Any]:
    """An entry as it lies in the table."""
    del aws
    trail: AuditTrail = audit_table(boto3.client("dynamodb"))
    trail.record(ENTRY)
    [found] = trail.client.scan(TableName=trail.table)["Items"]
    return found


def record(how: str, number: int = 1, **images: Any) -> dict[str, Any]:
    image = next(iter(images.values()))
    return {
        "eventName": how,
        "dynamodb": {
            "Keys": {name: image[name] for name in ("subject", "id")},
            "SequenceNumber": str(number),
            "ApproximateCreationDateTime": 1_767_000_001.0,
            **images,
        },
    }


def objects() -> dict[str, str]:
    client = boto3.client("s3")
    return {
        each["Key"]: client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read().decode()
        for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    }


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return {name: [line[name][0] for line in lines] for name in ("AuditKept", "AuditAltered")}


def test_an_entry_is_copied_once_to_the_byte(
    function: ModuleType, item: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    event = {"Records": [record("INSERT", NewImage=item)]}
    function.handler(event, Context())
    function.handler(event, Context())
    assert objects() == {f"entries/platform/{item['id']['S']}.json": item["entry"]["S"]}
    assert counted(capsys) == {"AuditKept": [1, 0], "AuditAltered": [0, 0]}


def test_what_somebody_did_to_an_entry_is_kept_once_and_counted_each_time(
    function: ModuleType, item: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    other = {**item, "entry": {"S": "{}"}}
    event = {
        "Records": [
            record("INSERT", NewImage=item),
            record("MODIFY", 2, NewImage=other, OldImage=item),
            record("REMOVE", 3, OldImage=other),
        ]
    }
    function.handler(event, Context())
    function.handler(event, Context())
    id_ = item["id"]["S"]
    kept = objects()
    assert kept.pop(f"entries/platform/{id_}.json") == item["entry"]["S"], "the copy stays as it was"
    told = {key: json.loads(text) for key, text in kept.items()}
    assert {key: (each["how"], each["before"], each["after"]) for key, each in told.items()} == {
        f"altered/platform/{id_}/2.json": ("MODIFY", item, other),
        f"altered/platform/{id_}/3.json": ("REMOVE", other, None),
    }
    assert counted(capsys) == {"AuditKept": [1, 0], "AuditAltered": [2, 2]}


def test_what_is_altered_is_counted_though_a_copy_after_it_fails(
    function: ModuleType,
    item: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = {**item, "id": {"S": item["id"]["S"][:-1] + "x"}}
    removed = record("REMOVE", 2, OldImage=item)
    event = {"Records": [record("INSERT", NewImage=item), removed, record("REMOVE", 3, OldImage=later)]}
    puts, written = iter(range(3)), function.keep

    def third_fails(*told: Any) -> Any:
        if next(puts) == 2:
            raise function.ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
        return written(*told)

    monkeypatch.setattr(function, "keep", third_fails)
    with pytest.raises(function.ClientError, match="SlowDown"):
        function.handler(event, Context())
    assert len(objects()) == 2
    # All that the next attempt has is there already.
    monkeypatch.setattr(function, "keep", written)
    function.handler({"Records": [removed]}, Context())
    assert counted(capsys) == {"AuditKept": [1, 0], "AuditAltered": [2, 1]}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"N": "1"},
        {"S": "{}"},
        {"S": "no JSON"},
        {"S": "[" * 100_000},
        {"S": msgspec.json.encode(msgspec.structs.replace(ENTRY, subject="merchant#shop")).decode()},
        {"S": msgspec.json.encode(msgspec.structs.replace(ENTRY, at=1)).decode()},
    ],
    ids=["none", "a number", "empty", "no JSON", "too deep", "of another subject", "of another time"],
)
def test_an_item_that_is_no_entry_is_kept_counted_and_not_in_the_way(
    function: ModuleType, item: dict[str, Any], capsys: pytest.CaptureFixture[str], entry: Any
) -> None:
    other = {"subject": item["subject"], "id": {"S": item["id"]["S"][:-8] + "00000000"}}
    other |= {} if entry is None else {"entry": entry}
    # DynamoDB takes names that are longer than any key in S3.
    long = {"subject": {"S": "x" * 2_048}, "id": {"S": "\U0001f600" * 256}, "entry": item["entry"]}
    function.handler(
        {
            "Records": [
                record("INSERT", 1, NewImage=other),
                record("INSERT", 2, NewImage=long),
                record("INSERT", 3, NewImage=item),
            ]
        },
        Context(),
    )
    kept = objects()
    assert kept.pop(f"entries/platform/{item['id']['S']}.json") == item["entry"]["S"]
    told = {key: json.loads(text) for key, text in kept.items()}
    assert [
        each["after"] for each in sorted(told.values(), key=lambda each: len(str(each["after"]["subject"])))
    ] == [
        other,
        long,
    ]
    assert all(key.startswith("altered/") and len(key.encode()) <= 1_024 for key in told)
    assert counted(capsys) == {"AuditKept": [1], "AuditAltered": [2]}


def test_an_entry_of_a_kind_that_a_later_release_has_is_an_entry(
    function: ModuleType, item: dict[str, Any]
) -> None:
    item["entry"]["S"] = item["entry"]["S"].replace('"code"', '"of tomorrow"')
    function.handler({"Records": [record("INSERT", NewImage=item)]}, Context())
    assert objects() == {f"entries/platform/{item['id']['S']}.json": item["entry"]["S"]}


def test_a_copy_that_fails_fails_the_batch_so_that_it_is_given_out_again(
    function: ModuleType, item: dict[str, Any]
) -> None:
    boto3.client("s3").delete_bucket(Bucket=BUCKET)
    with pytest.raises(function.ClientError, match="NoSuchBucket"):
        function.handler({"Records": [record("INSERT", NewImage=item)]}, Context())
