"""Files of the lake, one at a time: every column of the type it must have, and nothing that no event can be."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from fraud.currency import CURRENCIES
from fraud.events import LATEST_TIME, MOST_AMOUNT, Transaction
from training.contract import ProgramError

__all__ = ["TRANSACTIONS", "count", "lake_files", "numbers_of", "optional_column", "refuse_empty", "type_of"]

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

_FIELDS = msgspec.structs.fields(Transaction)
_INTEGERS = ("event_time", "amount", "known_at", "outcome_time")
_BOOLEANS = ("is_fraud", "degraded")
_PAIRS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.float64())]))
_LIMITS = {"amount": MOST_AMOUNT + 1}

TRANSACTIONS = pa.schema(
    [(field.name, pa.int64() if field.name in _INTEGERS else pa.string()) for field in _FIELDS]
)
"""The columns of a table of transactions."""

type Flags = npt.NDArray[np.bool_]


def lake_files(
    folder: Path,
    more: tuple[str, ...],
    optional: tuple[str, ...] = (),
    *,
    since: int | None = None,
    only: Path | None = None,
) -> Iterator[tuple[Path, pa.Table]]:
    """Every file's transactions with further columns, checked and with defaults filled in; optional ones as is.

    One file at a time: files of different ages may differ in their optional columns.

    Parameters
    ----------
    since : int, optional
        Milliseconds, UTC: days of the lake (``day=2026-01-31``) that were over a day before are not opened. A row
        arrives when it is written or later, so none of theirs was written since; one day is for clocks.
    only : Path, optional
        Only this file of the folder.
    """
    needed = {field.name for field in _FIELDS if field.required} | set(more)
    for path in (only,) if only is not None else sorted(folder.rglob("*.parquet")) if folder.is_dir() else ():
        if since is not None and _over(path.relative_to(folder), since):
            continue
        try:
            with pq.ParquetFile(path) as file:
                present = set(file.schema_arrow.names)
                wanted = (*TRANSACTIONS.names, *more, *optional)
                table = file.read(columns=[name for name in wanted if name in present])
        except (pa.ArrowException, OSError) as error:
            raise ProgramError(
                f"{path} is not a readable Parquet file ({error}); replace or remove it."
            ) from error
        missing = sorted(needed - present)
        if missing:
            raise ProgramError(
                f"{path} has no column {missing[0]!r}; write it with the platform's own import or delivery stream."
            )
        columns: dict[str, Any] = {name: _column(table, name, path) for name in TRANSACTIONS.names}
        columns |= {name: table[name] if name == "features" else _column(table, name, path) for name in more}
        columns |= {name: table[name] for name in optional if name in present}
        checked = pa.table(columns)
        refuse_empty(checked, tuple(field.name for field in _FIELDS if field.required), path)
        _refuse_absurd(checked, path)
        yield path, checked


def _over(path: Path, since: int) -> bool:
    """Whether a file lies in a day that was over a day before; one outside any day may be of any."""
    first = (datetime.fromtimestamp(since / 1_000, UTC) - timedelta(days=1)).date().isoformat()
    return any(part.startswith("day=") and part.removeprefix("day=") < first for part in path.parts)


def numbers_of(
    column: Any, names: Sequence[str], path: Path, what: str = "features"
) -> tuple[npt.NDArray[np.float64], Flags]:
    """Some entries of a column of maps, and which rows have any.

    The column comes as a map, as key/value records or as one record, depending on who wrote it.
    """
    vectors = np.full((len(column), len(names)), np.nan)
    if pa.types.is_null(column.type):
        return vectors, np.zeros(len(column), np.bool_)
    try:
        if pa.types.is_struct(column.type):
            for place, name in enumerate(names):
                if column.type.get_field_index(name) >= 0:
                    numbers = pc.struct_field(column, name).cast(pa.float64())
                    vectors[:, place] = numbers.to_numpy(zero_copy_only=False)
            return vectors, column.is_valid().to_numpy(zero_copy_only=False)
        if pa.types.is_string(column.type):
            raise pa.ArrowNotImplementedError
        pairs = column.cast(_PAIRS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise ProgramError(
            f"Column {what!r} of {path} is {column.type}; it must be map<string,double>, as the table in the "
            "data catalogue declares it."
        ) from None
    found = pairs.flatten()
    places = pc.index_in(found.field("key"), pa.array(names, pa.string())).fill_null(-1).to_numpy()
    rows = pc.list_parent_indices(pairs).to_numpy()
    vectors[rows[places >= 0], places[places >= 0]] = found.field("value").to_numpy(zero_copy_only=False)[
        places >= 0
    ]
    return vectors, pc.fill_null(pc.greater(pc.list_value_length(pairs), 0), False).to_numpy(zero_copy_only=False)


def optional_column(table: pa.Table, name: str, kind: pa.DataType, path: Path) -> "pa.ChunkedArray[Any]":
    """A column that files from before it do not have."""
    if name not in table.column_names:
        return pa.chunked_array([pa.array([None] * table.num_rows, kind)])
    try:
        return table[name].cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ProgramError(f"Column {name!r} of {path} is {table[name].type}; it must be {kind}.") from None


def type_of(name: str) -> pa.DataType:
    """The type that a column of this name has everywhere."""
    return pa.int64() if name in _INTEGERS else pa.bool_() if name in _BOOLEANS else pa.string()


def refuse_empty(table: pa.Table, names: tuple[str, ...], where: Path) -> None:
    """Raise ProgramError if a row has nothing in one of these columns."""
    for name in names:
        column = table[name]
        empty = column.null_count
        if name in ("transaction_id", "merchant_id"):
            empty += count(pc.equal(column, ""))
        if empty:
            raise ProgramError(
                f"{empty} rows under {where} have no {name!r}; fill it in at the source or leave those rows out."
            )


def count(mask: "pa.Array[Any] | pa.ChunkedArray[Any]") -> int:
    """How often a mask is true."""
    return pc.sum(mask).as_py() or 0


def _column(table: pa.Table, name: str, path: Path) -> "pa.ChunkedArray[Any]":
    default: Any = next((each.default for each in _FIELDS if each.name == name), None)
    wanted = type_of(name)
    if name not in table.column_names:
        return pa.chunked_array([pa.array([default] * table.num_rows, wanted)])
    column = table[name]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    fitting: dict[pa.DataType, tuple[Callable[[Any], bool], str]] = {
        pa.int64(): (pa.types.is_integer, "whole numbers (milliseconds since the epoch, or minor units)"),
        pa.bool_(): (pa.types.is_boolean, "true or false"),
        pa.string(): (lambda it: pa.types.is_string(it) or pa.types.is_large_string(it), "text"),
    }
    fits, form = fitting[wanted]
    if not (fits(kind) or pa.types.is_null(kind)):
        raise ProgramError(f"Column {name!r} of {path} is {kind}; it must be {form}.")
    try:
        column = column.cast(wanted)
    except pa.ArrowInvalid:
        raise ProgramError(f"Column {name!r} of {path} holds numbers beyond 64 bits; check its unit.") from None
    return pc.fill_null(column, default) if isinstance(default, str) else column


def _refuse_absurd(table: pa.Table, path: Path) -> None:
    """Numbers that no event can have, and no currency: they would become wrong features in silence."""
    for name in _INTEGERS:
        if name in table.column_names:
            limit = _LIMITS.get(name, LATEST_TIME)
            wrong = count(pc.or_(pc.less(table[name], 0), pc.greater_equal(table[name], limit)))
            if wrong:
                remedy = (
                    "minor units, and leave refunds out"
                    if name == "amount"
                    else "milliseconds since 1970-01-01 UTC"
                )
                raise ProgramError(
                    f"{wrong} rows of {path} have {name!r} below 0 or from {limit} on; check its unit at the "
                    f"source and write {remedy}."
                )
    wrong = count(pc.invert(pc.is_in(table["currency"], pa.array(list(CURRENCIES)))))
    if wrong:
        raise ProgramError(
            f"{wrong} rows of {path} have a 'currency' that is no ISO 4217 code; write it like EUR at the source."
        )
