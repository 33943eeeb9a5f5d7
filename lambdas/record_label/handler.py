"""POST /v1/labels: what became known of a transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fraud.decision import label_row
from fraud.events import Label
from runtime import clients, reports
from runtime.api import LabelRequest, parse
from runtime.contract.answers import LabelRecorded
from runtime.http import Answer, Problem, Request, answered
from runtime.settings import load
from runtime.stores.decisions import DecisionStore, DynamoDecisionStore
from runtime.telemetry import metrics


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
    return answered(event, {("POST", "/v1/labels"): serve})


def serve(request: Request) -> Answer:
    """Record one label now."""
    return reports.recorded(request, record, store=ledger, replay=settings.replay_time, counted="Labels")


def record(request: Request, *, store: DecisionStore, received_at: int, recorded_at: int) -> str:
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
    body = parse(request.body, LabelRequest)
    transaction = reports.decided(store, request.merchant_id, body.transaction_id)
    known_at = received_at if body.known_at is None else _milliseconds(body.known_at)
    if not transaction.event_time <= known_at <= received_at + 120_000:
        detail = "A label becomes known after its transaction and not in the future."
        raise Problem(400, "invalid-field", "Invalid field", detail, "known_at")
    label = Label(transaction=transaction, kind=body.label, known_at=known_at)
    return reports.keep(
        store,
        transaction,
        kind=f"label#{'fraud' if label.is_fraud else 'genuine'}",
        request=request,
        told=LabelRecorded(
            transaction_id=body.transaction_id, label=label.kind, known_at=reports.written(known_at)
        ),
        row=label_row(label, recorded_at),
    )


def _milliseconds(time_known: datetime) -> int:
    if time_known.tzinfo is None:
        detail = "Write the time with its offset from UTC, such as 2026-01-31T12:00:00Z."
        raise Problem(400, "invalid-field", "Invalid field", detail, "known_at")
    return round(time_known.timestamp() * 1_000)
