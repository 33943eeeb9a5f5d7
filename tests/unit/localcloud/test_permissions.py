"""What roles called is held against what they may, both ways."""

from pathlib import Path

import pytest

from ops.localcloud.permissions import Call, CallLog, Grant, matches, read_calls, refused, unused

TABLE = "arn:aws:dynamodb:eu-west-1:000000000000:table/decisions"
READ = Call("reader", "dynamodb:GetItem", TABLE, allowed=True)


def test_a_call_that_was_refused_is_found() -> None:
    write = Call("reader", "dynamodb:PutItem", TABLE, allowed=False)
    assert refused([READ, write]) == [write]
    assert refused([READ]) == []


@pytest.mark.parametrize(
    ("grant", "used"),
    [
        (Grant("reader", "dynamodb:GetItem", TABLE), True),
        (Grant("reader", "dynamodb:getitem", TABLE), True),
        (Grant("reader", "dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/dec*"), True),
        (Grant("reader", "dynamodb:GetItem", "*"), True),
        # Another role's, another action, another resource.
        (Grant("writer", "dynamodb:GetItem", TABLE), False),
        (Grant("reader", "dynamodb:Query", TABLE), False),
        (Grant("reader", "dynamodb:GetItem", f"{TABLE}/stream/*"), False),
        (Grant("reader", "dynamodb:GetItem", TABLE.removesuffix("s")), False),
    ],
)
def test_a_grant_is_used_by_a_call_of_its_role_action_and_resource(grant: Grant, *, used: bool) -> None:
    assert unused([grant], [READ]) == ([] if used else [grant])


def test_a_refused_call_uses_no_grant() -> None:
    grant = Grant("reader", "dynamodb:GetItem", TABLE)
    assert unused([grant], [Call("reader", "dynamodb:GetItem", TABLE, allowed=False)]) == [grant]


@pytest.mark.parametrize(
    ("resource", "pattern", "found"),
    [
        ("arn:aws:s3:::models/runs/a/plan/x", "arn:aws:s3:::models/runs/*/plan/*", True),
        ("arn:aws:s3:::models/runs/a/model/x", "arn:aws:s3:::models/runs/*/plan/*", False),
        ("arn:aws:s3:::models", "arn:aws:s3:::models?", False),
        ("arn:aws:s3:::model+", "arn:aws:s3:::model+", True),
        ("arn:aws:s3:::modell", "arn:aws:s3:::model+", False),
    ],
)
def test_patterns_are_those_of_iam(resource: str, pattern: str, *, found: bool) -> None:
    assert matches(resource, pattern) == found


def test_calls_are_kept_once_and_can_be_read_while_others_come(tmp_path: Path) -> None:
    path = tmp_path / "state" / "calls.jsonl"
    log = CallLog(path)
    log(READ)
    log(READ)
    assert read_calls(path) == {READ}
    assert len(path.read_text().splitlines()) == 1
    write = Call("reader", "dynamodb:PutItem", TABLE, allowed=False)
    log(write)
    assert read_calls(path) == {READ, write}
