"""GET /v1/decisions/{transaction_id}: a decision as it was answered, and what was reported since."""

from dataclasses import dataclass
from typing import Any

from fraud.features import STANDARD
from runtime import clients
from runtime.bundles import BundleStore
from runtime.http import Answer, Request, answered
from runtime.settings import load
from runtime.stores.decisions import DecisionStore, DynamoDecisionStore
from runtime.telemetry import instrumented, logger

from .reading import Explainer, read


@dataclass(frozen=True)
class Settings:
    decisions_table: str
    models_bucket: str


settings = load(Settings)
ledger: DecisionStore = DynamoDecisionStore(clients.dynamodb(), settings.decisions_table)
explainer = Explainer(
    STANDARD,
    BundleStore(clients.s3(), settings.models_bucket),
    failed=lambda error: logger.error("no reasons: %s", error),
)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway."""
    del context
    return answered(event, {("GET", "/v1/decisions/{transaction_id}"): serve})


def serve(request: Request) -> Answer:
    """Tell one decision."""
    return Answer(read(request, ledger=ledger, explainer=explainer))
