"""Calling the API as a merchant would, and timing every call."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import urllib3

__all__ = ["Api", "Reply"]


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes
    ----------
    total, own, store : float
        Milliseconds: until the answer was here, in our own code, and in its calls to AWS. The last two
        come from the ``Server-Timing`` header and are 0 where there is none.
    """

    status: int
    body: bytes
    total: float
    own: float
    store: float

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Api:
    """The API with a merchant's key; safe to share between threads.

    Parameters
    ----------
    threads : int
        How many calls may be under way at once, each on a connection that is kept.
    """

    def __init__(self, url: str, keys: Mapping[str, str], *, threads: int = 1) -> None:
        self._url = url
        self._keys = keys
        self._pool = urllib3.PoolManager(
            maxsize=threads, block=True, retries=False, timeout=urllib3.Timeout(connect=5, read=30)
        )

    def post(self, merchant_id: str, path: str, body: Mapping[str, Any], *, at: int | None = None) -> Reply:
        """Send one request as a merchant.

        Parameters
        ----------
        at : int, optional
            The receipt time to replay with, in ms; environments that do not replay refuse it.
        """
        headers = {"Content-Type": "application/json"}
        if at is not None:
            headers["Paywarden-Replay-Time"] = str(at)
        return self._send("POST", merchant_id, path, headers, msgspec.json.encode(body))

    def get(self, merchant_id: str, path: str) -> Reply:
        """Ask for something as a merchant."""
        return self._send("GET", merchant_id, path, {})

    def _send(
        self, method: str, merchant_id: str, path: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Reply:
        known = {**headers, "Authorization": f"Bearer {self._keys[merchant_id]}"}
        start = time.perf_counter()
        answer = self._pool.request(method, f"{self._url}{path}", body=content, headers=known)
        total = (time.perf_counter() - start) * 1e3
        timing = dict(re.findall(r"(\w+);dur=([0-9.]+)", answer.headers.get("Server-Timing", "")))
        return Reply(answer.status, answer.data, total, float(timing.get("own", 0)), float(timing.get("store", 0)))

    def close(self) -> None:
        self._pool.clear()
