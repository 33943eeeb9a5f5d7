"""Spark over the machines of one job: each runs this program, the first one leads.

SageMaker starts the same container on every machine and tells it the names of all. The first by name starts
Spark's master and a worker and does the work; the others start a worker and end when the master is gone. With one
machine there is no cluster: Spark runs within the program.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pyspark
from pyspark.sql import SparkSession

from training.contract import ProgramError
from training.engines.spark_session import spark_session
from training.hosts import Hosts

__all__ = ["PORT", "Hosts", "run_over"]

PORT = 7077
"""Where the master listens."""

_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"

# Machines of one job are ready within seconds of one another; the image is on all of them before any starts.
_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 0.5
_CALL_SECONDS = 5.0
_GRACE_SECONDS = 10.0

# Of a machine's memory: the heaps of an executor and of the driver. The rest is for Python, which does the work.
_HEAP_SHARE = 0.2
_MEGABYTE = 1 << 20

type Process = subprocess.Popen[bytes]


def run_over(
    hosts: Hosts, work: Callable[[], object], *, port: int = PORT, patience: float = _PATIENCE_SECONDS
) -> None:
    """Do the work on the first machine, with a Spark session over all of them; help with it on the others.

    Parameters
    ----------
    work : callable
        Called on the first machine only, with the session as the active one.
    port : int
        Of the master.
    patience : float
        Seconds in which the master and all workers have to come.

    Raises
    ------
    ProgramError
        If they do not, or a worker ends before the work does.
    """
    if len(hosts.names) == 1:
        with spark_session(driver_memory=_heap()):
            work()
    elif hosts.current == hosts.leader:
        _lead(hosts, work, port, patience)
    else:
        _follow(hosts, port, patience)


def _lead(hosts: Hosts, work: Callable[[], object], port: int, patience: float) -> None:
    master = f"spark://{hosts.leader}:{port}"
    with ExitStack() as stack:
        started = stack.enter_context(
            _daemon(_MASTER, "--host", hosts.leader, "--port", str(port), "--webui-port", "0")
        )
        _await(lambda: _answers(hosts.leader, port), started, patience, "Spark's master does not answer")
        worker = stack.enter_context(_worker(hosts.current, master))
        session = stack.enter_context(
            spark_session(master, address=hosts.leader, driver_memory=_heap(), executor_memory=_heap())
        )
        _await(
            lambda: _executors(session) >= len(hosts.names),
            worker,
            patience,
            f"not all of the {len(hosts.names)} machines joined Spark (the log of a missing one says why)",
        )
        work()


def _follow(hosts: Hosts, port: int, patience: float) -> None:
    master = f"spark://{hosts.leader}:{port}"
    _await(
        lambda: _answers(hosts.leader, port), None, patience, f"Spark's master on {hosts.leader} does not answer"
    )
    with _worker(hosts.current, master) as worker:
        while (connection := _call(hosts.leader, port)) is not None:
            with connection:
                _hold(connection, worker)
            time.sleep(_POLL_SECONDS)
            if worker.poll() is not None and _answers(hosts.leader, port):
                raise ProgramError(
                    f"Spark's worker on {hosts.current} ended with {worker.returncode} before the work was done; "
                    "the log of this machine shows why."
                )


def _hold(connection: socket.socket, worker: Process) -> None:
    """Wait until the master closes a connection, on which it never says anything, or the worker ends."""
    connection.settimeout(_POLL_SECONDS)
    while worker.poll() is None:
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return


@contextmanager
def _worker(host: str, master: str) -> Iterator[Process]:
    with tempfile.TemporaryDirectory(prefix="paywarden-worker-", ignore_cleanup_errors=True) as scratch:
        options = ("--host", host, "--webui-port", "0", "--memory", _heap(), "--work-dir", scratch)
        with _daemon(_WORKER, *options, master) as process:
            yield process


@contextmanager
def _daemon(*command: str) -> Iterator[Process]:
    """A Spark daemon, with what it starts, until the block ends."""
    launcher = Path(str(pyspark.__file__)).parent / "bin" / "spark-class"
    process = subprocess.Popen(  # noqa: S603 - pyspark's own launcher, no shell
        [str(launcher), *command], stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    # Executors are of the worker's group and may outlive it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _await(ready: Callable[[], bool], process: Process | None, patience: float, complaint: str) -> None:
    end = time.monotonic() + patience
    while not ready():
        if process is not None and process.poll() is not None:
            raise ProgramError(
                f"{complaint}: a Spark process ended with {process.returncode}; see this job's log."
            )
        if time.monotonic() > end:
            raise ProgramError(f"{complaint}: waited {patience:.0f} s.")
        time.sleep(_POLL_SECONDS)


def _call(host: str, port: int) -> socket.socket | None:
    try:
        return socket.create_connection((host, port), timeout=_CALL_SECONDS)
    except OSError:
        return None


def _answers(host: str, port: int) -> bool:
    connection = _call(host, port)
    if connection is None:
        return False
    connection.close()
    return True


def _executors(session: SparkSession) -> int:
    """Executors that have registered; the driver counts as one in Spark's list."""
    scala: Any = session.sparkContext._jsc.sc()
    return len(scala.statusTracker().getExecutorInfos()) - 1


def _heap() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{max(512, int(memory * _HEAP_SHARE) // _MEGABYTE)}m"
