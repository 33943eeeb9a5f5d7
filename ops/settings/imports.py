"""Large lists, from a file into the table; the same file again changes nothing."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

import msgspec

from fraud.lists import StoredLists
from lambdas.manage_settings.entries import changed, entry
from lambdas.manage_settings.lists import defined
from lambdas.manage_settings.models import EntriesRequest, NewEntry
from lambdas.manage_settings.values import Values
from ops.settings.desk import Desk, RefusedError, refusing
from runtime.api import parse
from runtime.stores.documents import Entry
from runtime.stores.entries import MOST_ENTRIES

__all__ = ["Imported", "import_entries"]

COLUMNS = ("value", "expires_at", "note")


@dataclass(frozen=True, slots=True)
class Imported:
    """How many entries a file gave the list, how many it had already, and how many had expired."""

    added: int
    unchanged: int
    expired: int


def import_entries(desk: Desk, name: str, path: Path, progress: Callable[[int, int], None]) -> Imported:
    """Put the values of a CSV file on a list.

    Every line is looked at before the first one is stored. What was stored when the command was cut off is left
    alone by the next attempt. A value that stands in several lines gets the end and the note of the last.

    Parameters
    ----------
    path : Path
        Lines of a value, and if wanted the end of its entry in RFC 3339 and a note; a first line of names is
        passed over.
    progress : callable
        Told how many entries are done, and of how many.

    Raises
    ------
    RefusedError
        If there is no such list, or a line cannot be an entry; nothing was stored.
    """
    with refusing():
        definition = defined(desk.store.get(desk.merchant_id, StoredLists), name)
    now = desk.clock()
    values = Values(desk.tokeniser(), desk.merchant_id, definition.field, now)
    entries: dict[str, Entry] = {}
    stale: list[str] = []
    expired = 0
    for line, given in _lines(path):
        place = f"{path}, line {line}"
        if given.expires_at is not None and given.expires_at.tzinfo and _ms(given) <= now:
            expired += 1
            continue
        with refusing(place):
            stored = values.stored(given.value, "value")
            entries[stored[0]] = entry(given, stored[0], "expires_at", now=now, added_by=desk.author)
        stale += stored[1:]
    added = done = 0
    with refusing():
        for chunk in batched(entries.values(), MOST_ENTRIES, strict=False):
            added += len(changed(desk.store, values, definition, now=now, by=desk.author, add=chunk).added)
            done += len(chunk)
            progress(done, len(entries))
        for gone in batched(dict.fromkeys(stale), MOST_ENTRIES, strict=False):
            changed(desk.store, values, definition, now=now, by=desk.author, remove=gone)
    return Imported(added, len(entries) - added, expired)


def _lines(path: Path) -> Iterator[tuple[int, NewEntry]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if not cells or (reader.line_num == 1 and cells[0].strip() == COLUMNS[0]):
                    continue
                if len(cells) > len(COLUMNS):
                    raise RefusedError(
                        f"{path}, line {reader.line_num}: a line has a value, an end and a note at most"
                    )
                told = {key: cell.strip() for key, cell in zip(COLUMNS, cells, strict=False) if cell.strip()}
                with refusing(f"{path}, line {reader.line_num}"):
                    (given,) = parse(msgspec.json.encode({"add": [told]}), EntriesRequest).add
                yield reader.line_num, given
    except (OSError, UnicodeError, csv.Error) as error:
        raise RefusedError(f"{path} cannot be read: {error}") from error


def _ms(given: NewEntry) -> int:
    return round(given.expires_at.timestamp() * 1_000) if given.expires_at else 0
