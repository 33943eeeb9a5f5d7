"""A proxy between the functions and AWS that answers as AWS would when it fails: the package microburst.

It runs as a process of its own on 127.0.0.1. With no rule it hands on; a rule says which calls fail, and how.
"""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import urllib3

from ops.localcloud import control
from tests.ports import free_port

__all__ = ["Faults", "proxied", "rule"]

START_SECONDS = 30.0
_LEAST_USED = {"dynamodb": "list_tables", "s3": "list_buckets", "secretsmanager": "list_secrets"}
"""Calls without arguments. The first call of a service takes the proxy seconds: it reads the service's model."""

type Rule = dict[str, Any]


def rule(
    service: str,
    operation: str = "",
    *,
    code: str = "",
    status: int = 400,
    share: float = 1.0,
    latency: float = 0.0,
    message: str = "",
    body: str = "",
) -> Rule:
    """What becomes of one service's calls.

    Parameters
    ----------
    operation : str
        One call; all of the service's without it.
    code, status : str, int
        The error that is answered, without anything being done; none without a code.
    share : float
        Of all calls, chosen at random.
    latency : float
        Seconds that a call is held before it is answered or handed on.
    body : str
        What has to be true of a call's body: a JMESPath expression; nothing without it.
    """
    made: Rule = {"service": service, "probability": share}
    if operation:
        made["operation"] = operation
    if body:
        made["body"] = body
    if latency:
        made["latency"] = round(latency * 1_000)
    if code:
        made["error"] = {"code": code, "status": status, "message": message or f"{code}, by a drill"}
    return made


class Faults:
    """The proxy's rules, and what they did.

    Attributes
    ----------
    port : int
        Where the proxy listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(5), retries=False)

    def inject(self, *rules: Rule) -> None:
        """Let these rules count, and no other."""
        self._call("POST", "rules", msgspec.json.encode(rules))

    def clear(self) -> None:
        """Hand everything on."""
        self.inject()

    @contextmanager
    def injected(self, *rules: Rule) -> Iterator[None]:
        """Let these rules count until the block ends."""
        self.inject(*rules)
        try:
            yield
        finally:
            self.clear()

    def fired(self, since: float) -> Counter[tuple[str, str]]:
        """How many calls met a rule after a moment (seconds since the epoch), by service and operation."""
        found = msgspec.json.decode(self._call("GET", f"fired?limit=2000&since={since}"))
        return Counter((each["service"], each["operation"]) for each in found)

    def wait_for(self, operation: str, since: float, seconds: float) -> bool:
        """Whether a call met a rule within some seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(name == operation for _, name in self.fired(since)):
                return True
            time.sleep(0.05)
        return False

    def healthy(self) -> bool:
        try:
            self._call("GET", "health")
        except urllib3.exceptions.HTTPError:
            return False
        return True

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.port}/_microburst/{path}"
        answer = self._pool.request(method, url, body=body, headers={"Content-Type": "application/json"})
        if answer.status != 200:
            raise RuntimeError(f"microburst answered {answer.status} to {method} {path}: {answer.data!r}")
        return answer.data


@contextmanager
def proxied(target: int, services: Sequence[str] = tuple(_LEAST_USED)) -> Iterator[Faults]:
    """A proxy before a local cloud, until the block ends.

    Parameters
    ----------
    target : int
        The port of the local cloud.
    services : sequence of str
        Those that are asked once at the start, so that the proxy is quick afterwards.

    Raises
    ------
    RuntimeError
        If it does not start.
    """
    port = free_port()
    command = [sys.executable, "-m", "microburst", "--upstream", f"http://127.0.0.1:{target}", "--no-resign"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        faults = Faults(port)
        deadline = time.monotonic() + START_SECONDS
        while not faults.healthy():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"microburst did not start on port {port} within {START_SECONDS:.0f} s")
            time.sleep(0.1)
        session = control.session(target)
        for service in services:
            client = session.client(service, endpoint_url=f"http://127.0.0.1:{port}")
            getattr(client, _LEAST_USED[service])()
        yield faults
    finally:
        # Asked to end, it waits for connections that functions keep open; there is nothing to bring to an end.
        process.kill()
        process.wait()
