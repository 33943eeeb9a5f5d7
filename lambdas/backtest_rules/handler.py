"""POST /v1/rules/backtest: what other rules or another policy would have done over past decisions."""

import time
from dataclasses import dataclass
from typing import Any

from fraud.features import STANDARD
from fraud.policy import Policy
from runtime import clients
from runtime.athena import Athena, QueryError
from runtime.configuration import Profile, current
from runtime.http import UNREACHABLE, Answer, Request, answered, unavailable
from runtime.settings import load
from runtime.stores.settings import DynamoSettingsStore
from runtime.telemetry import count, instrumented, logger

from .trying import Trial

PATIENCE = 24.0
"""Seconds of the 29 that API Gateway waits; the rest is for judging the last decisions and for the way back."""


@dataclass(frozen=True)
class Settings(Profile):
    settings_table: str
    athena_workgroup: str
    glue_database: str
    replay_time: bool


def default_policy() -> Policy:
    """The platform's policy, read afresh."""
    return current(clients.appconfigdata(), settings).policy


settings = load(Settings)
trial = Trial(
    store=DynamoSettingsStore(clients.dynamodb(), settings.settings_table),
    lake=Athena(clients.athena(), settings.athena_workgroup, settings.glue_database),
    features=STANDARD,
    default=default_policy,
    clock=lambda: time.time_ns() // 1_000_000,
    patience=PATIENCE,
    replays=settings.replay_time,
    unread=lambda: count("UnreadableDecisions"),
)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway."""
    del context
    return answered(event, {("POST", "/v1/rules/backtest"): serve})


def serve(request: Request) -> Answer:
    """Try a draft."""
    try:
        told = trial.ask(request)
    except (*UNREACHABLE, QueryError) as error:
        logger.error("no backtest: %s", error)
        raise unavailable() from error
    count("Backtests")
    return told
