"""Run a container's program as a process group of its own, read its lines, and end it for certain."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["run"]

# SageMaker sends SIGTERM and gives the container this long before SIGKILL.
_GRACE_SECONDS = 120.0
_POLL_SECONDS = 0.05


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stop: threading.Event,
    kill: threading.Event,
    on_line: Callable[[str], None],
    clock: Callable[[], float],
    grace: float = _GRACE_SECONDS,
) -> int:
    """Run `command` to its end; return its exit code, negative for a signal.

    Parameters
    ----------
    cwd, environment
        Working folder and the whole environment; nothing is inherited.
    stop, kill
        Set to ask the program to end, or to end it without grace.
    on_line
        Called with every line of standard output and error, from another thread.
    clock
        Monotonic seconds.
    grace
        Seconds between SIGTERM and SIGKILL.
    """
    process = subprocess.Popen(  # noqa: S603 - a list, no shell; its callers say which
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
    asked_at: float | None = None
    try:
        while process.poll() is None:
            now = clock()
            if kill.is_set():
                _signal(process, signal.SIGKILL)
            elif asked_at is not None:
                if now - asked_at > grace:
                    _signal(process, signal.SIGKILL)
            elif stop.is_set():
                asked_at = now
                _signal(process, signal.SIGTERM)
            kill.wait(_POLL_SECONDS)
    finally:
        # Whatever the program started and left behind goes with it.
        _signal(process, signal.SIGKILL)
        process.wait()
    reader.join(timeout=5)
    return process.returncode


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
