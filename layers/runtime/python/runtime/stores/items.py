"""Items of a table with the keys id and part: read by key or in order, written together or not at all."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from runtime.auditing import AuditTrail, Entry, MemoryTrail
from runtime.stores.batches import ThrottledError, batch_get, is_throttling
from runtime.stores.documents import ItemKey
from runtime.stores.transactions import ConflictError, transact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["DynamoItems", "Item", "Items", "MemoryItems", "Write"]

type Item = Mapping[str, Any]
"""As DynamoDB writes it, such as ``{"id": {"S": "a"}, "part": {"S": "-"}}``."""


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one item.

    Attributes
    ----------
    item : mapping or None
        Without its key; None deletes it.
    guard : str
        The attribute that must still be as it is in `before`; empty if the change is made in any case.
    before : mapping or None
        The item as it was read; None if there was none, which then must still be so.
    """

    key: ItemKey
    item: Item | None
    guard: str = ""
    before: Item | None = None


class Items(Protocol):
    """The few things that a store of settings asks of its table."""

    def get(self, keys: Iterable[ItemKey]) -> dict[ItemKey, Item]:
        """Those items that exist, as last written."""
        ...

    def page(self, id_: str, low: str, high: str, *, limit: int, backwards: bool = False) -> list[Item]:
        """Up to `limit` items of an id whose part is from `low` to `high`, both included, in order of it."""
        ...

    def write(self, writes: Sequence[Write], *entries: Entry) -> None:
        """Make all changes with what the audit trail says of them or, with a `ConflictError`, none of it."""
        ...


class DynamoItems:
    """One table of DynamoDB, read consistently.

    Parameters
    ----------
    trail : AuditTrail, optional
        Without it the table is only read: changes that have to be told to it are refused with a `TypeError`.
    """

    def __init__(self, client: "DynamoDBClient", table: str, trail: AuditTrail | None = None) -> None:
        self._client = client
        self._table = table
        self._trail = trail

    def get(self, keys: Iterable[ItemKey]) -> dict[ItemKey, Item]:
        wanted = {"Keys": [_key(key) for key in keys], "ConsistentRead": True}
        return {_named(item): item for item in batch_get(self._client, {self._table: wanted})[self._table]}

    def page(self, id_: str, low: str, high: str, *, limit: int, backwards: bool = False) -> list[Item]:
        values: Any = {":id": {"S": id_}, ":low": {"S": low}, ":high": {"S": high}}
        # One answer holds at most 1 MB, so that a page may need several.
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="id = :id AND part BETWEEN :low AND :high",
            ExpressionAttributeValues=values,
            ScanIndexForward=not backwards,
            ConsistentRead=True,
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
        )
        try:
            return [item for page in pages for item in page["Items"]]
        except ClientError as error:
            if is_throttling(error):
                raise ThrottledError(f"{self._table}: reads are throttled ({error})") from error
            raise

    def write(self, writes: Sequence[Write], *entries: Entry) -> None:
        if entries and self._trail is None:
            raise TypeError(f"{self._table}: opened without the audit trail, and so only to be read")
        told = [self._trail.part(each) for each in entries] if self._trail is not None else []
        transact(self._client, [*(self._request(each) for each in writes), *told])

    def _request(self, write: Write) -> dict[str, Any]:
        request: dict[str, Any] = {"TableName": self._table}
        if write.guard and write.before is None:
            request["ConditionExpression"] = "attribute_not_exists(id)"
        elif write.guard and write.before is not None:
            request["ConditionExpression"] = "#guard = :before"
            request["ExpressionAttributeNames"] = {"#guard": write.guard}
            request["ExpressionAttributeValues"] = {":before": write.before[write.guard]}
        if write.item is None:
            return {"Delete": {**request, "Key": _key(write.key)}}
        return {"Put": {**request, "Item": {**_key(write.key), **write.item}}}


class MemoryItems:
    """The same, in this process."""

    def __init__(self) -> None:
        self._items: dict[ItemKey, Item] = {}
        self._lock = threading.Lock()
        self.trail = MemoryTrail()

    def get(self, keys: Iterable[ItemKey]) -> dict[ItemKey, Item]:
        with self._lock:
            return {key: self._items[key] for key in keys if key in self._items}

    def page(self, id_: str, low: str, high: str, *, limit: int, backwards: bool = False) -> list[Item]:
        with self._lock:
            parts = sorted((part for held, part in self._items if held == id_), reverse=backwards)
            return [self._items[id_, part] for part in parts if low <= part <= high][:limit]

    def write(self, writes: Sequence[Write], *entries: Entry) -> None:
        with self._lock:
            for each in writes:
                if each.guard and not _same(self._items.get(each.key), each.before, each.guard):
                    raise ConflictError(f"item {each.key[1]} moved")
            for each in writes:
                if each.item is None:
                    self._items.pop(each.key, None)
                else:
                    self._items[each.key] = {**_key(each.key), **each.item}
            for entry in entries:
                self.trail.record(entry)


def _key(key: ItemKey) -> dict[str, dict[str, str]]:
    return {"id": {"S": key[0]}, "part": {"S": key[1]}}


def _named(item: Item) -> ItemKey:
    return item["id"]["S"], item["part"]["S"]


def _same(there: Item | None, before: Item | None, guard: str) -> bool:
    if there is None or before is None:
        return there is None and before is None
    return bool(there[guard] == before[guard])
