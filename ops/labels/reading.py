"""Reading a file of labels: a row for each report, checked as far as a table can be wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

__all__ = ["COLUMNS", "LabelFileError", "Reported", "read_labels"]

REQUIRED = ("merchant_id", "transaction_id", "label", "known_at")
COLUMNS = (*REQUIRED, "source", "confidence")


class LabelFileError(Exception):
    """A file that holds no labels that can be imported; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A row: its number (from 1, without the header), its merchant, and the body of a label's report."""

    row: int
    merchant_id: str
    body: dict[str, Any]

    @property
    def event_id(self) -> str:
        return f"{self.merchant_id}/{self.body.get('transaction_id', '')}"


def read_labels(path: Path) -> Iterator[Reported]:
    """The rows of a CSV or Parquet file with the columns `COLUMNS`, of which the last two may be missing or empty.

    Raises
    ------
    LabelFileError
        If the file cannot be read or lacks a column.
    """
    for number, row in enumerate(_table(path).to_pylist(), 1):
        # What is not equal to itself is the NaN that some writers put into empty cells.
        told = {name: value for name, value in row.items() if value not in (None, "") and value == value}
        merchant_id = told.pop("merchant_id", "")
        yield Reported(number, str(merchant_id), {name: _told(name, value) for name, value in told.items()})


def _table(path: Path) -> pa.Table:
    if not path.is_file():
        raise LabelFileError(f"{path}: there is no such file")
    try:
        table = parquet.read_table(path) if path.suffix == ".parquet" else _csv(path)
    except (pa.ArrowException, OSError):
        # Arrow quotes the line at fault, which may hold anything.
        raise LabelFileError(
            f"{path}: it cannot be read; it must be Parquet (.parquet) or CSV in UTF-8 whose rows all have the "
            "columns of the first line"
        ) from None
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        raise LabelFileError(f"{path}: it has no column {missing[0]}; its columns are {', '.join(COLUMNS)}")
    return table.select([name for name in COLUMNS if name in table.column_names])


def _csv(path: Path) -> pa.Table:
    # Everything as text: guessing types would turn the id 007 into 7.
    texts = csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    return csv.read_csv(path, convert_options=texts)


def _told(name: str, value: Any) -> Any:
    """A cell as the body of a report has it; what is no time or number stays, to be refused by its field."""
    if name == "confidence" and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if name == "known_at" and isinstance(value, int | str) and str(value).isdecimal():
        try:
            return datetime.fromtimestamp(int(value) / 1_000, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool | int | float | str):
        return value
    return str(value)
