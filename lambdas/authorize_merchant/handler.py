"""Who calls: a merchant's secret key becomes a merchant id, or nothing."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from runtime import clients
from runtime.keys import KeyHash, authenticate
from runtime.settings import load
from runtime.stores.merchants import Credential, DynamoMerchantStore, MerchantStore
from runtime.telemetry import count, instrumented, logger


@dataclass(frozen=True)
class Settings:
    merchants_table: str
    key_secret: str


settings = load(Settings)
store: MerchantStore = DynamoMerchantStore(clients.dynamodb(), settings.merchants_table)
secrets = clients.secretsmanager()


@cache
def hashed() -> KeyHash:
    """What hashes keys; its secret is read when it is first needed, where a failure is told, and tried again."""
    return KeyHash(secrets.get_secret_value(SecretId=settings.key_secret)["SecretString"].encode())


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway with a policy for every path of the API, which it may cache."""
    del context
    try:
        credential = caller(event)
    except Exception as error:
        # To Lambda a wrong key is an error too, so that its own count tells nothing.
        count("AuthorizerFailed")
        logger.error("key not checked: %s", type(error).__name__)
        raise
    if credential is None:
        # API Gateway turns exactly this message into a 401.
        raise Exception("Unauthorized")
    return allow(credential, event["methodArn"])


def caller(event: dict[str, Any]) -> Credential | None:
    """Whose key the request has; None if it has no key that is live."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return authenticate(key.strip(" "), store, hashed(), at=now()) if scheme.lower() == "bearer" else None


def allow(credential: Credential, method_arn: str) -> dict[str, Any]:
    """A policy that admits the merchant to the whole API, since the answer is cached for every path."""
    api, stage = method_arn.split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*/*"}
    policy: dict[str, Any] = {
        "principalId": credential.merchant_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {
            "merchant_id": credential.merchant_id,
            "key_id": credential.key_id,
            "plan": credential.plan,
        },
    }
    if credential.usage_key:
        policy["usageIdentifierKey"] = credential.usage_key
    return policy


def now() -> int:
    """Wall-clock milliseconds."""
    return time.time_ns() // 1_000_000
