"""The trail as a file for others: every entry a line, and beside it the digest that proves the file whole."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from ops.audit.errors import AuditError
from ops.audit.reading import Recorded
from runtime.auditing import Entry

__all__ = ["FORMATS", "export"]

_FIELDS: Final = Entry.__struct_fields__
_COLUMNS: Final = ("id", *_FIELDS, "unreadable")
"""The last has the text of an item that is no entry."""


def export(entries: Sequence[Recorded], path: Path) -> str:
    """Write entries to a file whose name tells the format, and its digest beside it, as `sha256sum -c` reads it.

    Returns
    -------
    str
        The SHA-256 of the file.

    Raises
    ------
    AuditError
        If the name tells no format, or the file is there already.
    """
    write = FORMATS.get(path.suffix)
    if write is None:
        raise AuditError(f"{path}: end the name with one of {', '.join(FORMATS)}, which tells the format")
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            write(entries, file)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    except OSError as error:
        raise AuditError(f"{path} cannot be written: {error.strerror}; an export is never written over") from error
    return digest


def _lines(entries: Sequence[Recorded], file: TextIO) -> None:
    """JSON, a line each: the entry as it was written, after its id; what cannot be read, as a text."""
    for each in entries:
        unreadable = {"subject": each.subject, "unreadable": each.text}
        told = {"id": each.id, **(msgspec.json.decode(each.text) if each.entry else unreadable)}
        file.write(msgspec.json.encode(told).decode() + "\n")


def _table(entries: Sequence[Recorded], file: TextIO) -> None:
    """CSV; states are JSON in their cells."""
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    for each in entries:
        entry = each.entry
        known = {"subject": each.subject} if entry is None else msgspec.structs.asdict(entry)
        unreadable = each.text if entry is None else ""
        writer.writerow(map(_cell, [each.id, *map(known.get, _FIELDS), unreadable]))


def _cell(value: Any) -> str | int:
    if value is None or isinstance(value, str | int):
        # A spreadsheet takes a cell that begins so for a formula, whoever wrote it.
        return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value or ""
    return msgspec.json.encode(value).decode()


FORMATS: Final = {".jsonl": _lines, ".csv": _table}
"""What writes them, by the ending of a file's name."""
