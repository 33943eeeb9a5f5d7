"""POST /v1/decisions/{transaction_id}/outcome: what the issuer or the merchant did with a transaction."""

from dataclasses import dataclass
from typing import Any

from fraud.decision import outcome_row
from fraud.events import Outcome
from runtime import clients, reports
from runtime.api import OutcomeRequest, parse, transaction_in_path
from runtime.contract.answers import OutcomeRecorded
from runtime.http import Answer, Problem, Request, answered
from runtime.settings import load
from runtime.stores.decisions import DecisionStore, DynamoDecisionStore
from runtime.telemetry import instrumented

MOST_SKEW = 120_000
"""How far the clocks of two functions may differ, in ms; no outcome really comes before its payment."""


@dataclass(frozen=True)
class Settings:
    decisions_table: str
    replay_time: bool


settings = load(Settings)
ledger: DecisionStore = DynamoDecisionStore(clients.dynamodb(), settings.decisions_table)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway: 202 once the outcome is in the ledger, from where it cannot be lost."""
    del context
    return answered(event, {("POST", "/v1/decisions/{transaction_id}/outcome"): serve})


def serve(request: Request) -> Answer:
    """Record one outcome now."""
    return reports.recorded(request, record, store=ledger, replay=settings.replay_time, counted="Outcomes")


def record(request: Request, *, store: DecisionStore, received_at: int, recorded_at: int) -> str:
    """Put an outcome beside its decision, once for each kind; return the answer's JSON.

    Parameters
    ----------
    received_at, recorded_at : int
        The receipt, from which the outcome counts, and the wall clock, in ms.

    Raises
    ------
    Problem
        400 for a bad path or body, 404 for a transaction that this merchant never sent.
    """
    transaction_id = transaction_in_path(request.path)
    body = parse(request.body, OutcomeRequest)
    transaction = reports.decided(store, request.merchant_id, transaction_id)
    if received_at + MOST_SKEW < transaction.event_time:
        detail = "An outcome is received after its transaction. Send it with a later time."
        raise Problem(400, "invalid-field", "Invalid field", detail, "Paywarden-Replay-Time")
    outcome = Outcome(
        transaction=transaction, kind=body.outcome, event_time=max(received_at, transaction.event_time)
    )
    return reports.keep(
        store,
        transaction,
        kind=f"outcome#{outcome.kind}",
        request=request,
        told=OutcomeRecorded(
            transaction_id=transaction_id,
            outcome=outcome.kind,
            received_at=reports.written(outcome.event_time),
        ),
        row=outcome_row(outcome, recorded_at, request.correlation_id),
    )
