"""GET and PUT of /v1/rules, /v1/lists and /v1/policy: what a merchant sets, versioned."""

import time
from dataclasses import dataclass
from typing import Any

from fraud.features import STANDARD
from fraud.policy import Policy
from fraud.tokens import Tokeniser
from runtime import clients
from runtime.configuration import Profile, current
from runtime.http import answered
from runtime.keyring import read_keyring
from runtime.settings import load
from runtime.stores.settings import DynamoSettingsStore
from runtime.telemetry import count, instrumented, logger

from .kept import Kept
from .lists import ListCalls
from .policy import PolicyCalls
from .routes import routes
from .rules import RuleCalls


@dataclass(frozen=True)
class Settings(Profile):
    settings_table: str
    token_secret: str


def now() -> int:
    """Wall-clock milliseconds."""
    return time.time_ns() // 1_000_000


def default_policy() -> Policy:
    """The platform's policy, read afresh."""
    return current(clients.appconfigdata(), settings).policy


def tokeniser() -> Tokeniser:
    """What turns identifiers into tokens, its keys read afresh."""
    return Tokeniser(read_keyring(clients.secretsmanager(), settings.token_secret))


# Seconds. A process that slept finds by the wall clock that what it knows is old.
KEPT = 60.0

settings = load(Settings)
store = DynamoSettingsStore(clients.dynamodb(), settings.settings_table)
CALLS = routes(
    RuleCalls(store, STANDARD, now),
    PolicyCalls(store, Kept(default_policy, KEPT, time.time), now),
    ListCalls(store, Kept(tokeniser, KEPT, time.time), now),
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
