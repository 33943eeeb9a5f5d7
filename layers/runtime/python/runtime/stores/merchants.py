"""Merchants and their keys: a key is found by its public half, and only a hash of the other half is stored."""

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from botocore.exceptions import ClientError

from runtime import auditing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = [
    "Account",
    "AccountChangedError",
    "Credential",
    "DynamoMerchantStore",
    "MemoryMerchantStore",
    "MerchantStore",
]

type State = Literal["live", "expired", "disabled"]


@dataclass(frozen=True, slots=True)
class Credential:
    """One key of a merchant, with all that the authorizer needs, so that it makes one read.

    Attributes
    ----------
    key_id : str
        The public half of the key.
    secret_hash : str
        `runtime.keys.KeyHash` of the secret half.
    plan, usage_key : str
        The account's: the usage plan, and the API key that counts the merchant's traffic in it (empty where
        nothing counts).
    created_at, expires_at, disabled_at : int
        Milliseconds since the epoch; 0 stands for never.
    """

    key_id: str
    merchant_id: str
    secret_hash: str
    plan: str
    created_at: int
    usage_key: str = ""
    expires_at: int = 0
    disabled_at: int = 0

    def state(self, at: int) -> State:
        """What the key is at a moment; one that was disabled stays so when its time has run out too."""
        if self.disabled_at:
            return "disabled"
        return "expired" if self.expires_at and at >= self.expires_at else "live"

    def live(self, at: int) -> bool:
        """Whether the key admits its merchant at a moment."""
        return self.state(at) == "live"


@dataclass(frozen=True, slots=True)
class Account:
    """A merchant: its plan and all keys it ever had.

    Attributes
    ----------
    usage_key : str
        As in `Credential`, which holds a copy.
    created_at, changed_at, disabled_at : int
        Milliseconds since the epoch. `disabled_at` is 0 unless the whole merchant is disabled; the keys that
        were ended by that carry the same moment.
    version : int
        One more with each change; the first is 1.
    keys : tuple of Credential
        The oldest first.
    """

    merchant_id: str
    plan: str
    usage_key: str
    created_at: int
    changed_at: int
    version: int = 1
    disabled_at: int = 0
    keys: tuple[Credential, ...] = ()

    def live_keys(self, at: int) -> tuple[Credential, ...]:
        """The keys that admit the merchant at a moment."""
        return tuple(key for key in self.keys if key.live(at))


class AccountChangedError(Exception):
    """Somebody else changed the merchant at the same time; nothing was stored."""

    def __init__(self, merchant_id: str) -> None:
        super().__init__(
            f"merchant {merchant_id} was changed by somebody else at the same time: look, and try again"
        )


class MerchantStore(Protocol):
    """Merchants by id, and their keys by key id."""

    def get(self, key_id: str) -> Credential | None:
        """A key as last stored."""
        ...

    def account(self, merchant_id: str) -> Account | None:
        """A merchant with all its keys, as last stored."""
        ...

    def accounts(self) -> list[Account]:
        """All merchants, by id."""
        ...

    def save(self, account: Account, *changed: Credential, action: str = "change") -> None:
        """Store a new version of a merchant and those of its keys that differ, all of it or nothing.

        Parameters
        ----------
        action : str
            For the audit trail: what is done, in one word.

        Raises
        ------
        AccountChangedError
            If the version stored is not the one before, or a key id belongs to another merchant.
        """
        ...


class DynamoMerchantStore:
    """One table with the key key_id: an item for each key, and one for each merchant, which names its keys.

    Parameters
    ----------
    trail : AuditTrail, optional
        Without it the table is only read: `save` is refused with a `TypeError`.
    """

    def __init__(self, client: "DynamoDBClient", table: str, trail: auditing.AuditTrail | None = None) -> None:
        self._client = client
        self._table = table
        self._trail = trail

    def get(self, key_id: str) -> Credential | None:
        item = self._item(key_id)
        return _credential(item) if item else None

    def account(self, merchant_id: str) -> Account | None:
        item = self._item(_ACCOUNT + merchant_id)
        if item is None:
            return None
        found = (self.get(each["S"]) for each in item["keys"]["L"])
        return _account(item, [key for key in found if key is not None])

    def accounts(self) -> list[Account]:
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        items: list[Any] = [item for page in pages for item in page["Items"]]
        keys: dict[str, list[Credential]] = {}
        for item in items:
            if not item["key_id"]["S"].startswith(_ACCOUNT):
                keys.setdefault(item["merchant_id"]["S"], []).append(_credential(item))
        merchants = (item for item in items if item["key_id"]["S"].startswith(_ACCOUNT))
        found = (_account(item, keys.get(item["merchant_id"]["S"], [])) for item in merchants)
        return sorted(found, key=lambda each: each.merchant_id)

    def save(self, account: Account, *changed: Credential, action: str = "change") -> None:
        if self._trail is None:
            raise TypeError(f"{self._table}: opened without the audit trail, and so only to be read")
        entry = _entry(self.account(account.merchant_id), account, changed, action)
        before = {":before": {"N": str(account.version - 1)}}
        mine = {":mine": {"S": account.merchant_id}}
        puts = [
            self._put(_account_item(account), "version = :before", before)
            if account.version > 1
            else self._put(_account_item(account), "attribute_not_exists(key_id)")
        ]
        unclaimed = "attribute_not_exists(key_id) OR merchant_id = :mine"
        puts += [self._put(_credential_item(key), unclaimed, mine) for key in changed]
        try:
            self._client.transact_write_items(TransactItems=[*puts, self._trail.part(entry)])
        except ClientError as error:
            if error.response["Error"]["Code"] == "TransactionCanceledException":
                raise AccountChangedError(account.merchant_id) from error
            raise

    def _put(self, item: dict[str, Any], condition: str, values: dict[str, Any] | None = None) -> Any:
        put = {"TableName": self._table, "Item": item, "ConditionExpression": condition}
        return {"Put": put if values is None else put | {"ExpressionAttributeValues": values}}

    def _item(self, key: str) -> Any:
        # Consistent: a key that was ended a moment ago must not be let in by a copy that lags behind.
        answer = self._client.get_item(TableName=self._table, Key={"key_id": {"S": key}}, ConsistentRead=True)
        return answer.get("Item")


class MemoryMerchantStore:
    """The same, in this process."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._keys: dict[str, Credential] = {}
        self._lock = threading.Lock()
        self.trail = auditing.MemoryTrail()

    def get(self, key_id: str) -> Credential | None:
        return self._keys.get(key_id)

    def account(self, merchant_id: str) -> Account | None:
        stored = self._accounts.get(merchant_id)
        return stored and replace(stored, keys=tuple(self._keys[key.key_id] for key in stored.keys))

    def accounts(self) -> list[Account]:
        found = (self.account(merchant_id) for merchant_id in sorted(self._accounts))
        return [account for account in found if account is not None]

    def save(self, account: Account, *changed: Credential, action: str = "change") -> None:
        entry = _entry(self.account(account.merchant_id), account, changed, action)
        with self._lock:
            stored = self._accounts.get(account.merchant_id)
            owners = {self._keys[key.key_id].merchant_id for key in changed if key.key_id in self._keys}
            if (stored.version if stored else 0) != account.version - 1 or owners - {account.merchant_id}:
                raise AccountChangedError(account.merchant_id)
            self._keys |= {key.key_id: key for key in changed}
            self._accounts[account.merchant_id] = account
            self.trail.record(entry)


def _entry(before: Account | None, after: Account, changed: tuple[Credential, ...], action: str) -> auditing.Entry:
    """What the audit trail says of a change: nothing of it opens anything."""
    return auditing.Entry(
        at=after.changed_at,
        who="operator",  # Nobody else does; the trail knows which.
        kind="merchant",
        subject=auditing.merchant(after.merchant_id),
        action=action,
        of=" ".join(key.key_id for key in changed),
        before=None if before is None else _told(before),
        after=_told(after),
    )


def _told(account: Account) -> dict[str, Any]:
    keys = {
        key.key_id: {name: getattr(key, name) for name in ("plan", *_TIMES) if getattr(key, name)}
        for key in account.keys
    }
    return {"plan": account.plan, "disabled_at": account.disabled_at, "version": account.version, "keys": keys}


# No key id begins like this, so that no key can name such an item.
_ACCOUNT = "merchant#"
_TEXTS = ("key_id", "merchant_id", "secret_hash", "plan", "usage_key")
_TIMES = ("created_at", "expires_at", "disabled_at")


def _credential_item(key: Credential) -> dict[str, Any]:
    texts = {name: {"S": getattr(key, name)} for name in _TEXTS}
    return texts | {name: {"N": str(getattr(key, name))} for name in _TIMES}


def _credential(item: Any) -> Credential:
    texts: dict[str, Any] = {name: item[name]["S"] for name in _TEXTS}
    times: dict[str, Any] = {name: int(item[name]["N"]) for name in _TIMES}
    return Credential(**texts, **times)


_ACCOUNT_TEXTS = ("merchant_id", "plan", "usage_key")
_ACCOUNT_NUMBERS = ("created_at", "changed_at", "disabled_at", "version")


def _account_item(account: Account) -> dict[str, Any]:
    texts = {name: {"S": getattr(account, name)} for name in _ACCOUNT_TEXTS}
    numbers = {name: {"N": str(getattr(account, name))} for name in _ACCOUNT_NUMBERS}
    keys = {"L": [{"S": key.key_id} for key in account.keys]}
    return {"key_id": {"S": _ACCOUNT + account.merchant_id}, **texts, **numbers, "keys": keys}


def _account(item: Any, keys: list[Credential]) -> Account:
    texts: dict[str, Any] = {name: item[name]["S"] for name in _ACCOUNT_TEXTS}
    numbers: dict[str, Any] = {name: int(item[name]["N"]) for name in _ACCOUNT_NUMBERS}
    return Account(**texts, **numbers, keys=tuple(sorted(keys, key=lambda key: (key.created_at, key.key_id))))
