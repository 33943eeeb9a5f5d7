"""The moments of a request, as the ledger, the feature store, the logs and the lake each tell them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fraud.decision import event_of
from runtime.stores.decisions import Record

__all__ = ["Moment", "folded", "lake_rows", "ledger_lines", "log_line"]

# What Powertools and Lambda put into every line; what is left says what happened.
_USUAL = frozenset(
    {
        *("level", "location", "message", "timestamp", "service", "cold_start", "xray_trace_id"),
        *("function_name", "function_memory_size", "function_arn", "function_request_id"),
        *("request_id", "merchant_id", "correlation_id", "correlation_ids", "sampling_rate", "exception"),
        *("exception_name", "stack_trace"),
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """Something that happened to a request.

    Attributes
    ----------
    at : int
        Milliseconds since the epoch.
    where : str
        ``ledger``, ``features``, ``lake``, or a function.
    event_id : str
        Of the payment, the label or the outcome; empty for lines of a log, which name the request alone.
    trace : str
        The X-Ray trace that it is part of; empty where nobody knows.
    """

    at: int
    where: str
    what: str
    event_id: str = ""
    correlation_id: str = ""
    trace: str = field(default="", compare=False)


def ledger_lines(records: Iterable[Record]) -> Iterator[Moment]:
    """The lines of the ledger about one payment."""
    for record in records:
        row = msgspec.json.decode(record.row)
        told = row.get("decision") or row.get("label") or row.get("outcome") or ""
        yield Moment(
            at=row["recorded_at"],
            where="ledger",
            what=f"{record.kind}: {told}",
            event_id=event_of(row).event_id,
            correlation_id=row.get("correlation_id") or "",
        )


def folded(event_id: str, item: Mapping[str, Any] | None) -> Iterator[Moment]:
    """When an event reached the features, by its marker in the feature store; nothing if it has none yet."""
    if item is not None and "applied_at" in item:
        applied_at, recorded_at = int(item["applied_at"]["N"]), int(item["recorded_at"]["N"])
        what = f"folded in, {applied_at - recorded_at} ms after it was recorded"
        yield Moment(at=applied_at, where="features", what=what, event_id=event_id)


def lake_rows(table: str, rows: Iterable[Mapping[str, str]]) -> Iterator[Moment]:
    """Rows of a table of the lake; their time is that of the record, since the lake keeps no other."""
    for row in rows:
        yield Moment(
            at=int(row["recorded_at"]),
            where="lake",
            what=f"in {table}, day {row['day']}",
            event_id=row["event_id"],
            correlation_id=row.get("correlation_id", ""),
        )


def log_line(function: str, correlation_id: str, event: Mapping[str, Any]) -> Moment | None:
    """A line of a function's log; None if it is another's: metrics, or Lambda's own."""
    try:
        line = msgspec.json.decode(event["message"])
    except msgspec.DecodeError:
        return None
    # Ids are searched for as text: one may be the beginning of another.
    ids = () if not isinstance(line, dict) else (line.get("correlation_id"), *(line.get("correlation_ids") or ()))
    if correlation_id not in ids:
        return None
    more = " ".join(f"{name}={value}" for name, value in line.items() if name not in _USUAL and value is not None)
    return Moment(
        at=int(event["timestamp"]),
        where=function,
        what=f"{line.get('message', '')} {more}".strip(),
        correlation_id=correlation_id,
        trace=line.get("xray_trace_id", ""),
    )
