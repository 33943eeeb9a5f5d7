"""What a merchant reports of a transaction that it sent before: kept beside the decision, each thing once."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from fraud.decision import event_of
from fraud.events import Transaction
from runtime.api import body_digest, receipt_time
from runtime.http import Answer, Problem, Request
from runtime.stores.decisions import DECISION, DecisionStore, Record
from runtime.telemetry import count, logger

__all__ = ["Recorder", "decided", "keep", "line", "recorded", "transaction_of", "written"]


class Recorder(Protocol):
    """Puts a report into the ledger; returns the answer's JSON, or raises `Problem`."""

    def __call__(
        self, request: Request, /, *, store: DecisionStore, received_at: int, recorded_at: int
    ) -> str: ...


def recorded(request: Request, record: Recorder, *, store: DecisionStore, replay: bool, counted: str) -> Answer:
    """Record a report now, and answer 202.

    Parameters
    ----------
    replay : bool
        Whether the header ``Paywarden-Replay-Time`` is allowed.
    counted : str
        The metric that counts the reports.
    """
    clock = time.time_ns() // 1_000_000
    received_at = receipt_time(request.headers, clock, replay=replay)
    told = record(request, store=store, received_at=received_at, recorded_at=clock)
    count(counted)
    logger.info("recorded", extra={"counted": counted})
    return Answer(told, 202)


def decided(store: DecisionStore, merchant_id: str, transaction_id: str) -> Transaction:
    """The transaction, its identifiers as tokens, as it was decided on.

    Raises
    ------
    Problem
        404, if this merchant never sent it.
    """
    return transaction_of(store.get(f"{merchant_id}/{transaction_id}", DECISION))


def transaction_of(decision: Record | None) -> Transaction:
    """The transaction of a decision's line, its identifiers as tokens.

    Raises
    ------
    Problem
        404, if there is no such line.
    """
    if decision is None:
        detail = "No decision was made under this id. Report on a transaction that was sent before."
        raise Problem(404, "unknown-transaction", "Unknown transaction", detail, "transaction_id")
    return event_of(msgspec.json.decode(decision.row)).transaction


def keep(
    store: DecisionStore,
    transaction: Transaction,
    *,
    kind: str,
    request: Request,
    told: msgspec.Struct,
    row: Mapping[str, Any],
) -> str:
    """Write a line of the ledger, unless there is one of its kind; return the answer of the one that is there.

    The parameters are those of `line`.
    """
    record = line(transaction, kind=kind, request=request, told=told, row=row)
    return (store.put(record) or record).answer


def line(
    transaction: Transaction, *, kind: str, request: Request, told: msgspec.Struct, row: Mapping[str, Any]
) -> Record:
    """A line of the ledger.

    Parameters
    ----------
    kind : str
        Of the line, such as ``outcome#declined``.
    told : Struct
        The answer.
    row : mapping
        The event for the bus.
    """
    return Record(
        event_id=transaction.event_id,
        kind=kind,
        digest=body_digest(request.body),
        answer=msgspec.json.encode(told).decode(),
        row=msgspec.json.encode(row).decode(),
    )


def written(moment: int) -> str:
    """Milliseconds since the epoch as answers write them: RFC 3339 in UTC."""
    return datetime.fromtimestamp(moment / 1_000, UTC).isoformat()
