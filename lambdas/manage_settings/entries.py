"""The values of a list: added, removed, and shown."""

from collections.abc import Iterable, Sequence
from itertools import batched

from fraud.events import LATEST_TIME
from fraud.lists import ListDefinition
from runtime.http import Problem
from runtime.stores.documents import Entry, MovedError
from runtime.stores.entries import MOST_ENTRIES, Changed
from runtime.stores.settings import SettingsStore

from .documents import moment, moved
from .models import EntriesAnswer, EntriesRequest, EntryAnswer, NewEntry
from .values import Values

__all__ = ["change_entries", "changed", "entry", "told"]


def change_entries(
    store: SettingsStore,
    definition: ListDefinition,
    given: EntriesRequest,
    values: Values,
    *,
    now: int,
    changed_by: str,
) -> EntriesAnswer:
    """Add entries to a list and remove others; what was done in part is finished by doing it again.

    Parameters
    ----------
    now : int
        Milliseconds since the epoch.

    Raises
    ------
    Problem
        400 for a value that the list cannot have, 409 if others change the same values.
    """
    if len(given.add) + len(given.remove) > MOST_ENTRIES:
        detail = f"At most {MOST_ENTRIES} values are added and removed at once. Send the rest by themselves."
        raise Problem(400, "invalid-field", "Invalid field", detail, "add")
    add = {f"add[{index}].value": each.value for index, each in enumerate(given.add)}
    remove = {f"remove[{index}]": value for index, value in enumerate(given.remove)}
    stored = {place: values.stored(value, place) for place, value in add.items()}
    named = {place: values.named(value, place) for place, value in remove.items()}
    _refuse_twice({**stored, **named})
    entries = [
        entry(each, names[0], f"add[{index}].expires_at", now=now, added_by=changed_by)
        for index, (each, names) in enumerate(zip(given.add, stored.values(), strict=True))
    ]
    # What is added now must not keep its old end under the key before.
    gone = [*_flat(names[1:] for names in stored.values()), *_flat(named.values())]
    done = [changed(store, values, definition, now=now, by=changed_by, add=entries)]
    done += [
        changed(store, values, definition, now=now, by=changed_by, remove=each)
        for each in batched(gone, MOST_ENTRIES, strict=False)
    ]
    added = len(done[0].added)
    left = {name for each in done for name in each.removed}
    removed = sum(not left.isdisjoint(names) for names in named.values())
    return EntriesAnswer(added=added, removed=removed, unchanged=len(add) + len(remove) - added - removed)


def told(stored: Entry) -> EntryAnswer:
    """An entry as answers have it."""
    return EntryAnswer(
        value=stored.value,
        expires_at=moment(stored.expires_at) if stored.expires_at else None,
        note=stored.note,
        added_at=moment(stored.added_at),
        added_by=stored.added_by,
    )


def changed(
    store: SettingsStore,
    values: Values,
    definition: ListDefinition,
    *,
    now: int,
    by: str,
    add: Sequence[Entry] = (),
    remove: Sequence[str] = (),
) -> Changed:
    """One step of a change, as the store makes it.

    Raises
    ------
    Problem
        409 if others change the same values.
    """
    key, field = definition.key, definition.field
    try:
        return store.change_entries(values.merchant_id, key, field, now=now, by=by, add=add, remove=remove)
    except MovedError:
        raise moved() from None


def _refuse_twice(named: dict[str, list[str]]) -> None:
    """Two wishes for one value have no order, so that what comes of them would be chance."""
    seen: set[str] = set()
    for place, names in named.items():
        if not seen.isdisjoint(names):
            detail = "This value is named before. Name each value once, to add it or to remove it."
            raise Problem(400, "invalid-field", "Invalid field", detail, place)
        seen.update(names)


def entry(given: NewEntry, value: str, place: str, *, now: int, added_by: str) -> Entry:
    """An entry as it is stored.

    Parameters
    ----------
    value : str
        As `Values.stored` gives it.
    place : str
        Where its end stands in the request, for the error.

    Raises
    ------
    Problem
        400, if it ends at no time that it can.
    """
    end, detail = 0, ""
    if given.expires_at is not None:
        if given.expires_at.tzinfo is None:
            detail = "Write the time with its offset from UTC, such as 2026-01-31T12:00:00Z."
        elif not now < (end := round(given.expires_at.timestamp() * 1_000)) < LATEST_TIME:
            detail = "An entry ends after now and before 2100. Leave the field out for one that never ends."
    if detail:
        raise Problem(400, "invalid-field", "Invalid field", detail, place)
    return Entry(value=value, expires_at=end, note=given.note, added_at=now, added_by=added_by)


def _flat(names: Iterable[Sequence[str]]) -> list[str]:
    return [name for each in names for name in each]
