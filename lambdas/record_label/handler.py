"""POST /v1/labels: what became known of a transaction."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from fraud.decision import event_of, label_row
from fraud.events import Label
from runtime import clients
from runtime.api import LabelRequest, body_digest, parse, receipt_time
from runtime.http import Problem, Request, answer
from runtime.settings import load
from runtime.stores.decisions import DECISION, DecisionStore, DynamoDecisionStore, Record
from runtime.telemetry import MetricUnit, logger, metrics


@dataclass(frozen=True)
class Settings:
    decisions_table: str
    replay_time: bool


settings = load(Settings)
ledger: DecisionStore = DynamoDecisionStore(clients.dynamodb(), settings.decisions_table)


@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway: 202 once the label is in the ledger, from where it cannot be lost."""
    del context
    asked = event["requestContext"]
    logger.append_keys(request_id=asked["requestId"], merchant_id=asked["authorizer"]["merchant_id"])
    clock = time.time_ns() // 1_000_000
    try:
        request = Request.of(event)
        received_at = receipt_time(dict(request.headers), clock, replay=settings.replay_time)
        body = record(request.merchant_id, request.body, ledger, received_at=received_at, recorded_at=clock)
    except Problem as problem:
        logger.info("refused", extra={"problem": problem.body["type"], "field": problem.body.get("field")})
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return problem.answer(asked["requestId"])
    metrics.add_metric("Labels", MetricUnit.Count, 1)
    logger.info("label recorded")
    return answer(202, body)


def record(merchant_id: str, body: bytes, store: DecisionStore, *, received_at: int, recorded_at: int) -> str:
    """Put a label beside its decision, once for fraud and once for genuine; return the answer's JSON.

    Parameters
    ----------
    received_at, recorded_at : int
        The receipt time, which `known_at` defaults to, and the wall clock, in ms.

    Raises
    ------
    Problem
        400 for a bad body, 404 for a transaction that this merchant never sent.
    """
    request = parse(body, LabelRequest)
    decided = store.get(f"{merchant_id}/{request.transaction_id}", DECISION)
    if decided is None:
        detail = "No decision was made under this id. Send the label of a transaction that was sent before."
        raise Problem(404, "unknown-transaction", "Unknown transaction", detail, "transaction_id")
    transaction = event_of(msgspec.json.decode(decided.row)).transaction
    known_at = received_at if request.known_at is None else _milliseconds(request.known_at)
    if not transaction.event_time <= known_at <= received_at + 120_000:
        detail = "A label becomes known after its transaction and not in the future."
        raise Problem(400, "invalid-field", "Invalid field", detail, "known_at")
    label = Label(transaction=transaction, kind=request.label, known_at=known_at)
    text = msgspec.json.encode(
        {
            "transaction_id": request.transaction_id,
            "label": label.kind,
            "known_at": datetime.fromtimestamp(known_at / 1_000, UTC).isoformat(),
        }
    ).decode()
    kept = store.put(
        Record(
            event_id=transaction.event_id,
            kind=f"label#{'fraud' if label.is_fraud else 'genuine'}",
            digest=body_digest(body),
            answer=text,
            row=msgspec.json.encode(label_row(label, recorded_at)).decode(),
        )
    )
    return text if kept is None else kept.answer


def _milliseconds(time_known: datetime) -> int:
    if time_known.tzinfo is None:
        detail = "Write the time with its offset from UTC, such as 2026-01-31T12:00:00Z."
        raise Problem(400, "invalid-field", "Invalid field", detail, "known_at")
    return round(time_known.timestamp() * 1_000)
