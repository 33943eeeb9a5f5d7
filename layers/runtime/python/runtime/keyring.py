"""The keys that tokens are made under: read beside the requests, so that a rotation needs no deployment."""

import threading
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from fraud.tokens import Keyring, KeyringError, Tokeniser
from runtime.configuration import Refresher
from runtime.telemetry import count, logger

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

__all__ = ["INTERVAL", "LEAD", "LiveTokens", "read_keyring"]

INTERVAL = 300.0
"""Seconds between two looks at the secret."""

LEAD = 600.0
"""Seconds from a rotation until its key counts: every process that answers requests has seen it by then."""

_FAILURES = (BotoCoreError, ClientError, KeyringError)


def read_keyring(client: "SecretsManagerClient", secret_id: str) -> Keyring:
    """The deployment's keys, read afresh.

    Raises
    ------
    KeyringError
        If the secret holds none.
    """
    return Keyring.parse(client.get_secret_value(SecretId=secret_id)["SecretString"])


class LiveTokens:
    """What makes tokens, its keys no older than `LEAD`.

    Times are of the wall clock, in seconds: of a process that was frozen or restored from a snapshot the monotonic
    clock does not tell how long it slept.

    Parameters
    ----------
    now : float
        When this is made.

    Raises
    ------
    KeyringError, BotoCoreError, ClientError
        If there are no keys to begin with.
    """

    def __init__(self, client: "SecretsManagerClient", secret_id: str, *, now: float) -> None:
        self._client = client
        self._secret_id = secret_id
        # Counted on the thread of a request: the collector of metrics belongs to it.
        self._failed = threading.Event()
        self._refresher = Refresher(self._take, INTERVAL)
        self._refresher.started(now)
        # When a look was begun, by whichever thread; when the last was that gave keys; when a request last waited.
        self._asked = self._read_at = self._waited = now
        self._tokeniser = Tokeniser(read_keyring(client, secret_id))

    def current(self) -> Tokeniser:
        """What makes tokens now; one and the same for the whole of a request."""
        return self._tokeniser

    def refresh(self, now: float) -> None:
        """Look at the secret if it is time to: beside the request, or before it where the keys are too old.

        They are after a long freeze, or while the secret cannot be read. Then the keys from before go on, and one
        request in every `INTERVAL` waits for another attempt: what is folded under an old key is found for as long
        as the keys overlap.
        """
        if self._failed.is_set():
            self._failed.clear()
            count("KeyringRefreshFailed")
        if now >= max(self._read_at + LEAD, self._waited + INTERVAL):
            self.renew(now)
        elif now >= self._asked + INTERVAL:
            self._asked = now
            self._refresher.nudge(now)

    def renew(self, now: float) -> None:
        """Look at the secret before anything else, however young the keys: after a restore from a snapshot."""
        self._refresher.started(now)
        self._asked = self._waited = now
        self._take()

    def _take(self) -> None:
        # Noted before the keys are read: a thread may be frozen between its start and its answer.
        begun = self._asked
        try:
            found = read_keyring(self._client, self._secret_id)
        except _FAILURES as error:
            self._failed.set()
            logger.error("token keys not read, those from before go on: %s", type(error).__name__)
            return
        if begun < self._read_at:
            return  # what another look found that was begun after this one
        self._read_at = begun
        if found != self._tokeniser.keyring:
            self._tokeniser = Tokeniser(found)
            logger.info("token keys changed", extra={"current": found.current, "activates_at": found.activates_at})
