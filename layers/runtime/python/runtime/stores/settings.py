"""What merchants set: documents of which every version is kept, and the entries of their lists."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any

import msgspec

from fraud.lists import StoredLists
from fraud.rules import StoredRules
from runtime import auditing
from runtime.stores.documents import (
    NAMES,
    Change,
    Documents,
    Entry,
    ItemKey,
    SettingsError,
    StoredPolicy,
    decoded,
    document_keys,
    entry_key,
    listed_key,
    parse_documents,
    parse_listed,
    version_key,
)
from runtime.stores.items import DynamoItems, Item, Items, MemoryItems, Write
from runtime.stores.transactions import ConflictError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = [
    "LARGEST_DOCUMENT",
    "MOST_ENTRIES",
    "Change",
    "Changed",
    "Documents",
    "DynamoSettingsStore",
    "Entry",
    "ItemKey",
    "MemorySettingsStore",
    "MovedError",
    "SettingsError",
    "SettingsStore",
    "StoredPolicy",
    "TooLargeError",
    "document_keys",
    "listed_key",
    "parse_documents",
    "parse_listed",
]

LARGEST_DOCUMENT = 200_000
"""Bytes of a document: decisions read it, and DynamoDB holds no item of more than 400 kB."""

MOST_ENTRIES = 50
"""Entries that one call adds or removes."""

_AT_ONCE = 49
"""Entries of one transaction, which carries 100 items: two for each, and what the audit trail says of them."""

_ATTEMPTS = 4
_LAST_VERSION = 10**12 - 1


class MovedError(ConflictError):
    """Someone else changed it first: read it again, and change what is there by now."""


class TooLargeError(ValueError):
    """A document has more bytes than one may have."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The values that a call added or gave another end or note, and those that it removed."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()


class SettingsStore:
    """Settings by merchant; `DynamoSettingsStore` and `MemorySettingsStore` say where they are."""

    def __init__(self, items: Items) -> None:
        self._items = items

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

    def entries(
        self, merchant_id: str, list_key: str, *, now: int, limit: int, after: str = ""
    ) -> tuple[list[Entry], str]:
        """A page of a list's entries, in order of their values.

        Parameters
        ----------
        list_key : str
            As `ListDefinition.key` gives it.
        now : int
            Milliseconds since the epoch; entries that have expired by then are left out.
        after : str
            The value that the page before ended with.

        Returns
        -------
        tuple of list of Entry, and str
            The second is what to ask for next, empty after the last page.
        """
        if after >= "~":  # no value comes after it, and DynamoDB refuses bounds in the wrong order
            return [], ""
        id_, low = entry_key(merchant_id, list_key, after)
        # The next larger text than one is that text and a NUL; the partition holds entries only.
        items = self._items.page(id_, f"{low}\0" if after else low, "entry#~", limit=limit)
        found = [_entry(item) for item in items]
        return [each for each in found if each.counts(now)], found[-1].value if len(found) == limit else ""

    def lists_with(self, merchant_id: str, field: str, values: Iterable[str]) -> dict[str, list[str]]:
        """The keys of the lists that hold values of a field, by value: also of lists that were removed since."""
        keys = {listed_key(merchant_id, field, value): value for value in values}
        return {keys[key]: sorted(_listing(item)) for key, item in self._items.get(keys).items()}

    def change_entries(
        self,
        merchant_id: str,
        list_key: str,
        field: str,
        *,
        now: int,
        by: str,
        add: Sequence[Entry] = (),
        remove: Iterable[str] = (),
        named: bool = True,
    ) -> Changed:
        """Add entries to a list and remove others; what is as it was to be is left alone.

        Up to 49 are changed all or none; the fiftieth after them.

        Parameters
        ----------
        list_key : str
            As `ListDefinition.key` gives it.
        field : str
            Whose values the list holds.
        now : int
            Milliseconds since the epoch.
        by : str
            Who changes them, such as ``key:k1``.
        add, remove
            Up to `MOST_ENTRIES` together, every value once.
        named : bool
            Whether the audit trail is told which values they are, or only how many.

        Raises
        ------
        ValueError
            If there are too many, or a value is named twice; nothing was changed.
        MovedError
            If others went on changing the same values; doing it again changes what was not changed by then.
        """
        wanted: dict[str, Entry | None] = dict.fromkeys(remove)
        removing = len(wanted)
        wanted |= {entry.value: entry for entry in add}
        if len(wanted) < removing + len(add) or len(wanted) > MOST_ENTRIES:
            raise ValueError(f"at most {MOST_ENTRIES} entries are changed at once, each of them once")
        done = [
            self._change_together(merchant_id, list_key, field, dict(some), now=now, by=by, named=named)
            for some in batched(wanted.items(), _AT_ONCE, strict=False)
        ]
        return Changed(
            frozenset().union(*(each.added for each in done)), frozenset().union(*(each.removed for each in done))
        )

    def _change_together(
        self,
        merchant_id: str,
        list_key: str,
        field: str,
        wanted: Mapping[str, Entry | None],
        *,
        now: int,
        by: str,
        named: bool,
    ) -> Changed:
        for _ in range(_ATTEMPTS):
            writes, changed, held = self._changes(merchant_id, list_key, field, wanted, now)
            before: dict[str, Any] = {value: _told(each) for value, each in held.items()}
            after: dict[str, Any] = {value: _told(wanted[value]) for value in held}
            if not named:
                before = {"entries": sum(each is not None for each in held.values())}
                after = {"entries": sum(wanted[value] is not None for value in held)}
            entry: auditing.Entry = auditing.Entry(
                at=now,
                who=by,
                kind="entries",
                subject=auditing.merchant(merchant_id),
                of=list_key,
                action="change" if named else "erase",
                before=before,
                after=after,
            )
            try:
                if writes:
                    self._items.write(writes, entry)
            except ConflictError:
                continue
            return changed
        raise MovedError(f"list {list_key}: others change the same entries; try again")

    def _changes(
        self, merchant_id: str, list_key: str, field: str, wanted: Mapping[str, Entry | None], now: int
    ) -> tuple[list[Write], Changed, dict[str, Entry | None]]:
        """What is to be written, what that changes, and the entries of those values as they were."""
        entries = {value: entry_key(merchant_id, list_key, value) for value in wanted}
        listings = {value: listed_key(merchant_id, field, value) for value in wanted}
        there = self._items.get([*entries.values(), *listings.values()])
        writes: list[Write] = []
        moved: dict[bool, set[str]] = {True: set(), False: set()}
        before: dict[str, Entry | None] = {}
        for value, entry in wanted.items():
            held, listed = there.get(entries[value]), there.get(listings[value])
            if _same(held, entry) and _listing(listed).get(list_key) == (entry.expires_at if entry else None):
                continue
            lists = {name: end for name, end in _listing(listed).items() if not end or end > now}
            lists.pop(list_key, None)
            if entry is not None:
                lists[list_key] = entry.expires_at
            writes.append(Write(entries[value], None if entry is None else _entry_item(entry)))
            writes.append(Write(listings[value], _listed_item(lists) if lists else None, "lists", listed))
            moved[entry is not None].add(value)
            before[value] = None if held is None else _entry(held)
        return writes, Changed(frozenset(moved[True]), frozenset(moved[False])), before


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


def _same(item: Item | None, entry: Entry | None) -> bool:
    """Whether an entry is as it is to be; who added it first, and when, is kept."""
    if item is None or entry is None:
        return item is None and entry is None
    held = _entry(item)
    return (held.expires_at, held.note) == (entry.expires_at, entry.note)


def _told(entry: Entry | None) -> dict[str, Any] | None:
    """What the audit trail says of an entry: not its note, which may be of people, and must stay erasable."""
    if entry is None:
        return None
    return {name: getattr(entry, name) for name in ("added_at", "added_by", "expires_at")}


def _entry(item: Item) -> Entry:
    return msgspec.json.decode(item["document"]["S"], type=Entry)


def _listing(item: Item | None) -> dict[str, int]:
    return {} if item is None else {name: int(end["N"]) for name, end in item["lists"]["M"].items()}


def _entry_item(entry: Entry) -> Item:
    return {"document": {"S": msgspec.json.encode(entry).decode()}, **_expiry([entry.expires_at])}


def _listed_item(lists: Mapping[str, int]) -> Item:
    return {"lists": {"M": {name: {"N": str(end)} for name, end in lists.items()}}, **_expiry(lists.values())}


def _expiry(ends: Collection[int]) -> Item:
    """When DynamoDB may delete an item, in seconds: once all that it holds has expired."""
    last = [] if 0 in ends else list(ends)
    return {"expires_at": {"N": str(-(-max(last) // 1_000))}} if last else {}
