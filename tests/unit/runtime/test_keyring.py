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
