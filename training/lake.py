"""Read what the platform recorded: imported history, decisions, outcomes and labels, as Parquet files.

Deliveries are at least once and object names carry no order, so nothing here leans on either. Everything stays in
columns; a table of events has the columns of `training.engines.events`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from fraud.currency import CURRENCIES
from fraud.events import LATEST_TIME, MOST_AMOUNT, LabelKind, OutcomeKind, Transaction
from training.contract import ProgramError
from training.rotation import LINKS, PREVIOUS, links_of

__all__ = [
    "TRANSACTIONS",
    "Decisions",
    "History",
    "events_of",
    "read_decisions",
    "read_history",
    "read_labels",
    "read_outcomes",
]

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

EVENTS = pa.schema([*TRANSACTIONS, ("event", pa.string()), ("kind", pa.string()), ("at", pa.int64())])
"""The columns of a table of events of any kind."""

type Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class History:
    """Imported transactions, and what the import knew of them as a table of events."""

    transactions: pa.Table
    labels: pa.Table


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions as they were served; all of it is aligned.

    Attributes
    ----------
    feature_sets : array of str
    degraded : array of bool
    vectors : array of float64, shape (decisions, features)
        As served, columns in the order asked for; nan where the record has no such feature.
    has_vector : array of bool
        False where the record carries no features at all.
    links : pyarrow.Table
        What tokens became when the token key was changed; see `training.rotation`.
    """

    transactions: pa.Table
    feature_sets: npt.NDArray[np.object_]
    degraded: Flags
    vectors: npt.NDArray[np.float64]
    has_vector: Flags
    links: pa.Table = field(default_factory=LINKS.empty_table)


def read_history(folder: Path) -> History:
    """Read `paywarden import`'s files: transactions with `is_fraud` and `known_at`.

    A genuine row without a time is an unlabelled row, since nobody said so at any time.

    Raises
    ------
    ProgramError
        A file cannot be read or holds what no transaction can, or it tells of a fraud without telling when it
        was known.
    """
    table = _whole([table for _, table in _files(folder, ("is_fraud", "known_at"))], ("is_fraud", "known_at"))
    is_fraud, known_at = table["is_fraud"], table["known_at"]
    timeless = _count(pc.and_(pc.fill_null(is_fraud, False), pc.is_null(known_at)))
    if timeless:
        raise ProgramError(
            f"{timeless} rows of the history have is_fraud without known_at, so nobody can say when the fraud was "
            "known; add the time of the label, or its delay, to the mapping and import again."
        )
    labelled = table.filter(pc.and_(pc.is_valid(is_fraud), pc.is_valid(known_at)))
    early = _count(pc.less(labelled["known_at"], labelled["event_time"]))
    if early:
        raise ProgramError(
            f"{early} rows of the history have known_at before event_time; check the units (milliseconds) and "
            "the time zone in the mapping, and import again."
        )
    kinds = pc.if_else(labelled["is_fraud"], "confirmed_fraud", "confirmed_genuine")
    return History(table.select(TRANSACTIONS.names), events_of(labelled, "label", kinds, labelled["known_at"]))


def read_decisions(folder: Path, names: Sequence[str]) -> Decisions:
    """Read the lake's decisions with the vectors as served, columns in the order of `names`.

    Raises
    ------
    ProgramError
        A file cannot be read or holds what no transaction can, or `features` is not a map from name to number.
    """
    required = ("features", "feature_set", "degraded")
    tables, vectors, filled = [], [np.empty((0, len(names)))], [np.empty(0, np.bool_)]
    links = [LINKS.empty_table()]
    for path, table in _files(folder, required, optional=(PREVIOUS,)):
        numbers, present = _vectors(table["features"].combine_chunks(), names, path)
        vectors.append(numbers)
        filled.append(present)
        links.append(links_of(table, path))
        tables.append(table.select([*TRANSACTIONS.names, *required[1:]]))
    whole = _whole(tables, required[1:])
    return Decisions(
        transactions=whole.select(TRANSACTIONS.names),
        feature_sets=pc.fill_null(whole["feature_set"], "").to_numpy(),
        degraded=pc.fill_null(whole["degraded"], False).to_numpy(),
        vectors=np.concatenate(vectors),
        has_vector=np.concatenate(filled),
        links=pa.concat_tables(links),
    )


def read_labels(folder: Path) -> pa.Table:
    """Read the lake's labels, as a table of events.

    Raises
    ------
    ProgramError
        A file cannot be read or lacks a column, or a label has no time or is of an unknown kind.
    """
    return _told(folder, "label", "known_at", get_args(LabelKind))


def read_outcomes(folder: Path) -> pa.Table:
    """Read the lake's outcomes of payments, as a table of events.

    Raises
    ------
    ProgramError
        A file cannot be read or lacks a column, or an outcome has no time or is of an unknown kind.
    """
    return _told(folder, "outcome", "outcome_time", get_args(OutcomeKind))


def events_of(
    table: pa.Table, event: str, kind: "pa.ChunkedArray[Any] | str", at: "pa.ChunkedArray[Any]"
) -> pa.Table:
    """Transactions, or what became known of them, as rows of a table of events."""
    kinds = pa.chunked_array([pa.repeat(kind, table.num_rows)]) if isinstance(kind, str) else kind
    columns: list[Any] = [
        *(table[name] for name in TRANSACTIONS.names),
        pa.repeat(event, table.num_rows),
        kinds,
        at,
    ]
    return pa.table(columns, schema=EVENTS)


def _told(folder: Path, event: str, time: str, kinds: tuple[str, ...]) -> pa.Table:
    table = _whole([table for _, table in _files(folder, (event, time))], (event, time))
    strange = sorted({str(kind) for kind in pc.unique(table[event]).to_pylist()} - set(kinds))
    if strange:
        raise ProgramError(
            f"Column {event!r} under {folder} holds {strange[0]!r}; it must be one of {', '.join(kinds)}. "
            "Correct or remove the record."
        )
    _refuse_empty(table, (time,), folder)
    return events_of(table, event, table[event], table[time])


def _whole(tables: list[pa.Table], more: tuple[str, ...]) -> pa.Table:
    nothing = pa.schema([*TRANSACTIONS, *((name, _type(name)) for name in more)]).empty_table()
    return pa.concat_tables([nothing, *tables])


def _files(folder: Path, more: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[tuple[Path, pa.Table]]:
    """Every file's transactions with further columns, checked and with defaults filled in; optional ones as is.

    One file at a time: files of different ages may differ in their optional columns.
    """
    needed = {field.name for field in _FIELDS if field.required} | set(more)
    for path in sorted(folder.rglob("*.parquet")) if folder.is_dir() else ():
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
        _refuse_empty(checked, tuple(field.name for field in _FIELDS if field.required), path)
        _refuse_absurd(checked, path)
        yield path, checked


def _type(name: str) -> pa.DataType:
    return pa.int64() if name in _INTEGERS else pa.bool_() if name in _BOOLEANS else pa.string()


def _column(table: pa.Table, name: str, path: Path) -> "pa.ChunkedArray[Any]":
    default: Any = next((each.default for each in _FIELDS if each.name == name), None)
    wanted = _type(name)
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


def _refuse_empty(table: pa.Table, names: tuple[str, ...], where: Path) -> None:
    for name in names:
        column = table[name]
        empty = column.null_count
        if name in ("transaction_id", "merchant_id"):
            empty += _count(pc.equal(column, ""))
        if empty:
            raise ProgramError(
                f"{empty} rows under {where} have no {name!r}; fill it in at the source or leave those rows out."
            )


def _refuse_absurd(table: pa.Table, path: Path) -> None:
    """Numbers that no event can have, and no currency: they would become wrong features in silence."""
    for name in _INTEGERS:
        if name in table.column_names:
            limit = _LIMITS.get(name, LATEST_TIME)
            wrong = _count(pc.or_(pc.less(table[name], 0), pc.greater_equal(table[name], limit)))
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
    wrong = _count(pc.invert(pc.is_in(table["currency"], pa.array(list(CURRENCIES)))))
    if wrong:
        raise ProgramError(
            f"{wrong} rows of {path} have a 'currency' that is no ISO 4217 code; write it like EUR at the source."
        )


def _vectors(column: Any, names: Sequence[str], path: Path) -> tuple[npt.NDArray[np.float64], Flags]:
    """A map column comes as a map, as key/value records or as one record, depending on who wrote it."""
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
            f"Column 'features' of {path} is {column.type}; it must be map<string,double>, as the table in the "
            "data catalogue declares it."
        ) from None
    found = pairs.flatten()
    places = pc.index_in(found.field("key"), pa.array(names, pa.string())).fill_null(-1).to_numpy()
    rows = pc.list_parent_indices(pairs).to_numpy()
    vectors[rows[places >= 0], places[places >= 0]] = found.field("value").to_numpy(zero_copy_only=False)[
        places >= 0
    ]
    return vectors, pc.fill_null(pc.greater(pc.list_value_length(pairs), 0), False).to_numpy(zero_copy_only=False)


def _count(mask: "pa.Array[Any] | pa.ChunkedArray[Any]") -> int:
    return pc.sum(mask).as_py() or 0
