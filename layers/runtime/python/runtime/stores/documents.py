"""What merchants set, as items of the settings table: their keys, and what serving reads back from them.

====================== ========================= ==============================================================
id                     part                      holds
====================== ========================= ==============================================================
``merchant#M``         ``rules``                 the current document; the same for ``lists`` and ``policy``
``merchant#M``         ``rules#000000000012``    version 12 of it, written once
``list#M#KEY``         ``entry#VALUE``           an entry of a list, with who added it and why
``listed#M#FIELD#V``   ``-``                     the lists that hold a value, each with the end of its entry
====================== ========================= ==============================================================

KEY is `fraud.lists.ListDefinition.key`. What a removed list leaves under its own is never asked for again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from fraud.lists import StoredLists
from fraud.policy import Policy
from fraud.rules import StoredRules
from runtime.stores.transactions import ConflictError

__all__ = [
    "NAMES",
    "Change",
    "Documents",
    "Entry",
    "ItemKey",
    "MovedError",
    "SettingsError",
    "StoredPolicy",
    "decoded",
    "document_keys",
    "entry_key",
    "listed_key",
    "parse_documents",
    "parse_listed",
    "version_key",
]

type ItemKey = tuple[str, str]
"""The partition key and the sort key of an item, ``id`` and ``part``."""


class SettingsError(RuntimeError):
    """A stored document cannot be read; the message says whose and which, and never what is in it."""


class MovedError(ConflictError):
    """Someone else changed it first: read it again, and change what is there by now."""


class StoredPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A merchant's policy: one version of it.

    Attributes
    ----------
    policy : Policy or None
        None where the merchant went back to the platform's own.
    changed_at : int
        Milliseconds since the epoch, UTC.
    changed_by : str
        Who changed it, such as ``key:k1`` or ``operator:jane``.
    """

    version: int
    policy: Policy | None
    changed_at: int
    changed_by: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a list.

    Attributes
    ----------
    value : str
        A token where the list's field identifies people.
    expires_at : int
        Milliseconds since the epoch, UTC, from which on it no longer counts; 0 if it always does.
    added_at : int
        Milliseconds since the epoch, UTC.
    added_by : str
        Who added it, such as ``key:k1`` or ``operator:jane``.
    """

    value: str
    added_at: int
    added_by: str
    expires_at: int = 0
    note: str = ""

    def counts(self, now: int) -> bool:
        """Whether it has not expired at `now`, in ms."""
        return not self.expires_at or self.expires_at > now


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed a document when, in ms since the epoch, and to which version."""

    version: int
    changed_at: int
    changed_by: str


@dataclass(frozen=True, slots=True)
class Documents:
    """A merchant's current documents; None for what it never set.

    Attributes
    ----------
    policy : Policy or None
        None too where the merchant went back to the platform's own.
    """

    rules: StoredRules | None = None
    lists: StoredLists | None = None
    policy: Policy | None = None


NAMES: Mapping[type[Any], Literal["rules", "lists", "policy"]] = {
    StoredRules: "rules",
    StoredLists: "lists",
    StoredPolicy: "policy",
}
"""Of the documents, by their type."""


def document_keys(merchant_id: str) -> tuple[ItemKey, ...]:
    """Where a merchant's current documents are."""
    return tuple((f"merchant#{merchant_id}", name) for name in NAMES.values())


def version_key(merchant_id: str, name: str, version: int) -> ItemKey:
    """Where a version of a document is; keys sort like versions."""
    return f"merchant#{merchant_id}", f"{name}#{version:012d}"


def entry_key(merchant_id: str, list_key: str, value: str) -> ItemKey:
    """Where an entry of a list is."""
    return f"list#{merchant_id}#{list_key}", f"entry#{value}"


def listed_key(merchant_id: str, field: str, value: str) -> ItemKey:
    """Where it says which lists of a merchant hold a value of a field."""
    return f"listed#{merchant_id}#{field}#{value}", "-"


def parse_documents(merchant_id: str, items: Iterable[Any]) -> Documents:
    """A merchant's documents from items of the table; other items among them are passed over.

    Raises
    ------
    SettingsError
        If a document cannot be read.
    """
    parts = {item["part"]["S"]: item for item in items if item["id"]["S"] == f"merchant#{merchant_id}"}

    def found[T: StoredRules | StoredLists | StoredPolicy](kind: type[T]) -> T | None:
        item = parts.get(NAMES[kind])
        return None if item is None else decoded(item, kind)

    own = found(StoredPolicy)
    return Documents(found(StoredRules), found(StoredLists), None if own is None else own.policy)


def parse_listed(items: Iterable[Any]) -> dict[str, dict[str, int]]:
    """Which lists the looked-up values are on; other items are passed over.

    Returns
    -------
    dict of field to dict of list's key to int
        When the entry ends, in ms since the epoch; 0 if it never does. Ended ones may be among them.
    """
    found: dict[str, dict[str, int]] = {}
    for item in items:
        kind, _, rest = item["id"]["S"].partition("#")
        if kind == "listed":
            _merchant, field, _value = rest.split("#", 2)
            held = found.setdefault(field, {})
            for name, end in item["lists"]["M"].items():
                # While the keys of tokens overlap, a value may be there under both: the longer entry counts.
                ends = (int(end["N"]), held.get(name, int(end["N"])))
                held[name] = max(ends) if all(ends) else 0
    return found


def decoded[T: StoredRules | StoredLists | StoredPolicy](item: Any, kind: type[T]) -> T:
    """The document that an item holds.

    Raises
    ------
    SettingsError
        If it is none of its kind.
    """
    try:
        return msgspec.json.decode(item["document"]["S"], type=kind)
    except (msgspec.MsgspecError, KeyError) as error:
        place = f"{item['id']['S']}, {item['part']['S']}"
        raise SettingsError(f"settings of {place}: no {NAMES[kind]} that this version can read") from error
