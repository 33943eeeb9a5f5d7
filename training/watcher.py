"""A training job's first process: it trains here, or watches over the worker that trains with other machines.

XGBoost ends a worker on the spot when another one is lost, and somebody has to outlive it and say why. The watcher
of the first machine also runs the tracker, through which the workers find one another. Only there does a watcher
import XGBoost, which takes seconds, and memory that the worker could use.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from training.contract import Contract, ProgramError
from training.hosts import POLL_SECONDS, Hosts, address_of, lost
from training.parameters import read_parameters

if TYPE_CHECKING:
    from xgboost.tracker import RabitTracker

__all__ = ["launch", "port_of"]

_FIRST_PORT, _PORTS = 20_000, 10_000
_STOPPED = 128 + signal.SIGTERM


def launch(contract: Contract, *, worker: bool = False) -> None:
    """Run a training job, on this machine alone or on as many as it has.

    Parameters
    ----------
    worker : bool
        Whether this process is the one that a watcher started.

    Raises
    ------
    ProgramError
        As `training.train.train`, or with the reason that a worker left, or one that follows from how it ended.
    SystemExit
        The machine is taken away; what was done is kept.
    """
    parameters = read_parameters(contract)
    hosts = Hosts.read(contract.training_resources)
    port = port_of(contract.job_name or parameters.run_id, parameters.port)
    if len(hosts.names) > 1 and not worker:
        _watch(contract, hosts, port, parameters.patience_seconds)
        return
    if worker:
        _end_with_watcher()
    from training.train import train

    train(contract, parameters, hosts, port)


def port_of(job_name: str, port: int) -> int:
    """The tracker's port: the one that was asked for, or one that all machines of a job derive alike.

    Examples
    --------
    >>> port_of("nightly-3-train-r0", 9_091)
    9091
    """
    return port or _FIRST_PORT + zlib.crc32(job_name.encode()) % _PORTS


def _watch(contract: Contract, hosts: Hosts, port: int, patience: int) -> None:
    """Start the worker of this machine, and wait until it ends."""
    tracker = _tracker(hosts, port, patience) if hosts.current == hosts.leader else None
    command = [sys.executable, *(f"-W{each}" for each in sys.warnoptions), "-m", "training", "train", "--worker"]
    with (
        subprocess.Popen(command, env=contract.surroundings(), stdin=subprocess.PIPE) as worker,  # noqa: S603 - this very program
        _passing_on(worker),
    ):
        try:
            code = worker.wait()
        finally:
            worker.kill()
    if code == _STOPPED:
        raise SystemExit(_STOPPED)
    if code:
        raise ProgramError(_reason(contract, hosts, code))
    if tracker is not None:
        tracker.wait_for(timeout=patience)


def _tracker(hosts: Hosts, port: int, patience: int) -> "RabitTracker":
    """Listen for the workers; a port of a training that was just interrupted is free again after a minute."""
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

    address, end = address_of(hosts.leader, patience), time.monotonic() + patience
    while True:
        try:
            tracker = RabitTracker(n_workers=len(hosts.names), host_ip=address, port=port, sortby="task")
        except XGBoostError as error:
            if time.monotonic() > end:
                sys.stderr.write(f"{error}\n")
                raise ProgramError(
                    f"Port {port} of {hosts.leader}, where the machines meet, cannot be used; "
                    "pass another one as hyperparameter 'port'."
                ) from error
            time.sleep(POLL_SECONDS)
        else:
            tracker.start()
            return tracker


def _reason(contract: Contract, hosts: Hosts, code: int) -> str:
    if contract.failure.is_file():
        return contract.failure.read_text()
    if code == -signal.SIGKILL:
        return (
            f"The training on {hosts.current} was killed, most often for want of memory; use more or larger "
            "machines, or memory=external."
        )
    if code < 0:
        return f"The training on {hosts.current} ended with signal {-code}; the log of this machine shows where."
    return lost(hosts)


@contextmanager
def _passing_on(worker: "subprocess.Popen[bytes]") -> Iterator[None]:
    """SageMaker tells only the first process of a container that the machine is taken away."""

    def pass_on(_signal: int, _frame: FrameType | None) -> None:
        worker.terminate()

    before: Callable[[int, FrameType | None], object] | int | None = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_with_watcher() -> None:
    """A worker whose watcher was killed must not go on alone: the pipe between them closes."""

    def watch() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
