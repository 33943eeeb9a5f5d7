"""The entries of merchants' lists, and for each value the lists that hold it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

import msgspec

from runtime import auditing
from runtime.stores.documents import Entry, MovedError, entry_key, listed_key
from runtime.stores.items import Item, Items, Write
from runtime.stores.transactions import ConflictError

__all__ = ["MOST_ENTRIES", "Changed", "EntryStore"]

MOST_ENTRIES = 50
"""Entries that one call adds or removes."""

_AT_ONCE = 49
"""Entries of one transaction, which carries 100 items: two for each, and what the audit trail says of them."""

_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Changed:
    """The values that a call added or gave another end or note, and those that it removed."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()


class EntryStore:
    """Entries by merchant and list, and lists by value; `runtime.stores.settings` adds the documents."""

    def __init__(self, items: Items) -> None:
        self._items = items

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
