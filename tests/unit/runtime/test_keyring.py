"""Token keys are read again beside the requests, and before one where they are too old."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fraud.tokens import Keyring, KeyringError
from runtime.keyring import INTERVAL, LEAD, LiveTokens, read_keyring
from runtime.telemetry import logger, metrics

FIRST, SECOND = "the first token key, 32 bytes or more", "the second token key, 32 bytes or more"
ROTATED = Keyring(current="2", keys={"1": FIRST, "2": SECOND}, activates_at=600_000, until=900_000)
START = 1_000.0


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


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler: Any = logger.registered_handler
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)
    metrics.clear_metrics()


def live(secrets: Any) -> LiveTokens:
    return LiveTokens(secrets, "token-key", now=START)


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
    secrets: Any = Secrets(FIRST)
    assert read_keyring(secrets, "token-key").current == "1"
    secrets.text = ROTATED.text()
    assert read_keyring(secrets, "token-key") == ROTATED
