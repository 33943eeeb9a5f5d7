"""What merchants set: documents of which every version is kept, and the entries of their lists."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from fraud.lists import StoredLists
from fraud.rules import StoredRules
from runtime import auditing
from runtime.stores.documents import NAMES, Change, ItemKey, MovedError, StoredPolicy, decoded, version_key
from runtime.stores.entries import EntryStore
from runtime.stores.items import DynamoItems, MemoryItems, Write
from runtime.stores.transactions import ConflictError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["LARGEST_DOCUMENT", "DynamoSettingsStore", "MemorySettingsStore", "SettingsStore", "TooLargeError"]

LARGEST_DOCUMENT = 200_000
"""Bytes of a document: decisions read it, and DynamoDB holds no item of more than 400 kB."""

_LAST_VERSION = 10**12 - 1


class TooLargeError(ValueError):
    """A document has more bytes than one may have."""


class SettingsStore(EntryStore):
    """Settings by merchant; `DynamoSettingsStore` and `MemorySettingsStore` say where they are."""

    def get[T: StoredRules | StoredLists | StoredPolicy](
        self, merchant_id: str, kind: type[T], version: int | None = None
    ) -> T | None:
        """A merchant's document, the current one unless a version is named; None if there is none.

        Raises
        ------
        SettingsError
            If it cannot be read.
        """
        name = NAMES[kind]
        current = (f"merchant#{merchant_id}", name)
        key = current if version is None else version_key(merchant_id, name, version)
        item = self._items.get([key]).get(key)
        return None if item is None else decoded(item, kind)

    def versions(
        self,
        merchant_id: str,
        kind: type[StoredRules | StoredLists | StoredPolicy],
        *,
        limit: int,
        before: int | None = None,
    ) -> list[Change]:
        """The last changes of a document, the newest first; only those before a version, if one is named."""
        name = NAMES[kind]
        id_, low = version_key(merchant_id, name, 0)
        high = version_key(merchant_id, name, _LAST_VERSION if before is None else max(before - 1, 0))[1]
        return [
            Change(int(item["version"]["N"]), int(item["changed_at"]["N"]), item["changed_by"]["S"])
            for item in self._items.page(id_, low, high, limit=limit, backwards=True)
        ]

    def put[T: StoredRules | StoredLists | StoredPolicy](self, merchant_id: str, document: T) -> T:
        """Make a document the current one, in the place of the version before its own.

        What says the same as the current one makes no new version.

        Returns
        -------
        document
            The one that is current now.

        Raises
        ------
        MovedError
            If the current one is not the version before this one's; nothing was changed.
        TooLargeError
            If it has more than `LARGEST_DOCUMENT` bytes.
        """
        kind = type(document)
        name = NAMES[kind]
        current = self.get(merchant_id, kind)
        version = current.version if current is not None else 0
        if document.version != version + 1:
            raise MovedError(f"{name}: version {version} is current by now; read it, and change that one")
        if current is not None and current == msgspec.structs.replace(
            document, version=version, changed_at=current.changed_at, changed_by=current.changed_by
        ):
            return current
        content = msgspec.json.encode(document)
        if len(content) > LARGEST_DOCUMENT:
            raise TooLargeError(f"{name}: more than {LARGEST_DOCUMENT} bytes when stored; leave some of it out")
        item = {
            "version": {"N": str(document.version)},
            "changed_at": {"N": str(document.changed_at)},
            "changed_by": {"S": document.changed_by},
            "document": {"S": content.decode()},
        }
        entry = auditing.Entry(
            at=document.changed_at,
            who=document.changed_by,
            kind=name,
            subject=auditing.merchant(merchant_id),
            action="put",
            before=auditing.state(current),
            after=auditing.state(document),
        )
        before = {"version": {"N": str(version)}} if version else None
        history = Write(version_key(merchant_id, name, document.version), item, guard="version")
        try:
            self._items.write([Write((f"merchant#{merchant_id}", name), item, "version", before), history], entry)
        except ConflictError as error:
            raise MovedError(f"{name}: changed by someone else just now; read it, and change that one") from error
        return document


class DynamoSettingsStore(SettingsStore):
    """In a table of DynamoDB with the keys id and part, whose items are deleted after ``expires_at``."""

    def __init__(self, client: "DynamoDBClient", table: str, trail: auditing.AuditTrail | None = None) -> None:
        super().__init__(DynamoItems(client, table, trail))


class MemorySettingsStore(SettingsStore):
    """In this process; what has expired stays."""

    def __init__(self) -> None:
        items = MemoryItems()
        super().__init__(items)
        self.trail = items.trail

    def items(self, keys: Iterable[ItemKey]) -> list[Any]:
        """Items as DynamoDB writes them, for what reads the table by itself."""
        return list(self._items.get(keys).values())
