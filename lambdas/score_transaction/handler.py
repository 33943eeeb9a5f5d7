"""POST /v1/decisions: one transaction in, one decision out."""

import time
from dataclasses import dataclass
from typing import Any

from fraud.features import STANDARD
from fraud.tokens import Tokeniser
from runtime import clients
from runtime.api import receipt_time
from runtime.bundles import BundleStore
from runtime.configuration import Profile, ServingReader
from runtime.http import Problem, Request, answer
from runtime.settings import load
from runtime.stores.decisions import DynamoDecisionStore
from runtime.stores.features import DynamoFeatureStore
from runtime.telemetry import MetricUnit, logger, metrics

from .models import LiveModels
from .scoring import Scorer, Timer


@dataclass(frozen=True)
class Settings(Profile):
    features_table: str
    decisions_table: str
    models_bucket: str
    token_secret: str
    replay_time: bool
    config_refresh_seconds: int


settings = load(Settings)
models = LiveModels(
    ServingReader(clients.appconfigdata(), settings),
    BundleStore(clients.s3(), settings.models_bucket),
    names=STANDARD.names,
    interval=settings.config_refresh_seconds,
)
scorer = Scorer(
    features=STANDARD,
    states=DynamoFeatureStore(clients.dynamodb(impatient=True), settings.features_table, consistent=False),
    ledger=DynamoDecisionStore(clients.dynamodb(), settings.decisions_table),
    tokeniser=Tokeniser(
        clients.secretsmanager().get_secret_value(SecretId=settings.token_secret)["SecretString"].encode()
    ),
    serving=models.current,
    failed=lambda error: logger.error("state unreadable: %s", type(error).__name__, exc_info=error),
)


@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway."""
    del context
    start = time.perf_counter()
    scorer.timer.store = 0.0
    asked = event["requestContext"]
    logger.append_keys(request_id=asked["requestId"], merchant_id=asked["authorizer"]["merchant_id"])
    try:
        request = Request.of(event)
        models.refresh(time.monotonic())
        received_at = receipt_time(dict(request.headers), now(), replay=settings.replay_time)
        outcome = scorer.decide(request.merchant_id, request.body, received_at=received_at, clock=now)
    except Problem as problem:
        logger.info("refused", extra={"problem": problem.body["type"], "field": problem.body.get("field")})
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return problem.answer(asked["requestId"])
    if not outcome.repeated:
        metrics.add_metric(outcome.action.capitalize(), MetricUnit.Count, 1)
    metrics.add_metric("Degraded", MetricUnit.Count, int(outcome.degraded))
    metrics.add_metric("Repeated", MetricUnit.Count, int(outcome.repeated))
    total = time.perf_counter() - start
    logger.info("decided", extra={"action": outcome.action, "repeated": outcome.repeated})
    return answer(200, outcome.answer, headers={"Server-Timing": timing(total, scorer.timer)})


def now() -> int:
    """Wall-clock milliseconds."""
    return time.time_ns() // 1_000_000


def timing(total: float, timer: Timer) -> str:
    """The Server-Timing header: our own code, and the calls to AWS, in ms."""
    return f"own;dur={(total - timer.store) * 1e3:.3f}, store;dur={timer.store * 1e3:.3f}"
