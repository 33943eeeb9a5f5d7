"""Merchants' keys: shown once, stored as a hash, found by their public half."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["Credential", "DynamoMerchantStore", "MemoryMerchantStore", "MerchantStore", "parse_key", "secret_hash"]

PREFIX = "pw"


@dataclass(frozen=True, slots=True)
class Credential:
    """One key of a merchant, as stored.

    Attributes
    ----------
    key_id : str
        The public half of the key.
    secret_hash : str
        SHA-256 of the secret half, in hexadecimal: the secret is 256 random bits, so that a slow hash
        would add cost and no safety.
    usage_key : str
        The API key that counts this merchant's traffic in a usage plan; empty where there is none.
    """

    key_id: str
    merchant_id: str
    secret_hash: str
    active: bool
    usage_key: str = ""

    def admits(self, secret: str) -> bool:
        """Whether a secret is this key's and the key is active; takes the same time for every secret."""
        return hmac.compare_digest(secret_hash(secret), self.secret_hash) and self.active


def secret_hash(secret: str) -> str:
    """How a secret is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_key(key: str) -> tuple[str, str] | None:
    """The public and the secret half of ``pw_<id>_<secret>``; None if it is no such key."""
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    return (key_id, secret) if prefix == PREFIX and key_id and secret else None


class MerchantStore(Protocol):
    """Credentials by key id."""

    def get(self, key_id: str) -> Credential | None: ...

    def add(self, credential: Credential) -> None:
        """Store a new credential; a key id is never reused, so an existing one is a `ValueError`."""
        ...

    def all(self) -> list[Credential]: ...


class DynamoMerchantStore:
    """One table with the key key_id."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def get(self, key_id: str) -> Credential | None:
        answer = self._client.get_item(TableName=self._table, Key={"key_id": {"S": key_id}})
        return _credential(answer["Item"]) if "Item" in answer else None

    def add(self, credential: Credential) -> None:
        item: dict[str, Any] = {
            "key_id": {"S": credential.key_id},
            "merchant_id": {"S": credential.merchant_id},
            "secret_hash": {"S": credential.secret_hash},
            "active": {"BOOL": credential.active},
            "usage_key": {"S": credential.usage_key},
        }
        try:
            self._client.put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(key_id)"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise ValueError(f"key id {credential.key_id} exists already") from error
            raise

    def all(self) -> list[Credential]:
        pages = self._client.get_paginator("scan").paginate(TableName=self._table)
        return [_credential(item) for page in pages for item in page["Items"]]


class MemoryMerchantStore:
    """The same, in this process."""

    def __init__(self) -> None:
        self._credentials: dict[str, Credential] = {}

    def get(self, key_id: str) -> Credential | None:
        return self._credentials.get(key_id)

    def add(self, credential: Credential) -> None:
        if credential.key_id in self._credentials:
            raise ValueError(f"key id {credential.key_id} exists already")
        self._credentials[credential.key_id] = credential

    def all(self) -> list[Credential]:
        return list(self._credentials.values())


def _credential(item: Any) -> Credential:
    return Credential(
        key_id=item["key_id"]["S"],
        merchant_id=item["merchant_id"]["S"],
        secret_hash=item["secret_hash"]["S"],
        active=item["active"]["BOOL"],
        usage_key=item["usage_key"]["S"],
    )
