"""The process that sends: phase by phase as it is told on standard input, every call and its answer in a log.

A locust or wrk would send as well, but not keep what was sent and answered byte for byte, which is what the checks
are made from; what is left of their work is this loop.
"""

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import urllib3

from tests.load.plan import PHASES, Call, Planner

__all__ = ["AGAIN", "Exchange", "Orders", "read_log"]

AGAIN = "asked again"
"""The phase in which everything is sent again that was not decided on."""
ROUNDS = 5
REQUEST_ID = "Paywarden-Request-Id"


class Orders(msgspec.Struct, frozen=True):
    """What the process has to know; the keys are secret, so it comes on standard input."""

    url: str
    keys: dict[str, str]
    seed: int
    rate: float
    threads: int
    log: str


class Exchange(msgspec.Struct, frozen=True):
    """A call and what came of it.

    Attributes
    ----------
    sent_at, answered_at : int
        Wall-clock milliseconds.
    milliseconds : float
    status : int
        0 if there was no answer, which `error` says more about.
    """

    call: Call
    sent_at: int
    answered_at: int
    milliseconds: float
    status: int
    answer: str = ""
    request_id: str = ""
    retry_after: str = ""
    error: str = ""


def read_log(path: Path) -> list[Exchange]:
    """All exchanges, in the order of the answers."""
    return [msgspec.json.decode(line, type=Exchange) for line in path.read_bytes().splitlines()]


class Sender:
    """Sends calls at their times, at most so many at once."""

    def __init__(self, url: str, keys: Mapping[str, str], threads: int, log: Path) -> None:
        self._url = url
        self._keys = keys
        self._pool = urllib3.PoolManager(
            maxsize=threads, block=True, retries=False, timeout=urllib3.Timeout(connect=5, read=35)
        )
        self._threads = threads
        self._log = log.open("wb")
        self._lock = threading.Lock()
        self.undecided: dict[tuple[str, str], Call] = {}

    def run(self, calls: Iterable[Call]) -> None:
        """Send each at its time, or as soon after as there is a thread; return when all are answered."""
        begin = time.monotonic()
        with ThreadPoolExecutor(self._threads) as pool:
            futures = []
            for call in calls:
                time.sleep(max(0.0, begin + call.at - time.monotonic()))
                futures.append(pool.submit(self._send, call))
        for future in futures:
            future.result()

    def ramp(self, calls: Sequence[Call]) -> None:
        """Send one, then two at once, then three, until all threads are busy; then the rest."""
        sent = 0
        for together in range(1, self._threads + 1):
            self.run([msgspec.structs.replace(call, at=0.0) for call in calls[sent : sent + together]])
            sent += together
        self.run([msgspec.structs.replace(call, at=0.0) for call in calls[sent:]])

    def again(self) -> Iterator[Call]:
        """What was not decided on, as it was sent first."""
        calls, self.undecided = self.undecided, {}
        for call in calls.values():
            yield Call(AGAIN, 0.0, call.kind, call.merchant, call.method, call.path, call.body)

    def close(self) -> None:
        self._log.close()
        self._pool.clear()

    def _send(self, call: Call) -> None:
        headers = {"Authorization": f"Bearer {self._keys[call.merchant]}", "Content-Type": "application/json"}
        content = call.body.encode() or None
        sent_at, start = time.time_ns() // 1_000_000, time.perf_counter()
        status, answer, request_id, retry_after, error = 0, "", "", "", ""
        try:
            got = self._pool.request(call.method, f"{self._url}{call.path}", body=content, headers=headers)
            status, answer = got.status, got.data.decode()
            request_id, retry_after = got.headers.get(REQUEST_ID, ""), got.headers.get("Retry-After", "")
        except urllib3.exceptions.HTTPError as failure:
            error = type(failure).__name__
        took = (time.perf_counter() - start) * 1e3
        now = time.time_ns() // 1_000_000
        exchange = Exchange(call, sent_at, now, took, status, answer, request_id, retry_after, error)
        line = msgspec.json.encode(exchange) + b"\n"
        with self._lock:
            self._log.write(line)
            if call.method == "POST" and (status == 0 or status >= 500 or '"status":503' in answer):
                self.undecided[call.path, call.body] = call


def main() -> int:
    orders = msgspec.json.decode(sys.stdin.readline(), type=Orders)
    planner = Planner(sorted(orders.keys), seed=orders.seed, rate=orders.rate)
    sender = Sender(orders.url, orders.keys, orders.threads, Path(orders.log))
    phases = {phase.name: (phase, planner.calls(phase)) for phase in PHASES}
    try:
        for line in sys.stdin:
            name = line.strip()
            if name == AGAIN:
                for _ in range(ROUNDS):
                    sender.run(list(sender.again()))
            else:
                phase, calls = phases[name]
                send = sender.ramp if phase.ramp else sender.run
                send(calls)
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
    finally:
        sender.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
