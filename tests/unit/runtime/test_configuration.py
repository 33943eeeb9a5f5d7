"""Settings from the environment, and the serving document from AppConfig."""

import io
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from runtime.configuration import ConfigurationError, Profile, Refresher, ServingReader, current
from runtime.http import Problem, Request
from runtime.settings import SettingsError, load
from tests.waiting import until

PROFILE = Profile("app", "env", "profile")
DOCUMENT = b"""{"policy": {"version": "1", "thresholds": {"challenge": 0.3, "review": 0.6, "decline": 0.9}},
                "champion": "run-1"}"""


@dataclass(frozen=True)
class Example:
    features_table: str
    replay_time: bool
    refresh_seconds: int
    optional: str = "default"


def test_settings_are_read_from_variables_of_the_same_name() -> None:
    found = load(Example, {"FEATURES_TABLE": "t", "REPLAY_TIME": "true", "REFRESH_SECONDS": "5"})
    assert found == Example("t", True, 5)


def test_every_missing_or_unreadable_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as found:
        load(Example, {"REPLAY_TIME": "yes", "REFRESH_SECONDS": "soon"})
    for word in ("FEATURES_TABLE is not set", "REPLAY_TIME", "REFRESH_SECONDS"):
        assert word in str(found.value)


class AppConfig:
    """AppConfig's data plane: a document is told once, tokens work once."""

    def __init__(self) -> None:
        self.content = DOCUMENT
        self.failing = False
        self._told: dict[str, bytes] = {}
        self._tokens = 0

    def start_configuration_session(self, **_: str) -> dict[str, str]:
        return {"InitialConfigurationToken": self._token(b"")}

    def get_latest_configuration(self, *, ConfigurationToken: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if self.failing:
            raise ConnectionError("no network")
        told = self._told.pop(ConfigurationToken)
        body = b"" if told == self.content else self.content
        return {"NextPollConfigurationToken": self._token(self.content), "Configuration": io.BytesIO(body)}

    def _token(self, told: bytes) -> str:
        self._tokens += 1
        self._told[str(self._tokens)] = told
        return str(self._tokens)


def test_a_document_is_told_when_it_changes() -> None:
    service = AppConfig()
    reader = ServingReader(service, PROFILE)  # type: ignore[arg-type]
    first = reader.poll()
    assert first is not None
    assert first.champion == "run-1"
    assert reader.poll() is None
    service.content = DOCUMENT.replace(b"run-1", b"run-2")
    second = reader.poll()
    assert second is not None
    assert second.champion == "run-2"


def test_after_a_failure_a_new_session_starts() -> None:
    service = AppConfig()
    reader = ServingReader(service, PROFILE)  # type: ignore[arg-type]
    reader.poll()
    service.failing = True
    with pytest.raises(ConnectionError):
        reader.poll()
    service.failing = False
    assert reader.poll() is not None


@pytest.mark.parametrize(
    "content", [b"no json", b"{}", DOCUMENT.replace(b"0.3", b"0.99"), DOCUMENT.replace(b"champion", b"chmpion")]
)
def test_what_is_no_serving_document_is_refused(content: bytes) -> None:
    service = AppConfig()
    service.content = content
    with pytest.raises(ConfigurationError):
        ServingReader(service, PROFILE).poll()  # type: ignore[arg-type]


def test_nothing_deployed_is_an_error_that_says_what_to_do() -> None:
    service = AppConfig()
    service.content = b""
    with pytest.raises(ConfigurationError, match="deploy"):
        current(service, PROFILE)  # type: ignore[arg-type]


def test_a_refresh_runs_beside_the_caller_one_at_a_time_and_not_too_often() -> None:
    release, started = threading.Event(), threading.Semaphore(0)

    def task() -> None:
        started.release()
        assert release.wait(10)

    refresher = Refresher(task, interval=5.0)
    refresher.started(0.0)
    refresher.nudge(4.9)
    assert not started.acquire(blocking=False), "not due yet"
    refresher.nudge(5.0)
    assert started.acquire(timeout=10)
    refresher.nudge(100.0)
    assert not started.acquire(timeout=0.05), "the one before is still running"
    release.set()
    until(lambda: _nudged(refresher, started), within=10, pause=0.01, what="another refresh")


def _nudged(refresher: Refresher, started: threading.Semaphore) -> bool:
    refresher.nudge(100.0)
    return started.acquire(blocking=False)


def event(**changes: Any) -> dict[str, Any]:
    return {
        "requestContext": {"authorizer": {"merchant_id": "shop"}, "requestId": "r1"},
        "headers": {"Content-Type": "application/json"},
        "body": "{}",
    } | changes


def test_a_request_is_read_from_a_proxy_event() -> None:
    request = Request.of(event())
    assert (request.merchant_id, request.request_id, request.body) == ("shop", "r1", b"{}")
    assert request.headers == {"content-type": "application/json"}
    assert Request.of(event(body="e30=", isBase64Encoded=True)).body == b"{}"
    assert Request.of(event(body=None, headers=None)).body == b""


@pytest.mark.parametrize("changes", [{"body": "###", "isBase64Encoded": True}, {"body": "\ud800"}])
def test_a_body_that_is_not_what_it_says_is_a_problem(changes: dict[str, Any]) -> None:
    with pytest.raises(Problem):
        Request.of(event(**changes))
