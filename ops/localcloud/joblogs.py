"""Carry a job's lines to its log file and to CloudWatch Logs, and read metrics from them."""

import contextlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

__all__ = ["JobLog", "LogService", "Metrics"]


class LogService(Protocol):
    """What is used of boto3's client for CloudWatch Logs."""

    exceptions: Any

    def create_log_group(self, *, logGroupName: str) -> object: ...  # noqa: N803 - boto3's name

    def create_log_stream(self, *, logGroupName: str, logStreamName: str) -> object: ...  # noqa: N803 - boto3's name

    def put_log_events(
        self,
        *,
        logGroupName: str,  # noqa: N803 - boto3's name
        logStreamName: str,  # noqa: N803 - boto3's name
        logEvents: list[dict[str, Any]],  # noqa: N803 - boto3's name
    ) -> object: ...


_FLUSH_LINES = 500
_FLUSH_SECONDS = 1.0
# A PutLogEvents event holds at most 256 KiB.
_LINE_CHARACTERS = 60_000


class Metrics:
    """Final metrics by the regular expressions of ``MetricDefinitions``: the last match of each wins.

    Parameters
    ----------
    definitions
        ``[{"Name": ..., "Regex": ...}]``; the first group of the expression is the value.
    """

    def __init__(self, definitions: Sequence[Mapping[str, str]]) -> None:
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._last: dict[str, dict[str, Any]] = {}

    def read(self, line: str, now: float) -> None:
        """Take what `line` says, at `now` seconds since the epoch."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                with contextlib.suppress(ValueError, IndexError):
                    self._last[name] = {"MetricName": name, "Value": float(match.group(1)), "Timestamp": now}

    def final(self) -> list[dict[str, Any]]:
        """The last value of each metric, in the order of the definitions."""
        return [self._last[name] for name, _ in self._patterns if name in self._last]


class JobLog:
    """One log stream, as SageMaker names it: ``<job name>/algo-1-<epoch seconds>``.

    The file is written at once; the log service gets batches, so that a talkative program is not slowed.
    """

    def __init__(
        self,
        logs: LogService,
        *,
        group: str,
        stream: str,
        path: Path,
        clock: Callable[[], float],
    ) -> None:
        self._logs, self._group, self._stream, self._clock = logs, group, stream, clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)
        self._pending: list[dict[str, Any]] = []
        self._flushed_at = clock()
        self._lock = threading.Lock()
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def write(self, line: str) -> None:
        """Add a line."""
        now = self._clock()
        with self._lock:
            self._file.write(line + "\n")
            if line:
                self._pending.append({"timestamp": int(now * 1000), "message": line[:_LINE_CHARACTERS]})
            if len(self._pending) >= _FLUSH_LINES or now - self._flushed_at > _FLUSH_SECONDS:
                self._flush(now)

    def _flush(self, now: float) -> None:
        if self._pending:
            self._logs.put_log_events(
                logGroupName=self._group, logStreamName=self._stream, logEvents=self._pending
            )
        self._pending = []
        self._flushed_at = now

    def close(self) -> None:
        """Send what is left and close the file."""
        with self._lock:
            self._flush(self._clock())
            self._file.close()
