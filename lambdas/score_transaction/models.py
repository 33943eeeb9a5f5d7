"""The model that serves: swapped while requests go on, never on their time."""

import threading
import time
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from fraud.bundle import CorruptBundleError
from fraud.serving import Serving
from runtime.booster import BoosterError
from runtime.bundles import BundleStore, ServedModel
from runtime.configuration import ConfigurationError, Refresher, ServingReader
from runtime.telemetry import MetricUnit, logger, metrics

_FAILURES = (BotoCoreError, ClientError, ConfigurationError, CorruptBundleError, BoosterError)


class LiveModels:
    """The serving document and its champion, ready to score.

    A new document is taken over only once its champion is loaded and verified; if that fails, what
    served before goes on serving and the failure is counted. A cold start has nothing from before: it decides
    without a model, marked as degraded, until its champion can be loaded.

    Parameters
    ----------
    names : sequence of str
        The features that serving computes.
    interval : float
        Seconds between two looks at the document.
    """

    def __init__(
        self, reader: ServingReader, bundles: BundleStore, *, names: Sequence[str], interval: float
    ) -> None:
        self._reader = reader
        self._bundles = bundles
        self._names = names
        self._refresher = Refresher(self._try_take, interval)
        self._failure = threading.Event()
        document = reader.poll()
        if document is None:
            raise ConfigurationError("nothing is deployed under the serving profile; deploy the data stack first")
        self._pending: Serving | None = document
        self._live: tuple[Serving, ServedModel | None] = (document, None)
        try:
            self._live = (document, self._champion(document))
            self._pending = None
        except _FAILURES as error:
            self._failure.set()
            logger.error("champion %s not loaded, deciding without a model: %s", document.champion, error)
        self._refresher.started(time.monotonic())

    def current(self) -> tuple[Serving, ServedModel | None]:
        """The document and the model that serve now."""
        return self._live

    def refresh(self, now: float) -> None:
        """Look for a new document if it is time to, beside the request; `now` in seconds."""
        if self._failure.is_set():
            self._failure.clear()
            metrics.add_metric("ServingRefreshFailed", MetricUnit.Count, 1)
        self._refresher.nudge(now)

    def take(self) -> None:
        """Take over the newest document, if there is a new one."""
        # AppConfig hands a document out once: one whose champion cannot be loaded now is tried again.
        self._pending = document = self._reader.poll() or self._pending
        if document is not None:
            self._live = (document, self._champion(document))
            self._pending = None
            logger.info(
                "serving changed", extra={"champion": document.champion, "policy": document.policy.version}
            )

    def _try_take(self) -> None:
        try:
            self.take()
        except _FAILURES as error:
            self._failure.set()
            logger.error("serving document not taken over, the one before goes on: %s", error)

    def _champion(self, document: Serving) -> ServedModel | None:
        if document.champion is None:
            return None
        return self._bundles.load(document.champion, self._names)
