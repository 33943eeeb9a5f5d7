"""Who calls: a merchant's secret key becomes a merchant id, or nothing."""

from dataclasses import dataclass
from typing import Any

from runtime import clients
from runtime.settings import load
from runtime.stores.merchants import Credential, DynamoMerchantStore, MerchantStore, parse_key

# Keys have 59 characters. DynamoDB answers a key past 2,048 bytes with an error, which would make a 500 of a 401.
LONGEST = 256


@dataclass(frozen=True)
class Settings:
    merchants_table: str


settings = load(Settings)
store: MerchantStore = DynamoMerchantStore(clients.dynamodb(), settings.merchants_table)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway with a policy for every path of the API, which it may cache."""
    del context
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    credential = authenticate(headers.get("authorization", ""), store)
    if credential is None:
        # API Gateway turns exactly this message into a 401.
        raise Exception("Unauthorized")
    return allow(credential, event["methodArn"])


def authenticate(authorization: str, merchants: MerchantStore) -> Credential | None:
    """The credential of an ``Authorization: Bearer pw_...`` header; None if there is none that admits it."""
    scheme, _, key = authorization.partition(" ")
    halves = parse_key(key.strip()) if scheme.lower() == "bearer" else None
    if halves is None or len(key) > LONGEST:
        return None
    key_id, secret = halves
    credential = merchants.get(key_id)
    return credential if credential is not None and credential.admits(secret) else None


def allow(credential: Credential, method_arn: str) -> dict[str, Any]:
    """A policy that admits the merchant to the whole API, since the answer is cached for every path."""
    api, stage = method_arn.split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*/*"}
    policy: dict[str, Any] = {
        "principalId": credential.merchant_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"merchant_id": credential.merchant_id, "key_id": credential.key_id},
    }
    if credential.usage_key:
        policy["usageIdentifierKey"] = credential.usage_key
    return policy
