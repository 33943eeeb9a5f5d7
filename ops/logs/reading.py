"""Lines of a function's log, and what is worth saying of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from ops.deployment import Deployment, DeploymentError
from ops.functions import log_groups

__all__ = ["Line", "line_of", "read"]

_BAD = ("ERROR", "WARNING", "CRITICAL")
_ENDED = ("timeout", "error", "failure")

TROUBLE = (
    "{ "
    + " || ".join(
        [f'($.{field} = "{each}")' for field in ("level", "log_level") for each in _BAD]
        + [f'($.record.status = "{each}")' for each in _ENDED]
    )
    + " }"
)
"""Lines of the function's own that tell of trouble, and Lambda's on a call that ran too long or broke off."""

_LEVELS = ("level", "log_level")
"""Of a line of the function's, and of Lambda's own."""

_LEFT_OUT = frozenset(
    {
        *(*_LEVELS, "message", "timestamp", "service", "location", "cold_start", "function_arn"),
        *("function_memory_size", "function_name", "function_request_id", "xray_trace_id", "sampling_rate"),
        *("exception", "exception_name", "stack_trace", "stackTrace", "requestId", "time", "type", "record"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line.

    Attributes
    ----------
    at : int
        Milliseconds since the epoch.
    more : dict of str to object
        The fields that it has beyond those that every line has.
    bad : bool
        Whether it tells of trouble.
    """

    at: int
    level: str
    message: str
    more: dict[str, Any]
    bad: bool


def read(deployment: Deployment, verb_noun: str, *, since: int, pattern: str, limit: int) -> list[Line]:
    """The newest lines of a function that match, oldest first.

    Parameters
    ----------
    since : int
        Milliseconds since the epoch.
    pattern : str
        As CloudWatch Logs understands it; empty for all lines.

    Raises
    ------
    DeploymentError
        If there is no such function.
    """
    groups = log_groups(deployment)
    if verb_noun not in groups:
        raise DeploymentError(f"there is no function {verb_noun!r}; there are {', '.join(groups)}")
    # The emulator knows one order, from the oldest on.
    backwards = deployment.port is None
    pages = (
        deployment.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=groups[verb_noun],
            startTime=since,
            **({"filterPattern": pattern} if pattern else {}),
            **({"startFromHead": False} if backwards else {}),
        )
    )
    lines = (
        line_of(event["timestamp"], event["message"])
        for page in pages
        for event in page["events"]
        # Metrics are lines too, which say nothing that `paywarden status` does not.
        if not event["message"].startswith('{"_aws"')
    )
    # The emulator takes any pattern of fields for one that everything matches.
    wanted = (each for each in lines if pattern != TROUBLE or each.bad)
    return list(islice(wanted, limit))[::-1] if backwards else _last(wanted, limit)


def line_of(at: int, message: str) -> Line:
    """A line as it was written, structured or not."""
    try:
        told = msgspec.json.decode(message)
    except msgspec.DecodeError:
        told = None
    if not isinstance(told, dict):
        text = message.rstrip()
        return Line(at=at, level="", message=text, more={}, bad="Traceback" in text or "timed out" in text)
    level = next((str(told[each]) for each in _LEVELS if each in told), "")
    record = told.get("record")
    status = str(record.get("status", "")) if isinstance(record, dict) else ""
    if "message" in told:
        text = str(told["message"])
    elif "errorMessage" in told:
        text = f"{told.pop('errorType', 'Error')}: {told.pop('errorMessage')}"
    else:
        text = " ".join(filter(None, (str(told.get("type", "")), status))) or message.rstrip()
    more = {name: value for name, value in told.items() if name not in _LEFT_OUT and not name.startswith("_")}
    return Line(at=at, level=level, message=text, more=more, bad=level in _BAD or status in _ENDED)


def _last(lines: Iterator[Line], limit: int) -> list[Line]:
    """The end of them, in bounded memory."""
    kept: list[Line] = []
    while chunk := list(islice(lines, limit)):
        kept = [*kept, *chunk][-limit:]
    return kept
