"""What a merchant reports of a transaction that it sent before: kept beside the decision, each thing once."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from fraud.decision import event_of
from fraud.events import Transaction
from runtime.api import body_digest, receipt_time
from runtime.http import Problem, Request, answer
from runtime.stores.decisions import DECISION, DecisionStore, Record
from runtime.telemetry import MetricUnit, logger, metrics

__all__ = ["Recorder", "answered", "decided", "keep", "written"]


class Recorder(Protocol):
    """Records a report; returns the answer's JSON, or raises `Problem`."""

    def __call__(self, request: Request, /, *, received_at: int, recorded_at: int) -> str: ...


def answered(event: dict[str, Any], record: Recorder, *, replay: bool, counted: str) -> dict[str, Any]:
    """Answer API Gateway: 202 once `record` has the report in the ledger, or a problem document.

    Parameters
    ----------
    replay : bool
        Whether the header ``Paywarden-Replay-Time`` is allowed.
    counted : str
        The metric that counts the reports.
    """
    asked = event["requestContext"]
    logger.append_keys(request_id=asked["requestId"], merchant_id=asked["authorizer"]["merchant_id"])
    clock = time.time_ns() // 1_000_000
    try:
        request = Request.of(event)
        received_at = receipt_time(dict(request.headers), clock, replay=replay)
        body = record(request, received_at=received_at, recorded_at=clock)
    except Problem as problem:
        logger.info("refused", extra={"problem": problem.body["type"], "field": problem.body.get("field")})
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return problem.answer(asked["requestId"])
    metrics.add_metric(counted, MetricUnit.Count, 1)
    logger.info("recorded", extra={"counted": counted})
    return answer(202, body)


def decided(store: DecisionStore, merchant_id: str, transaction_id: str) -> Transaction:
    """The transaction, its identifiers as tokens, as it was decided on.

    Raises
    ------
    Problem
        404, if this merchant never sent it.
    """
    found = store.get(f"{merchant_id}/{transaction_id}", DECISION)
    if found is None:
        detail = "No decision was made under this id. Report on a transaction that was sent before."
        raise Problem(404, "unknown-transaction", "Unknown transaction", detail, "transaction_id")
    return event_of(msgspec.json.decode(found.row)).transaction


def keep(
    store: DecisionStore,
    transaction: Transaction,
    *,
    kind: str,
    request: Request,
    told: Mapping[str, str],
    row: Mapping[str, Any],
) -> str:
    """Write a line of the ledger, unless there is one of its kind; return the answer of the one that is there.

    Parameters
    ----------
    kind : str
        Of the line, such as ``label#fraud``.
    told : mapping of str to str
        The answer.
    row : mapping
        The event for the bus.
    """
    record = Record(
        event_id=transaction.event_id,
        kind=kind,
        digest=body_digest(request.body),
        answer=msgspec.json.encode(told).decode(),
        row=msgspec.json.encode(row).decode(),
    )
    return (store.put(record) or record).answer


def written(moment: int) -> str:
    """Milliseconds since the epoch as answers write them: RFC 3339 in UTC."""
    return datetime.fromtimestamp(moment / 1_000, UTC).isoformat()
