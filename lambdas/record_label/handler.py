"""POST /v1/labels, and `label.reported` on the bus: what became known of a transaction."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from runtime import clients, reports
from runtime.http import Answer, Request, answered
from runtime.settings import load
from runtime.stores.decisions import DecisionStore, DynamoDecisionStore
from runtime.telemetry import instrumented

from .bus import lag, record_reported
from .recording import record


@dataclass(frozen=True)
class Settings:
    decisions_table: str
    replay_time: bool


settings = load(Settings)
ledger: DecisionStore = DynamoDecisionStore(clients.dynamodb(), settings.decisions_table)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway 202 once a label is in the ledger, from where it cannot be lost; or serve the queue.

    Of a batch of the queue the messages to deliver again are named, so that one bad one blocks no other.
    """
    del context
    if "Records" in event:
        failed = record_reported(event["Records"], store=ledger, clock=time.time_ns() // 1_000_000)
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}
    return answered(event, {("POST", "/v1/labels"): serve})


def serve(request: Request) -> Answer:
    """Record one label now."""
    return reports.recorded(
        request, partial(record, news=lag), store=ledger, replay=settings.replay_time, counted="Labels"
    )
