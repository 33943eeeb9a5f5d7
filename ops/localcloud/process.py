"""Run a container's program as a process group of its own, read its lines, and end it for certain."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Ending", "run"]

# SageMaker sends SIGTERM and gives the container this long before SIGKILL.
_GRACE_SECONDS = 120.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Ending:
    """How a program ended.

    Attributes
    ----------
    exit_code
        The exit code; negative for a signal.
    cause
        ``exit`` (by itself), ``stopped`` (asked to) or ``max_runtime`` (took too long).
    """

    exit_code: int
    cause: Literal["exit", "stopped", "max_runtime"]


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    max_runtime: float,
    stop: threading.Event,
    kill: threading.Event,
    on_line: Callable[[str], None],
    clock: Callable[[], float],
    grace: float = _GRACE_SECONDS,
) -> Ending:
    """Run `command` to its end.

    Parameters
    ----------
    cwd, environment
        Working folder and the whole environment; nothing is inherited.
    max_runtime
        Seconds after which the program is asked to end.
    stop, kill
        Set to ask the program to end, or to end it without grace.
    on_line
        Called with every line of standard output and error, from another thread.
    clock
        Monotonic seconds.
    grace
        Seconds between SIGTERM and SIGKILL.
    """
    process = subprocess.Popen(
        list(command),
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        bufsize=1,
        start_new_session=True,
    )
    reader = threading.Thread(target=_read, args=(process, on_line), daemon=True)
    reader.start()
    began = clock()
    cause: Literal["exit", "stopped", "max_runtime"] = "exit"
    asked_at: float | None = None
    try:
        while process.poll() is None:
            now = clock()
            if kill.is_set():
                cause = "stopped"
                _signal(process, signal.SIGKILL)
            elif asked_at is not None:
                if now - asked_at > grace:
                    _signal(process, signal.SIGKILL)
            elif stop.is_set() or now - began > max_runtime:
                cause = "stopped" if stop.is_set() else "max_runtime"
                asked_at = now
                _signal(process, signal.SIGTERM)
            kill.wait(_POLL_SECONDS)
    finally:
        # Whatever the program started and left behind goes with it.
        _signal(process, signal.SIGKILL)
        process.wait()
    reader.join(timeout=5)
    return Ending(process.returncode, cause)


def _read(process: "subprocess.Popen[str]", on_line: Callable[[str], None]) -> None:
    assert process.stdout is not None  # noqa: S101 - stdout=PIPE above
    with process.stdout as lines:
        for line in lines:
            on_line(line.rstrip("\n"))


def _signal(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return
