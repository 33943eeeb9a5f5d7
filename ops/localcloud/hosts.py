"""Run a job's program on its hosts, which here are processes of one machine, and end them together."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ops.localcloud import process

__all__ = ["Ending", "Host", "Orders", "host_names", "run_hosts"]

_POLL_SECONDS = 0.05

type Cause = Literal["exit", "stopped", "interrupted", "max_runtime", "max_wait"]


def host_names(count: int) -> list[str]:
    """Names of the hosts of a job; several are addresses of the loopback, so that they find each other."""
    return ["algo-1"] if count == 1 else [f"127.0.0.{number}" for number in range(1, count + 1)]


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host: its ``/opt/ml`` and what its program gets."""

    name: str
    root: Path
    environment: Mapping[str, str]
    on_line: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What may end the programs before they end themselves.

    Attributes
    ----------
    stop, interrupt
        Set to have them end with grace: for good, or as a spot instance that is taken away.
    kill
        Set to have them end at once.
    max_runtime, max_wait
        Seconds they may run; seconds until the whole job must be over.
    grace
        Seconds between SIGTERM and SIGKILL.
    """

    stop: threading.Event
    interrupt: threading.Event
    kill: threading.Event
    max_runtime: float
    max_wait: float
    grace: float


@dataclass(frozen=True)
class Ending:
    """How the programs ended.

    Attributes
    ----------
    cause
        ``exit`` (by themselves), or what ended them.
    exit_code
        That of the host that failed first; 0 if none did.
    host
        Position of that host; 0 if none failed.
    """

    cause: Cause
    exit_code: int = 0
    host: int = 0


def run_hosts(
    command: Sequence[str],
    hosts: Sequence[Host],
    orders: Orders,
    *,
    clock: Callable[[], float],
    meanwhile: Callable[[], None],
) -> Ending:
    """Run `command` on every host until all have ended; one that fails ends the others.

    Parameters
    ----------
    clock
        Monotonic seconds.
    meanwhile
        Called every second or so while they run.
    """
    stop, kill = threading.Event(), threading.Event()
    failed: list[tuple[int, int]] = []
    lock = threading.Lock()

    def run(position: int) -> None:
        host = hosts[position]
        code = process.run(
            command,
            cwd=host.root,
            environment=host.environment,
            stop=stop,
            kill=kill,
            on_line=host.on_line,
            clock=clock,
            grace=orders.grace,
        )
        with lock:
            # Those that are ended because of another do not count.
            if code != 0 and not failed and cause == "exit":
                failed.append((code, position))
                kill.set()

    began = tick = clock()
    cause: Cause = "exit"
    with ThreadPoolExecutor(len(hosts), thread_name_prefix="sagemaker-host") as pool:
        running = [pool.submit(run, position) for position in range(len(hosts))]
        try:
            while not all(future.done() for future in running):
                now = clock()
                wanted = _order(orders, now - began)
                with lock:
                    if wanted and cause == "exit" and not failed:
                        cause = wanted
                        stop.set()
                if orders.kill.is_set() or any(future.done() and future.exception() for future in running):
                    kill.set()
                if now - tick >= 1:
                    tick = now
                    meanwhile()
                orders.kill.wait(_POLL_SECONDS)
        finally:
            # Also when an upload fails: nothing may be left running.
            kill.set()
        for future in running:
            future.result()
    code, position = failed[0] if failed else (0, 0)
    return Ending(cause, code, position)


def _order(orders: Orders, seconds: float) -> Cause | None:
    if orders.stop.is_set() or orders.kill.is_set():
        return "stopped"
    if orders.interrupt.is_set():
        return "interrupted"
    if seconds > orders.max_wait:
        return "max_wait"
    return "max_runtime" if seconds > orders.max_runtime else None
