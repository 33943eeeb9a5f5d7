"""POST /v1/decisions and /v1/decisions/batch: transactions in, decisions out; GET /v1/health beside them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from fraud.features import STANDARD
from runtime import clients, snapshot
from runtime.api import parse_batch, receipt_time
from runtime.bundles import BundleStore
from runtime.configuration import Profile, ServingReader
from runtime.contract.answers import Health, batch_answer
from runtime.http import Answer, Problem, Request, answered, counted
from runtime.keyring import KeyringReader, LiveTokens
from runtime.settings import load
from runtime.stores.decisions import DynamoDecisionStore
from runtime.stores.features import DynamoFeatureStore
from runtime.stores.snapshots import DynamoSnapshots
from runtime.telemetry import count, instrumented, logger

from .batch import decide_many
from .models import LiveModels
from .scoring import Asking, Outcome, Scorer
from .settings import SettingsCache


@dataclass(frozen=True)
class Settings(Profile):
    features_table: str
    settings_table: str
    decisions_table: str
    models_bucket: str
    token_secret: str
    token_keys_bucket: str
    token_refresh_seconds: int
    replay_time: bool
    config_refresh_seconds: int
    store_patience_ms: int


_IDLE = 60.0
"""Seconds after which a connection that was kept is not relied on: Lambda ends those of a process that sleeps."""


def now() -> int:
    """Wall-clock milliseconds."""
    return time.time_ns() // 1_000_000


def done_without(error: Exception) -> None:
    """Tell that a decision has to be made without something."""
    logger.error("done without: %s", type(error).__name__, exc_info=error)


def unreadable(error: Exception) -> None:
    """Tell that a merchant's settings are not understood; what counted before goes on."""
    logger.error("settings unreadable: %s", error)
    count("SettingsUnreadable")


settings = load(Settings)
tokens = LiveTokens(
    KeyringReader(clients.secretsmanager(), settings.token_secret, clients.s3(), settings.token_keys_bucket),
    now=time.time(),
    interval=settings.token_refresh_seconds,
)
patience = settings.store_patience_ms / 1_000
models = LiveModels(
    ServingReader(clients.appconfigdata(), settings),
    BundleStore(clients.s3(), settings.models_bucket),
    names=STANDARD.names,
    interval=settings.config_refresh_seconds,
)
scorer = Scorer(
    features=STANDARD,
    snapshots=DynamoSnapshots(
        DynamoFeatureStore(clients.dynamodb(clients.brief(patience)), settings.features_table, consistent=False),
        settings.settings_table,
    ),
    ledger=DynamoDecisionStore(clients.dynamodb(), settings.decisions_table),
    tokeniser=tokens.current,
    serving=models.current,
    settings=SettingsCache(settings.config_refresh_seconds, unreadable),
    failed=done_without,
    clock=now,
    patience=patience,
)
started_at = asked_at = now()


def restart() -> None:
    """Begin as a process of its own: since now, and with no merchant's settings from before."""
    global started_at, asked_at
    started_at = asked_at = now()
    scorer.settings.forget()


snapshot.before_snapshot(tokens.forget, clients.disconnect)
snapshot.after_restore(restart, models.renew, lambda: tokens.renew(time.time()), failed=done_without)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway."""
    global asked_at
    del context
    before, asked_at = asked_at, now()
    if asked_at - before > _IDLE * 1_000:
        clients.disconnect()
    return answered(event, CALLS)


def decide(request: Request) -> Answer:
    """One decision."""
    return _measured(lambda asking: _told(scorer.decide(request.body, asking)), request)


def decide_batch(request: Request) -> Answer:
    """Up to 100 decisions, each answered on its own."""

    def decided(asking: Asking) -> str:
        results = decide_many(scorer, parse_batch(request.body), asking)
        count("Batched", len(results))
        count("FailedInBatch", sum(isinstance(each, Problem) and each.status >= 500 for each in results))
        return batch_answer(
            [counted(each) if isinstance(each, Problem) else _told(each) for each in results], request.request_id
        )

    return _measured(decided, request)


def health(request: Request) -> Answer:
    """Whether payments are decided, and that with a model and with their history."""
    models.refresh(time.time())
    live = models.current()
    checks = {
        "model": live.serving.champion in live.models,
        "store": scorer.reachable(request.merchant_id),
        "keys": tokens.there(),
    }
    told = Health(
        status="ok" if all(checks.values()) else "degraded",
        champion=live.serving.champion,
        policy=live.serving.policy.version,
        since=started_at,
        checks={name: "ok" if well else "failed" for name, well in checks.items()},
    )
    return Answer(msgspec.json.encode(told).decode())


CALLS = {
    ("POST", "/v1/decisions"): decide,
    ("POST", "/v1/decisions/batch"): decide_batch,
    ("GET", "/v1/health"): health,
}


def _measured(call: Callable[[Asking], str], request: Request) -> Answer:
    """The answer of a call, with the time that our own code and its calls to AWS took, in ms."""
    start = time.perf_counter()
    scorer.timer.store = 0.0
    models.refresh(time.time())
    tokens.refresh(time.time())
    received_at = receipt_time(request.headers, now(), replay=settings.replay_time)
    body = call(Asking(request.merchant_id, received_at, request.correlation_id))
    total, store = time.perf_counter() - start, scorer.timer.store
    timing = f"own;dur={(total - store) * 1e3:.3f}, store;dur={store * 1e3:.3f}"
    return Answer(body, headers={"Server-Timing": timing})


def _told(outcome: Outcome) -> str:
    if not outcome.repeated:
        count(outcome.action.capitalize())
    count("Degraded", int(outcome.degraded))
    count("Repeated", int(outcome.repeated))
    if outcome.passed:
        count("PassedThrough")
    if outcome.failed_rules:
        count("RuleFailed", outcome.failed_rules)
    logger.info("decided", extra={"action": outcome.action, "repeated": outcome.repeated})
    return outcome.answer
