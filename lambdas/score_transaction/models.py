"""The models that serve: swapped while requests go on, and on their time only after a long sleep."""

import threading
import time
from collections.abc import Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from fraud.bundle import CorruptBundleError
from fraud.serving import Serving
from runtime.booster import BoosterError
from runtime.bundles import BundleStore, Live, ServedModel
from runtime.configuration import ConfigurationError, Refresher, ServingReader
from runtime.telemetry import count, logger

__all__ = ["LiveModels"]

_FAILURES = (BotoCoreError, ClientError, ConfigurationError, CorruptBundleError, BoosterError)
_REFRESH, _CHALLENGER = "ServingRefreshFailed", "ChallengerFailed"
_OLDEST = 2
"""Intervals after which a document is too old to decide by before it was looked for again."""
_HURRY = 1.0
"""Seconds that a request waits for a look that does not end."""


class LiveModels:
    """The serving document and the models that it names, ready to score.

    A new document is taken over only once its champion and its canary are loaded and verified; if that fails,
    what served before goes on serving and the failure is counted. A challenger that cannot be loaded is
    counted, left out and tried again. A cold start has nothing from before: it decides without a model, marked
    as degraded, until its champion can be loaded.

    Parameters
    ----------
    names : sequence of str
        The features that serving computes.
    interval : float
        Seconds between two looks at the document.
    clock : callable
        Seconds of the wall clock: of a process that was frozen no other tells how long it slept.
    """

    def __init__(
        self,
        reader: ServingReader,
        bundles: BundleStore,
        *,
        names: Sequence[str],
        interval: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._bundles = bundles
        self._names = names
        self._interval = interval
        self._clock = clock
        # Counted on the thread of a request: the collector of metrics belongs to it.
        self._failed = {name: threading.Event() for name in (_REFRESH, _CHALLENGER)}
        self._taking = threading.Lock()
        # When the last look was begun that went well, and when a request last waited for one.
        self._looked_at = self._waited = clock()
        document = reader.poll()
        if document is None:
            raise ConfigurationError("nothing is deployed under the serving profile; deploy the data stack first")
        self._pending: Serving | None = document
        self._live = Live(document, {})
        self._take_over(document, self._loadable(document.deciding, _REFRESH))
        self._refresher = self._started()

    def current(self) -> Live:
        """The document and the models that serve now; one and the same for the whole of a request."""
        return self._live

    def refresh(self, now: float) -> None:
        """Look for a new document if it is time to, beside the request; `now` in seconds of the wall clock.

        A process that slept waits for what it finds: the thread gets on only while a request keeps the process
        awake, and a model that was withdrawn would decide on all of those. While AppConfig cannot be reached, one
        request in every interval waits.
        """
        for name, failed in self._failed.items():
            if failed.is_set():
                failed.clear()
                count(name)
        self._refresher.nudge(now)
        if now < max(self._looked_at + _OLDEST * self._interval, self._waited + self._interval):
            return
        self._waited = now
        if self._refresher.wait(_HURRY):
            # What ended may have been frozen since long ago, and tell of then.
            self._refresher.nudge(now)
            self._refresher.wait(_HURRY)

    def take(self) -> None:
        """Take over the newest document, if there is a new one.

        Raises
        ------
        BotoCoreError, ClientError, ConfigurationError, CorruptBundleError, BoosterError
            If it cannot be: what served before goes on serving, and the next call tries again.
        """
        # AppConfig hands a document out once: one whose models cannot be loaded now is tried again.
        self._pending = document = self._reader.poll() or self._pending
        if document is None:
            return
        changed = document != self._live.serving
        self._take_over(document, {version: self._load(version) for version in document.deciding})
        if changed:
            logger.info(
                "serving changed", extra={"champion": document.champion, "policy": document.policy.version}
            )

    def renew(self) -> None:
        """Start again from a snapshot of a process: what was cached is looked at anew, at once.

        The session with AppConfig and the time of the next look are of the moment of the snapshot, which may be
        weeks ago. If AppConfig cannot be reached, the document of the snapshot serves until it can. Requests may
        be answered meanwhile.
        """
        self._refresher = self._started()
        with self._taking:
            self._reader.forget()
        self._try_take()

    def _take_over(self, document: Serving, deciding: dict[str, ServedModel]) -> None:
        """Let a document serve, with the models that decide and those challengers that can be loaded."""
        shadowing = self._loadable(document.shadowing, _CHALLENGER)
        self._live = Live(document, deciding | shadowing)
        if len(self._live.models) == len(document.deciding) + len(document.shadowing):
            self._pending = None

    def _loadable(self, versions: Sequence[str], metric: str) -> dict[str, ServedModel]:
        found = {}
        for version in versions:
            try:
                found[version] = self._load(version)
            except _FAILURES as error:
                self._failed[metric].set()
                logger.error("model %s not loaded, going on without it: %s", version, error)
        return found

    def _load(self, version: str) -> ServedModel:
        # A bundle never changes, so that one of the same version need not be fetched again.
        return self._live.models.get(version) or self._bundles.load(version, self._names)

    def _try_take(self) -> None:
        try:
            # A renewal that takes long meets the looks that requests start: a session of AppConfig is for one.
            with self._taking:
                begun = self._clock()
                self.take()
                self._looked_at = begun
        except _FAILURES as error:
            self._failed[_REFRESH].set()
            logger.error("serving document not taken over, the one before goes on: %s", error)

    def _started(self) -> Refresher:
        refresher = Refresher(self._try_take, self._interval)
        refresher.started(self._clock())
        return refresher
