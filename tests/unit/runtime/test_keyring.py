"""Token keys are read again beside the requests, and before one where they are too old."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fraud.puncturable import PuncturableKey
from fraud.tokens import Keyring, KeyringError, KeyTrees, Tokeniser, digest_of
from runtime.http import Problem
from runtime.keyring import KeyringReader, LiveTokens, lead, trees_key
from runtime.telemetry import logger, metrics

FIRST, SECOND = "the first token key, 32 bytes or more", "the second token key, 32 bytes or more"
ROTATED = Keyring(current="2", keys={"1": FIRST, "2": SECOND}, activates_at=600_000, until=900_000)
START = 1_000.0
INTERVAL = 300.0
LEAD = lead(INTERVAL)


class Secrets:
    """Secrets Manager with one secret, which may be out of reach."""

    def __init__(self, text: str) -> None:
        self.text, self.down, self.reads = text, False, 0
        self.readers: list[str] = []

    def get_secret_value(self, **asked: str) -> dict[str, str]:
        assert asked == {"SecretId": "token-key"}
        self.reads += 1
        self.readers.append(threading.current_thread().name)
        if self.down:
            raise ClientError({"Error": {"Code": "InternalServiceError", "Message": self.text}}, "GetSecretValue")
        return {"SecretString": self.text}


class Objects:
    """S3 with the bucket of token keys."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.reads: list[str] = []

    def put(self, trees: KeyTrees) -> str:
        digest = digest_of(trees.content())
        self.held[trees_key(digest)] = trees.content()
        return digest

    def get_object(self, **asked: str) -> dict[str, io.BytesIO]:
        assert asked["Bucket"] == "token-keys"
        self.reads.append(asked["Key"])
        if asked["Key"] not in self.held:
            # What S3 tells of an absent object who may not list the bucket.
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "denied"}}, "GetObject")
        return {"Body": io.BytesIO(self.held[asked["Key"]])}


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler: Any = logger.registered_handler
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)
    metrics.clear_metrics()


def reader(secrets: Any, objects: Any = None) -> KeyringReader:
    held: Any = objects or Objects()
    return KeyringReader(secrets, "token-key", held, "token-keys")


def live(secrets: Any, objects: Any = None) -> LiveTokens:
    return LiveTokens(reader(secrets, objects), now=START, interval=INTERVAL)


def settle() -> None:
    for thread in threading.enumerate():
        if thread.name == "refresh":
            thread.join()


def test_without_keys_nothing_starts() -> None:
    with pytest.raises(KeyringError):
        live(Secrets("short"))


def test_a_changed_ring_is_taken_over_beside_a_request() -> None:
    secrets = Secrets(FIRST)
    tokens = live(secrets)
    secrets.text = ROTATED.text()
    tokens.refresh(START + INTERVAL - 1)
    assert secrets.reads == 1
    tokens.refresh(START + INTERVAL)
    settle()
    assert tokens.current().keyring == ROTATED
    assert secrets.readers[1:] == ["refresh"]


def test_the_same_ring_changes_nothing() -> None:
    secrets = Secrets(FIRST)
    tokens = live(secrets)
    before = tokens.current()
    tokens.refresh(START + INTERVAL)
    settle()
    assert secrets.reads == 2
    assert tokens.current() is before


def test_keys_that_may_be_outdated_are_read_before_the_request() -> None:
    """After a long freeze: a rotation takes `LEAD` to count, so younger keys are the right ones."""
    secrets = Secrets(FIRST)
    tokens = live(secrets)
    secrets.text = ROTATED.text()
    tokens.refresh(START + LEAD)
    assert tokens.current().keyring == ROTATED
    assert secrets.readers[1:] == [threading.current_thread().name]


def test_keys_out_of_reach_leave_those_from_before_and_are_counted(logged: io.StringIO) -> None:
    secrets = Secrets(FIRST)
    tokens = live(secrets)
    secrets.down = True
    tokens.refresh(START + LEAD)
    assert tokens.current().keyring == Keyring.parse(FIRST)
    assert "ClientError" in logged.getvalue()
    assert FIRST not in logged.getvalue()
    tokens.refresh(START + LEAD + 1)
    assert "KeyringRefreshFailed" in metrics.metric_set
    assert secrets.reads == 2  # not once a request
    secrets.down, secrets.text = False, ROTATED.text()
    tokens.refresh(START + LEAD + INTERVAL)
    settle()
    assert tokens.current().keyring == ROTATED


def test_no_key_is_logged_when_they_change(logged: io.StringIO) -> None:
    secrets = Secrets(FIRST)
    tokens = live(secrets)
    secrets.text = ROTATED.text()
    tokens.refresh(START + LEAD)
    assert "token keys changed" in logged.getvalue()
    assert not [key for key in ROTATED.keys.values() if key in logged.getvalue()]


def test_the_ring_is_read_afresh_each_time() -> None:
    secrets = Secrets(FIRST)
    found = reader(secrets)
    assert found.read().keyring.current == "1"
    secrets.text = ROTATED.text()
    assert found.read().keyring == ROTATED


def test_keys_are_as_old_as_the_last_look_that_gave_some(logged: io.StringIO) -> None:
    """A look beside a request that comes to nothing, as one that was frozen half way, makes no key younger."""
    secrets = Secrets(FIRST)
    tokens = live(secrets)
    secrets.down = True
    tokens.refresh(START + LEAD - 1)
    settle()
    secrets.down, secrets.text = False, ROTATED.text()
    tokens.refresh(START + LEAD)
    assert tokens.current().keyring == ROTATED
    assert secrets.readers[1:] == ["refresh", threading.current_thread().name]
    assert logged.getvalue().count("not read") == 1


def test_while_the_secret_is_out_of_reach_one_request_in_an_interval_waits() -> None:
    secrets = Secrets(FIRST)
    tokens = live(secrets)
    secrets.down = True
    for second in range(round(2 * INTERVAL)):
        tokens.refresh(START + LEAD + second)
        settle()
    assert secrets.readers[1:] == [threading.current_thread().name] * 2


def test_keys_are_renewed_however_young_they_are() -> None:
    secrets = Secrets(FIRST)
    tokens = live(secrets)
    secrets.text = ROTATED.text()
    tokens.renew(START + 1)
    assert tokens.current().keyring == ROTATED
    tokens.refresh(START + 1 + INTERVAL - 1)
    settle()
    assert secrets.reads == 2


def test_what_an_earlier_look_found_does_not_take_the_place_of_a_later_one() -> None:
    class Slow(Secrets):
        def get_secret_value(self, **asked: str) -> dict[str, str]:
            found = super().get_secret_value(**asked)
            if self.reads == 2:
                self.text = ROTATED.text()
                tokens.renew(START + INTERVAL + LEAD)
            return found

    tokens = live(Slow(FIRST))
    tokens.refresh(START + INTERVAL)
    settle()
    assert tokens.current().keyring == ROTATED


def test_a_look_that_came_to_nothing_makes_what_an_earlier_one_finds_no_younger() -> None:
    class Slow(Secrets):
        def get_secret_value(self, **asked: str) -> dict[str, str]:
            found = super().get_secret_value(**asked)
            if self.reads == 2:
                self.down = True
                tokens.renew(START + LEAD)
                self.down = False
            return found

    secrets = Slow(FIRST)
    tokens = live(secrets)
    tokens.refresh(START + INTERVAL)
    settle()
    tokens.refresh(START + INTERVAL + LEAD)
    assert secrets.reads == 4
    assert secrets.readers[-1] == threading.current_thread().name


def ring(digest: str, **fields: Any) -> str:
    return Keyring(current="1", keys={"1": ""}, trees=digest, **fields).text()


def test_trees_are_read_when_the_secret_names_others_and_not_again() -> None:
    objects, key = Objects(), PuncturableKey.of(FIRST)
    erased = key.punctured([b"card\0a"], lambda: b"1" * 32)
    secrets = Secrets(ring(objects.put(KeyTrees({"1": erased}))))
    found = reader(secrets, objects)
    first = found.read()
    assert first.token("card", "b") == Tokeniser(FIRST.encode()).token("card", "b")
    assert first.token("card", "a") != Tokeniser(FIRST.encode()).token("card", "a")
    assert found.read() is first
    secrets.text = ring(first.keyring.trees, erased_at=1)
    assert found.read().keyring.erased_at == 1
    assert len(objects.reads) == 1
    secrets.text = ring(objects.put(KeyTrees({"1": erased.punctured([b"card\0b"], lambda: b"2" * 32)})))
    assert found.read().token("card", "b") != first.token("card", "b")
    assert len(objects.reads) == 2


@pytest.mark.parametrize("content", [b"", b"\x81\xa4keys\x80", b"no object of ours"])
def test_an_object_that_the_secret_does_not_name_is_refused_and_the_keys_from_before_go_on(
    content: bytes, logged: io.StringIO
) -> None:
    secrets, objects = Secrets(FIRST), Objects()
    tokens = live(secrets, objects)
    before = tokens.current()
    digest = objects.put(KeyTrees({"1": PuncturableKey.of(ROTATED.keys["2"])}))
    objects.held[trees_key(digest)] = content
    secrets.text = ring(digest)
    tokens.refresh(START + LEAD)
    assert tokens.current() is before
    assert "KeyringError" in logged.getvalue()
    tokens.refresh(START + LEAD + 1)
    assert "KeyringRefreshFailed" in metrics.metric_set


def test_a_secret_that_changes_while_its_trees_are_read_is_read_again() -> None:
    objects = Objects()
    digest = objects.put(KeyTrees({"1": PuncturableKey.of(FIRST)}))

    class Changing(Secrets):
        def get_secret_value(self, **asked: str) -> dict[str, str]:
            found = super().get_secret_value(**asked)
            self.text = ring(digest)
            return found

    assert reader(Changing(ring("0" * 64)), objects).read().keyring.trees == digest
    with pytest.raises(ClientError, match="AccessDenied"):
        reader(Secrets(ring("0" * 64)), objects).read()


def test_what_was_forgotten_is_read_before_a_token_is_made_and_nothing_is_made_without() -> None:
    """A snapshot holds no key; a copy of it that cannot read them answers that it is unavailable, and asks AWS
    again once a second."""
    secrets, clock = Secrets(FIRST), [0.0]
    tokens = LiveTokens(reader(secrets), now=START, interval=INTERVAL, clock=lambda: clock[0])
    assert tokens.there()
    tokens.forget()
    secrets.down = True
    tokens.renew(START + 1)
    for _ in range(3):
        with pytest.raises(Problem) as refused:
            tokens.current()
        assert refused.value.status == 503
        assert not tokens.there()
    assert secrets.reads == 3
    secrets.down, secrets.text = False, ROTATED.text()
    clock[0] = 0.9
    assert not tokens.there()
    clock[0] = 1.0
    assert tokens.current().keyring == ROTATED
    assert tokens.there()
    assert secrets.reads == 4
