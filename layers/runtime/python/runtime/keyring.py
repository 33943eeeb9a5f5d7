"""The keys that tokens are made under: read beside the requests, so that a rotation needs no deployment."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from fraud.tokens import Keyring, KeyringError, KeyTrees, Tokeniser
from runtime.configuration import Refresher
from runtime.http import Problem, unavailable
from runtime.telemetry import count, logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

__all__ = ["KeyringReader", "LiveTokens", "lead", "trees_key"]


def lead(interval: float) -> float:
    """Seconds from a change of the keys until it counts: every process that answers requests has seen it by then.

    Parameters
    ----------
    interval : float
        Seconds between two looks at the secret.
    """
    return 2 * interval


def trees_key(digest: str) -> str:
    """Where the trees of a ring are, in the bucket of token keys."""
    return f"trees/{digest}"


_PAUSE = 1.0
"""Seconds between two attempts of a process without keys: each is a call to AWS that a request waits for."""

_FAILURES = (BotoCoreError, ClientError, KeyringError)


class KeyringReader:
    """Reads the deployment's keys: the secret each time, and the object that it names when it names another.

    Parameters
    ----------
    bucket : str
        That of token keys.
    """

    def __init__(self, secrets: "SecretsManagerClient", secret_id: str, objects: "S3Client", bucket: str) -> None:
        self._secrets = secrets
        self._secret_id = secret_id
        self._objects = objects
        self._bucket = bucket
        self._last: tuple[Tokeniser, KeyTrees | None] | None = None

    def read(self) -> Tokeniser:
        """What makes tokens under the keys of now; the same object as the last time if they are the same.

        Raises
        ------
        KeyringError
            If there are none, or the object is not the one that the secret names.
        BotoCoreError, ClientError
            If one of both cannot be read.
        """
        ring = self._ring()
        last, trees = self._last or (None, None)
        if last is not None and last.keyring == ring:
            return last
        if last is None or last.keyring.trees != ring.trees:
            ring, trees = self._with_trees(ring)
        found = Tokeniser(ring, trees)
        self._last = found, trees
        return found

    def forget(self) -> None:
        """Hold nothing of what was read."""
        self._last = None

    def _with_trees(self, ring: Keyring) -> tuple[Keyring, KeyTrees | None]:
        try:
            return ring, self._trees(ring)
        except ClientError:
            # Perhaps the secret was changed right after it was read, and the object that it named is gone.
            newer = self._ring()
            if newer.trees == ring.trees:
                raise
            return newer, self._trees(newer)

    def _ring(self) -> Keyring:
        return Keyring.parse(self._secrets.get_secret_value(SecretId=self._secret_id)["SecretString"])

    def _trees(self, ring: Keyring) -> KeyTrees | None:
        if not ring.trees:
            return None
        found = self._objects.get_object(Bucket=self._bucket, Key=trees_key(ring.trees))
        return KeyTrees.parse(found["Body"].read(), ring.trees)


class LiveTokens:
    """What makes tokens, its keys no older than `lead` has it.

    Times are of the wall clock, in seconds: of a process that was frozen or restored from a snapshot the monotonic
    clock does not tell how long it slept.

    Parameters
    ----------
    now : float
        When this is made.
    interval : float
        Seconds between two looks at the secret.
    clock : callable
        The same, for the pause between two attempts of a process that has no keys.

    Raises
    ------
    KeyringError, BotoCoreError, ClientError
        If there are no keys to begin with.
    """

    def __init__(
        self,
        reader: KeyringReader,
        *,
        now: float,
        interval: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._tried: float | None = None
        self._interval = interval
        # Counted on the thread of a request: the collector of metrics belongs to it.
        self._failed = threading.Event()
        self._refresher = Refresher(self._take, interval)
        self._refresher.started(now)
        # When a look was begun, by whichever thread; when the last was that gave keys; when a request last waited.
        self._asked = self._read_at = self._waited = now
        self._tokeniser: Tokeniser | None = reader.read()

    def current(self) -> Tokeniser:
        """What makes tokens now; one and the same for the whole of a request.

        Raises
        ------
        Problem
            503, if there is none: this process was restored from a snapshot and cannot read the keys yet.
        """
        if self._tokeniser is None:
            now = self._clock()
            if self._tried is not None and now < self._tried + _PAUSE:
                raise unavailable()
            self._tried = now
            try:
                self._tokeniser = self._reader.read()
            except _FAILURES as error:
                self._failed.set()
                raise unavailable() from error
        return self._tokeniser

    def there(self) -> bool:
        """Whether there are keys, after another attempt at them if there were none."""
        try:
            self.current()
        except Problem:
            return False
        return True

    def forget(self) -> None:
        """Hold no key: a snapshot outlives what is deleted from the keys after it was taken."""
        self._reader.forget()
        self._tokeniser = self._tried = None

    def refresh(self, now: float) -> None:
        """Look at the secret if it is time to: beside the request, or before it where the keys are too old.

        They are after a long freeze, or while the secret cannot be read. Then the keys from before go on, and one
        request in every interval waits for another attempt: what is folded under an old key is found for as long
        as the keys overlap.
        """
        if self._failed.is_set():
            self._failed.clear()
            count("KeyringRefreshFailed")
        if now >= max(self._read_at + lead(self._interval), self._waited + self._interval):
            self.renew(now)
        elif now >= self._asked + self._interval:
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
            found = self._reader.read()
        except _FAILURES as error:
            self._failed.set()
            logger.error("token keys not read, those from before go on: %s", type(error).__name__)
            return
        if begun < self._read_at:
            return  # what another look found that was begun after this one
        self._read_at = begun
        if found is not self._tokeniser:
            self._tokeniser, ring = found, found.keyring
            logger.info("token keys changed", extra={"current": ring.current, "activates_at": ring.activates_at})
