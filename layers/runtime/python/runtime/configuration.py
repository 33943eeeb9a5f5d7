"""The serving document in AppConfig: read beside the request path, changed without a deployment."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from fraud.serving import Serving

if TYPE_CHECKING:
    from mypy_boto3_appconfigdata import AppConfigDataClient

__all__ = ["ConfigurationError", "Profile", "Refresher", "ServingReader", "current"]


class ConfigurationError(RuntimeError):
    """The serving document is absent or unreadable."""


@dataclass(frozen=True)
class Profile:
    """Where the serving document is: ids of an AppConfig application, environment and profile.

    A function that reads or writes the document inherits these settings.
    """

    appconfig_application: str
    appconfig_environment: str
    appconfig_profile: str


class ServingReader:
    """Polls AppConfig; it answers only when the document changed."""

    def __init__(self, client: "AppConfigDataClient", profile: Profile) -> None:
        self._client = client
        self._profile = profile
        self._token: str | None = None

    def poll(self) -> Serving | None:
        """The document, or None if it is the one read last.

        Raises
        ------
        ConfigurationError
            If what is deployed is no serving document; the one read last stays good.
        """
        if self._token is None:
            self._token = self._client.start_configuration_session(
                ApplicationIdentifier=self._profile.appconfig_application,
                EnvironmentIdentifier=self._profile.appconfig_environment,
                ConfigurationProfileIdentifier=self._profile.appconfig_profile,
            )["InitialConfigurationToken"]
        token, self._token = self._token, None  # a token works once: after a failure a new session starts
        answer = self._client.get_latest_configuration(ConfigurationToken=token)
        # Read before the next token is kept: a document that was cut off is told again to a new session only.
        content = answer["Configuration"].read()
        self._token = answer["NextPollConfigurationToken"]
        if not content:
            return None
        try:
            return msgspec.json.decode(content, type=Serving)
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"serving document: {error}") from error

    def forget(self) -> None:
        """Start a new session at the next poll, which then tells the document whether or not it changed."""
        self._token = None


class Refresher:
    """Runs a task beside the requests, at most once an interval and one at a time.

    The request that finds the interval over starts the task on a thread and goes on without it. In a Lambda the
    thread is frozen with its container and carries on with the next request, so times are of the wall clock.

    Parameters
    ----------
    task : callable
        What to run; it handles its own errors.
    interval : float
        Seconds.
    """

    def __init__(self, task: Callable[[], None], interval: float) -> None:
        self._task = task
        self._interval = interval
        self._next = 0.0
        self._running: threading.Thread | None = None

    def started(self, now: float) -> None:
        """Note that the task ran at `now` (seconds)."""
        self._next = now + self._interval

    def nudge(self, now: float) -> None:
        """Start the task if it is due at `now` (seconds) and not running."""
        if now < self._next or (self._running is not None and self._running.is_alive()):
            return
        self.started(now)
        self._running = threading.Thread(target=self._task, name="refresh", daemon=True)
        self._running.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the task's end if it runs, but no longer than that; whether nothing runs any more."""
        if self._running is None:
            return True
        self._running.join(seconds)
        return not self._running.is_alive()


def current(client: "AppConfigDataClient", profile: Profile) -> Serving:
    """The document that serves now, read afresh."""
    document = ServingReader(client, profile).poll()
    if document is None:
        raise ConfigurationError("nothing is deployed under the serving profile; deploy the data stack first")
    return document
