"""Onboarding merchants: a key is made, shown once and stored as a hash."""

import secrets
from dataclasses import dataclass

from ops.deployment import Deployment
from runtime.stores.merchants import PREFIX, Credential, secret_hash

__all__ = ["NewKey", "add"]


@dataclass(frozen=True)
class NewKey:
    """A merchant's new key; `secret` is the whole of it and cannot be had again."""

    merchant_id: str
    key_id: str
    secret: str


def add(deployment: Deployment, merchant_id: str) -> NewKey:
    """Make a key for a merchant; a merchant may have several, so that keys can be rotated.

    Where the API counts traffic by merchant, an API key in its usage plan is made too.
    """
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    usage_key = _usage_key(deployment, merchant_id, key_id)
    deployment.merchants().add(
        Credential(
            key_id=key_id,
            merchant_id=merchant_id,
            secret_hash=secret_hash(secret),
            active=True,
            usage_key=usage_key,
        )
    )
    return NewKey(merchant_id, key_id, f"{PREFIX}_{key_id}_{secret}")


def _usage_key(deployment: Deployment, merchant_id: str, key_id: str) -> str:
    if not deployment.environment.capabilities.usage_plan_by_authorizer:
        return ""
    client = deployment.client("apigateway")
    # Not the merchant's secret: the authorizer names it to API Gateway, which only counts by it.
    value = secrets.token_urlsafe(32)
    created = client.create_api_key(name=f"{merchant_id}-{key_id}", value=value, enabled=True)
    client.create_usage_plan_key(usagePlanId=deployment["UsagePlan"], keyId=created["id"], keyType="API_KEY")
    return value
