"""The audit trail as operators read it: listed, exported whole, and held against its locked copies."""

import csv
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from ops.audit import commands
from ops.audit.reading import Wanted, differences, read
from ops.audit.verifying import keep, verify
from ops.cli import app
from runtime.auditing import LARGEST_STATE, PLATFORM, AuditTrail, Entry, merchant, state
from tests.trails import audit_table

REGION = "eu-west-1"
NOW = 1_767_000_000_000
RULES = Entry(
    at=NOW,
    who="key:k1",
    kind="rules",
    subject=merchant("shop"),
    action="put",
    before={"rules": ["a", "b"]},
    after={"rules": ["a", "c"]},
)
MODEL = Entry(
    at=NOW + 1, who="arn:jane", kind="model", subject=PLATFORM, action="approved", of="run-1", reason="=1+1"
)


class Deployment:
    """A table of entries, and the bucket of their copies."""

    def __init__(self) -> None:
        self.trail: AuditTrail = audit_table(self.client("dynamodb"))
        self.s3 = self.client("s3")
        self.s3.create_bucket(
            Bucket="audit",
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=True,
        )
        for entry in (MODEL, RULES):
            self.trail.record(entry)

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]

    def __getitem__(self, name: str) -> str:
        return {"AuditTable": "audit", "AuditBucket": "audit"}[name]


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = Deployment()
        monkeypatch.setattr(commands, "connect", lambda _env, **_: made)
        yield made


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["audit", *arguments], env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), [RULES, MODEL]),
        (Wanted(subject=merchant("shop")), [RULES]),
        (Wanted(subject=merchant("sho")), []),
        (Wanted(kind="model"), [MODEL]),
        (Wanted(who="jane"), [MODEL]),
        (Wanted(since=NOW + 1), [MODEL]),
        (Wanted(until=NOW + 1), [RULES]),
    ],
)
def test_entries_are_found_in_order_of_time(deployment: Any, wanted: Wanted, found: list[Entry]) -> None:
    assert [each.entry for each in read(deployment, wanted)] == found


def test_a_change_is_shown_as_what_is_gone_and_what_is_new(deployment: Any) -> None:
    assert [line.strip() for line in differences(RULES) if line[0] in "+-"] == ['-    "b"', '+    "c"']
    [rules, _] = read(deployment)
    shown = run("show", rules.id).stdout
    assert "key:k1" in shown
    assert '-    "b"' in shown
    assert run("show", "nothing").exit_code


def test_an_export_is_whole_and_proves_it(deployment: Any, tmp_path: Path) -> None:
    keep(deployment, verify(deployment).unkept)
    assert run("export", str(tmp_path / "all.jsonl")).exit_code == 0
    assert run("export", str(tmp_path / "all.csv")).exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [msgspec.convert({**each, "id": None}, Entry) for each in lines] == [RULES, MODEL]
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [json.loads(rows[0]["before"]), rows[1]["of"]] == [RULES.before, "run-1"]
    assert rows[1]["reason"] == "'=1+1", "no formula of whoever gave the reason"
    digest, name = (tmp_path / "all.csv.sha256").read_text().split()
    assert digest == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    again = run("export", str(tmp_path / "all.csv"))
    assert again.exit_code, "never written over"


def test_what_is_whole_is_verified_and_what_has_no_copy_is_kept(deployment: Any) -> None:
    assert run("verify").exit_code == 1, "entries of long ago without copies"
    assert run("keep", "--dry-run").exit_code == 0
    assert len(verify(deployment).unkept) == 2
    assert run("keep", "--yes").exit_code == 0
    assert run("verify").exit_code == 0


def put(deployment: Any, **item: str) -> None:
    named = {"subject": PLATFORM, "id": f"{NOW:013d}-00000000", **item}
    deployment.trail.client.put_item(TableName="audit", Item={name: {"S": each} for name, each in named.items()})


@pytest.mark.parametrize("item", [{"entry": "{}"}, {}, {"id": "x", "entry": "[" * 100_000}])
def test_what_cannot_be_read_is_shown_and_hides_nothing(deployment: Any, item: Any, tmp_path: Path) -> None:
    assert run("keep", "--yes").exit_code == 0
    put(deployment, **item)
    [unreadable] = read(deployment, Wanted(kind="rules", who="nobody"))
    assert unreadable.entry is None
    verdict = verify(deployment)
    assert (verdict.entries, verdict.unkept, verdict.different) == (3, [], [unreadable.key])
    assert run("verify").exit_code == 1
    listed = run("list").stdout
    assert all(word in listed for word in ("key:k1", "arn:jane", "cannot be read"))
    assert "cannot be read" in run("show", unreadable.id).stdout
    assert run("keep", "--yes").exit_code == 0
    assert verify(deployment).different == [unreadable.key], "nothing locks it as if it were an entry"
    for name in ("all.jsonl", "all.csv"):
        assert run("export", str(tmp_path / name), "--unverified").exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for found in (lines, rows):
        assert len(found) == 3
        [told] = [each for each in found if each["id"] == unreadable.id]
        assert told["unreadable"].lstrip("'") == item.get("entry", "")


def test_an_entry_of_a_kind_that_a_later_release_has_is_read(deployment: Any, tmp_path: Path) -> None:
    later = msgspec.json.encode(MODEL).replace(b'"model"', b'"of tomorrow"').decode()
    put(deployment, id=f"{MODEL.at:013d}-00000000", entry=later)
    assert run("keep", "--yes").exit_code == 0
    assert run("verify").exit_code == 0
    assert "of tomorrow: approved" in run("list").stdout
    assert run("export", str(tmp_path / "all.csv")).exit_code == 0


def test_a_copy_that_was_made_late_is_named(deployment: Any) -> None:
    """By its mark, or since the stream cannot have had the entry any more."""
    now = time.time_ns() // 1_000_000
    young = msgspec.structs.replace(MODEL, at=now)
    for _ in range(2):
        deployment.trail.record(young)
    [old, _, marked, witnessed] = read(deployment)
    for each in (old, witnessed):
        deployment.s3.put_object(Bucket="audit", Key=each.key, Body=each.text.encode())
    assert verify(deployment).late == [old.key]
    assert keep(deployment, [marked]) == 1
    verdict = verify(deployment)
    assert sorted(verdict.late) == sorted([old.key, marked.key])
    assert not verdict.tampered
    assert marked.key in run("verify").stdout.replace("\n", "")


def altered(deployment: Any) -> None:
    [rules, _] = read(deployment)
    key = {"subject": {"S": rules.subject}, "id": {"S": rules.id}}
    deployment.trail.client.put_item(
        TableName="audit", Item={**key, "entry": {"S": rules.text.replace("k1", "k2")}}
    )


def removed(deployment: Any) -> None:
    [rules, _] = read(deployment)
    deployment.trail.client.delete_item(
        TableName="audit", Key={"subject": {"S": rules.subject}, "id": {"S": rules.id}}
    )


def written_over(deployment: Any) -> None:
    [rules, _] = read(deployment)
    deployment.s3.put_object(Bucket="audit", Key=rules.key, Body=b"{}")


def hidden(deployment: Any) -> None:
    deployment.s3.delete_object(Bucket="audit", Key=read(deployment)[0].key)


def seen(deployment: Any) -> None:
    deployment.s3.put_object(Bucket="audit", Key="altered/merchant/shop/1/2.json", Body=b"{}")


@pytest.mark.parametrize(
    ("tamper", "told"),
    [(altered, "different"), (removed, "lost"), (written_over, "covered"), (hidden, "covered"), (seen, "altered")],
)
def test_whatever_is_done_to_the_trail_is_found(deployment: Any, tamper: Any, told: str, tmp_path: Path) -> None:
    keep(deployment, verify(deployment).unkept)
    assert not verify(deployment).tampered
    tamper(deployment)
    verdict = verify(deployment)
    assert [name for name in ("lost", "different", "covered", "altered") if getattr(verdict, name)] == [told]
    assert run("verify").exit_code == 1
    assert run("export", str(tmp_path / "all.csv")).exit_code == 1
    assert run("export", str(tmp_path / "all.csv"), "--unverified").exit_code == 0


def test_a_large_state_is_known_by_its_digest() -> None:
    small, large = {"note": "x"}, {"note": "x" * LARGEST_STATE}
    assert msgspec.json.encode(state(small)) == msgspec.json.encode(small)
    content = msgspec.json.encode(large)
    assert state(large) == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
