"""GET and PUT of /v1/rules, /v1/lists and /v1/policy: what a merchant sets, versioned."""

import time
from dataclasses import dataclass
from typing import Any

from fraud.features import STANDARD
from fraud.policy import Policy
from runtime import clients
from runtime.auditing import AuditTrail
from runtime.configuration import Profile, current
from runtime.http import answered
from runtime.keyring import KeyringReader
from runtime.settings import load
from runtime.stores.settings import DynamoSettingsStore
from runtime.telemetry import correlation_id, count, instrumented, logger

from .kept import Kept
from .lists import ListCalls
from .policy import PolicyCalls
from .routes import routes
from .rules import RuleCalls


@dataclass(frozen=True)
class Settings(Profile):
    settings_table: str
    audit_table: str
    token_secret: str
    token_keys_bucket: str
    token_refresh_seconds: int


def now() -> int:
    """Wall-clock milliseconds."""
    return time.time_ns() // 1_000_000


def default_policy() -> Policy:
    """The platform's policy, read afresh."""
    return current(clients.appconfigdata(), settings).policy


# Seconds. A process that slept finds by the wall clock that what it knows is old.
KEPT = 60.0

settings = load(Settings)
dynamodb = clients.dynamodb()
trail = AuditTrail(dynamodb, settings.audit_table, correlation_id=correlation_id)
store = DynamoSettingsStore(dynamodb, settings.settings_table, trail)
keys = KeyringReader(clients.secretsmanager(), settings.token_secret, clients.s3(), settings.token_keys_bucket)
CALLS = routes(
    RuleCalls(store, STANDARD, now),
    PolicyCalls(store, Kept(default_policy, KEPT, time.time), now),
    ListCalls(store, Kept(keys.read, settings.token_refresh_seconds, time.time), now),
)


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway."""
    del context
    given = answered(event, CALLS)
    changed = event["httpMethod"] != "GET" and given["statusCode"] == 200
    count("SettingsChanged", int(changed))
    if changed:
        logger.info("settings changed", extra={"call": f"{event['httpMethod']} {event['resource']}"})
    return given
