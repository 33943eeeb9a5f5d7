"""Onboarding merchants: a key is made, shown once and stored as a hash."""

import re
import secrets
from dataclasses import dataclass, replace

import msgspec

from ops.deployment import Deployment, DeploymentError
from ops.inputs import Row
from runtime.stores.merchants import PREFIX, Credential, parse_key, secret_hash

__all__ = ["MerchantIdError", "NewKey", "add", "as_merchant", "merchant_of"]


class MerchantIdError(ValueError):
    """A name that no merchant can have."""


@dataclass(frozen=True)
class NewKey:
    """A merchant's new key; `secret` is the whole of it and cannot be had again."""

    merchant_id: str
    key_id: str
    secret: str


def add(deployment: Deployment, merchant_id: str) -> NewKey:
    """Make a key for a merchant; a merchant may have several, so that keys can be rotated.

    Where the API counts traffic by merchant, an API key in its usage plan is made too.

    Raises
    ------
    MerchantIdError
        If the id is not 1 to 64 of the characters that ids may have; nothing was made.
    """
    # The id is the first part of every event's id, up to a slash.
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", merchant_id):
        raise MerchantIdError(
            f"{merchant_id!r} is no merchant id: use 1 to 64 letters, digits, '-', '_', '.', ':'"
        )
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


def merchant_of(deployment: Deployment, key: str) -> str:
    """The merchant that a key belongs to.

    Raises
    ------
    DeploymentError
        If it is no active key of this deployment.
    """
    halves = parse_key(key)
    credential = deployment.merchants().get(halves[0]) if halves else None
    if halves is None or credential is None or not credential.admits(halves[1]):
        raise DeploymentError("the key is none of this deployment's; make one with `paywarden merchants add`")
    return credential.merchant_id


def as_merchant(row: Row, merchant_id: str) -> Row:
    """A row as if the payment had been this merchant's."""
    return replace(row, transaction=msgspec.structs.replace(row.transaction, merchant_id=merchant_id))


def _usage_key(deployment: Deployment, merchant_id: str, key_id: str) -> str:
    if not deployment.environment.capabilities.usage_plan_by_authorizer:
        return ""
    client = deployment.client("apigateway")
    # Not the merchant's secret: the authorizer names it to API Gateway, which only counts by it.
    value = secrets.token_urlsafe(32)
    created = client.create_api_key(name=f"{merchant_id}-{key_id}", value=value, enabled=True)
    client.create_usage_plan_key(usagePlanId=deployment["UsagePlan"], keyId=created["id"], keyType="API_KEY")
    return value
