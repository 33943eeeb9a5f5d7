"""Changing the token key: one at a time, ahead of its time, and the old one gone at the end."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from typer.testing import CliRunner

from fraud.puncturable import ROOT, PuncturableKey
from fraud.tokens import Keyring
from fraud.windows import DAY
from infra.environments import lookup
from ops.deployment import Deployment
from ops.tokens import RotationError, Secret, commands, retire, rotate, shortest_overlap
from runtime.auditing import MemoryTrail

FIRST, SECOND, THIRD = (f"the {name} token key, 32 bytes or more" for name in ("first", "second", "third"))
NOW = 1_767_261_600_000
MINUTES = 60_000
OVERLAP = 100 * DAY
LEAD = 600.0
REGION = "eu-west-1"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[Secret]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client, objects = (boto3.client(name, region_name=REGION) for name in ("secretsmanager", "s3"))
        objects.create_bucket(Bucket="keys", CreateBucketConfiguration={"LocationConstraint": REGION})
        objects.put_bucket_versioning(Bucket="keys", VersioningConfiguration={"Status": "Enabled"})
        made = client.create_secret(Name="tokens", SecretString=FIRST)
        yield Secret(client, made["ARN"], objects, "keys", MemoryTrail())


def kept(secret: Secret, **which: str) -> str:
    text: str = secret.client.get_secret_value(SecretId=secret.secret_id, **which)["SecretString"]
    return text


def objects(secret: Secret) -> list[str]:
    """The object of every version that there is."""
    return [each["Key"] for each in secret.objects.list_object_versions(Bucket="keys").get("Versions", [])]


def keys(secret: Secret, ring: Keyring) -> dict[str, PuncturableKey]:
    return dict(secret.tokeniser(ring).keys)


def test_a_new_key_counts_from_a_moment_that_lies_ahead_and_is_never_in_the_secret(secret: Secret) -> None:
    ring = rotate(secret, SECOND, clock=NOW, lead=LEAD, overlap=OVERLAP)
    activates_at = NOW + 10 * MINUTES
    assert ring == Keyring(
        current="2",
        keys={"1": FIRST, "2": ""},
        activates_at=activates_at,
        until=activates_at + OVERLAP,
        trees=ring.trees,
    )
    assert secret.read()[0] == ring
    assert keys(secret, ring) == {"1": PuncturableKey.of(FIRST), "2": PuncturableKey.of(SECOND)}
    assert objects(secret) == [f"trees/{ring.trees}"]


def test_a_second_change_waits_for_the_end_of_the_first(secret: Secret) -> None:
    ring = rotate(secret, SECOND, clock=NOW, lead=LEAD, overlap=OVERLAP)
    with pytest.raises(RotationError, match="wait for its end"):
        rotate(secret, THIRD, clock=NOW, lead=LEAD, overlap=OVERLAP)
    with pytest.raises(RotationError, match="overlap; retire the key before"):
        rotate(secret, THIRD, clock=ring.until, lead=LEAD, overlap=OVERLAP)
    assert secret.read()[0] == ring


def test_an_overlap_is_as_long_as_the_longest_window(secret: Secret) -> None:
    assert shortest_overlap() == 91 * DAY  # 90 days, and the hop of a day that a window's tail may lag
    with pytest.raises(RotationError, match="at least 91d"):
        rotate(secret, SECOND, clock=NOW, lead=LEAD, overlap=90 * DAY)
    assert kept(secret) == FIRST


def test_the_old_key_stays_until_no_state_is_read_under_it(secret: Secret) -> None:
    ring = rotate(secret, SECOND, clock=NOW, lead=LEAD, overlap=OVERLAP)
    with pytest.raises(RotationError, match="for 1 more days"):
        retire(secret, clock=ring.until - 1)
    assert secret.read()[0] == ring
    left = retire(secret, clock=ring.until)
    assert left == Keyring(current="2", keys={"2": ""}, trees=left.trees)
    assert keys(secret, left) == {"2": PuncturableKey.of(SECOND)}
    assert objects(secret) == [f"trees/{left.trees}"]


def test_a_retired_key_is_out_of_reach_and_the_next_change_can_begin(secret: Secret) -> None:
    ring = rotate(secret, SECOND, clock=NOW, lead=LEAD, overlap=OVERLAP)
    retire(secret, clock=ring.until)
    assert FIRST not in kept(secret)
    assert FIRST not in kept(secret, VersionStage="AWSPREVIOUS")
    with pytest.raises(RotationError, match="only the current key"):
        retire(secret, clock=ring.until)
    both = rotate(secret, THIRD, clock=ring.until, lead=LEAD, overlap=OVERLAP)
    assert keys(secret, both) == {"2": PuncturableKey.of(SECOND), "3": PuncturableKey.of(THIRD)}
    third = retire(secret, clock=both.until)
    assert keys(secret, third) == {"3": PuncturableKey.of(THIRD)}
    assert objects(secret) == [f"trees/{third.trees}"]
    assert isinstance(secret.trail, MemoryTrail)
    told = [(each.action, each.before["keys"], each.after["keys"]) for each in secret.trail.entries]
    assert told == [
        ("rotate", ["1"], ["1", "2"]),
        ("retire", ["1", "2"], ["2"]),
        ("rotate", ["2"], ["2", "3"]),
        ("retire", ["2", "3"], ["3"]),
    ]
    assert not any(key in repr(secret.trail.entries) for key in (FIRST, SECOND, THIRD))


def test_what_a_retirement_left_half_done_is_finished_by_another(secret: Secret) -> None:
    ring = rotate(secret, SECOND, clock=NOW, lead=LEAD, overlap=OVERLAP)

    class Failing:
        """AWS that takes one write, and then none."""

        exceptions = secret.client.exceptions
        writes = 0

        def put_secret_value(self, **asked: Any) -> Any:
            self.writes += 1
            if self.writes > 1:
                raise EndpointConnectionError(endpoint_url="https://secretsmanager")
            return secret.client.put_secret_value(**asked)

        def get_secret_value(self, **asked: Any) -> Any:
            return secret.client.get_secret_value(**asked)

    with pytest.raises(EndpointConnectionError):
        retire(replace(secret, client=Failing()), clock=ring.until)
    assert FIRST in kept(secret, VersionStage="AWSPREVIOUS")
    assert keys(secret, retire(secret, clock=ring.until)) == {"2": PuncturableKey.of(SECOND)}
    assert FIRST not in kept(secret) + kept(secret, VersionStage="AWSPREVIOUS")
    with pytest.raises(RotationError, match="only the current key"):
        retire(secret, clock=ring.until)


def test_a_key_that_never_was_changed_is_not_retired(secret: Secret) -> None:
    with pytest.raises(RotationError, match="only the current key"):
        retire(secret, clock=NOW)
    assert kept(secret) == FIRST


def test_of_two_who_change_the_keys_at_once_one_is_refused(secret: Secret) -> None:
    class Guarded:
        """AWS refuses another content under a version's name; moto takes it."""

        exceptions = secret.client.exceptions

        def put_secret_value(self, **asked: Any) -> None:
            assert asked["SecretId"] == secret.secret_id
            error = {"Error": {"Code": "ResourceExistsException", "Message": "exists"}}
            raise self.exceptions.ResourceExistsException(error, "PutSecretValue")

        def get_secret_value(self, **asked: Any) -> Any:
            return secret.client.get_secret_value(**asked)

    with pytest.raises(RotationError, match="somebody else"):
        rotate(replace(secret, client=Guarded()), SECOND, clock=NOW, lead=LEAD, overlap=OVERLAP)


def test_the_next_version_is_named_after_the_one_before(secret: Secret) -> None:
    _, before = secret.read()
    named = secret.write(Keyring.parse(SECOND), before)
    assert secret.read()[1] == named
    assert secret.write(Keyring.parse(THIRD), named) != named


def test_the_commands_say_what_comes_next_and_never_a_key(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [NOW]
    told: list[str] = []
    deployment = Deployment(lookup("dev"), boto3.Session(region_name=REGION), {})
    monkeypatch.setattr(commands, "connect", lambda *_given, **_named: deployment)
    monkeypatch.setattr(Secret, "of", lambda _deployment: secret)
    monkeypatch.setattr(commands, "now", lambda: clock[0])

    def run(*words: str, fails: bool = False) -> str:
        result = CliRunner().invoke(commands.tokens_app, [*words])
        assert (result.exit_code != 0) == fails
        told.append(f"{result.output}{result.exception}")
        return " ".join(result.output.split())

    assert "tokens rotate" in run("status")
    assert "91" not in run("rotate", "--overlap", "soon", fails=True)
    made = run("rotate")
    assert "Key 2 counts from 2026-01-01 10:10:00 UTC on." in made
    assert "read under key 1 too until 2026-04-02 10:10:00 UTC" in made
    assert "not yet" in run("status")
    clock[0] += 11 * MINUTES
    assert "since 2026-01-01 10:10:00 UTC" in run("status")
    run("retire", fails=True)
    clock[0] += 91 * DAY
    assert "no more" in run("status")
    assert "Key 2 is the only one now." in run("retire")
    assert FIRST not in "".join(told)
    second = secret.tokeniser(secret.read()[0]).keys["2"]
    assert second.trees[0][ROOT].hex() not in "".join(told)
    assert second.blind.hex() not in "".join(told)


def test_versions_of_the_secret_that_aws_keeps_are_looked_through_for_keys(secret: Secret) -> None:
    assert secret.within_reach() == []
    ring = rotate(secret, SECOND, clock=NOW, lead=LEAD, overlap=OVERLAP)
    _, version = secret.read()
    assert secret.within_reach() == []
    secret.write(msgspec.structs.replace(ring, keys={"1": "", "2": ""}), version)
    assert version in secret.within_reach()


def test_objects_that_cannot_be_deleted_are_told(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rotate(secret, SECOND, clock=NOW, lead=LEAD, overlap=OVERLAP)
    retire(secret, clock=first.until)
    ring = rotate(secret, THIRD, clock=first.until, lead=LEAD, overlap=OVERLAP)
    refused = {"Errors": [{"Key": "trees/1", "Code": "AccessDenied"}]}
    with monkeypatch.context() as refusing:
        refusing.setattr(secret.objects, "delete_objects", lambda **_asked: refused)
        with pytest.raises(RotationError, match="AccessDenied"):
            retire(secret, clock=ring.until)
    assert len(objects(secret)) == 3
    left = retire(secret, clock=ring.until)
    assert objects(secret) == [f"trees/{left.trees}"]
