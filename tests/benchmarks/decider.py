"""One process that decides as on Lambda: ``python -I -S decider.py ASKED OUT``, with what it is asked in JSON.

Nothing is on its path but the function's folder, the layers and what the runtime brings, and nothing else was
imported before. Times are processor time of the whole process, in microseconds.
"""

import importlib
import json
import os
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

WARMUP = 300
SAMPLED = 60

type Call = Callable[[int], object]


class Context:
    """What Lambda tells a function about itself, as far as Powertools asks."""

    function_name = "score_transaction"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:score_transaction"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Start the function, decide, and tell what it took."""
    sys.path[:0] = asked["path"]
    os.environ.update(asked["environment"])
    module = importlib.import_module(asked["module"])
    events = [json.loads(text) for text in asked["events"]]
    context = Context()

    def decide(call: int) -> Any:
        return module.handler(events[call % len(events)], context)

    answers = [decide(call) for call in range(WARMUP)]
    with sent() as requests:
        for call in range(SAMPLED):
            decide(call)
    found: dict[str, Any] = {
        "answer": answers[-1],
        "requests": len(requests) / SAMPLED,
        "floor": spent(floor(requests), SAMPLED * 20, requests=len(requests) / SAMPLED),
        "taken": spent(decide, asked["calls"]),
        "reference": spent(reference, 300),
    }
    if asked["phases"]:
        found["phases"] = phases(module, decide, asked["calls"] // 2)
    return found


def spent(call: Call, times: int, *, requests: float = 1) -> list[float]:
    """What each call took; of a call that is a part of one, as many together as make one up."""
    taken = []
    for number in range(times):
        begun = time.process_time_ns()
        call(number)
        taken.append((time.process_time_ns() - begun) * requests / 1_000)
    return taken


def reference(_: int) -> None:
    """A fixed piece of plain Python, to tell how fast this machine is at the moment."""
    numbers = [number * number % 1_009 for number in range(2_000)]
    json.loads(json.dumps(dict(zip(map(str, numbers), sorted(numbers), strict=True))))


@contextmanager
def sent() -> Iterator[list[tuple[int, bytes]]]:
    """Every request of this process while it lasts: its port, and the bytes on the wire."""
    session = importlib.import_module("botocore.httpsession").URLLib3Session
    really = session.send
    seen: list[tuple[int, bytes]] = []

    def send(self: Any, request: Any) -> Any:
        where = urlsplit(request.url)
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else bytes(body)
        headers = {"Host": where.netloc, "Content-Length": len(body)} | dict(request.headers.items())
        lines = [f"{request.method} {where.path or '/'} HTTP/1.1"]
        for name, value in headers.items():
            lines.append(f"{name}: {value.decode() if isinstance(value, bytes) else value}")
        seen.append((where.port or 80, "\r\n".join([*lines, "", ""]).encode() + body))
        return really(self, request)

    session.send = send
    try:
        yield seen
    finally:
        session.send = really


def floor(requests: Sequence[tuple[int, bytes]]) -> Call:
    """The same bytes out and back again over a bare socket."""
    connection = socket.create_connection(("127.0.0.1", requests[0][0]))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(call: int) -> None:
        connection.sendall(requests[call % len(requests)][1])
        received = connection.recv(65_536)
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65_536)

    return exchange


class Clock:
    """Gives each moment to the innermost phase that is running."""

    def __init__(self) -> None:
        self.now: dict[str, int] = defaultdict(int)
        self._open = ["rest"]
        self._since = time.process_time_ns()

    def _turn(self) -> None:
        moment = time.process_time_ns()
        self.now[self._open[-1]] += moment - self._since
        self._since = moment

    def wrap(self, holder: Any, name: str, phase: str) -> None:
        """Count what a function takes for a phase, less what phases inside it take."""
        really = getattr(holder, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            self._turn()
            self._open.append(phase)
            try:
                return really(*arguments, **named)
            finally:
                self._turn()
                self._open.pop()

        setattr(holder, name, timed)

    def taken(self, call: Call, number: int) -> dict[str, float]:
        """What one call spends in each phase."""
        self.now.clear()
        self._since = time.process_time_ns()
        call(number)
        self._turn()
        return {phase: taken / 1_000 for phase, taken in self.now.items()}


def phases(module: Any, decide: Call, calls: int) -> list[dict[str, float]]:
    """What each call spends where."""
    package = module.__name__.rpartition(".")[0]
    scoring, judging = (importlib.import_module(f"{package}.{name}") for name in ("scoring", "judging"))
    stores = importlib.import_module("runtime.stores.features")
    clock = Clock()
    for holder, name, phase in (
        (scoring.Scorer, "understand", "parse"),
        (scoring.Scorer, "look", "read"),
        (stores, "decode", "decode"),
        (scoring.FeatureSet, "vector", "features"),
        (scoring, "scored", "model"),
        (judging, "_reasons", "reasons"),
        (judging, "known_values", "policy"),
        (judging, "judge", "policy"),
        (scoring.Scorer, "keep", "write"),
        (scoring.Scorer, "make", "encode"),
    ):
        clock.wrap(holder, name, phase)
    return [clock.taken(decide, number) for number in range(calls)]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given:  # noqa: PTH123 - no pathlib: it is part of what is measured
        found = main(json.load(given))
    with open(sys.argv[2], "w", encoding="utf-8") as out:  # noqa: PTH123 - as above
        json.dump(found, out)
