"""Read what the platform recorded: imported history, decisions and labels, as Parquet files.

Deliveries are at least once and object names carry no order, so nothing here leans on either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.events import Label, LabelKind, Transaction
from training.contract import ProgramError

__all__ = ["Decisions", "History", "read_decisions", "read_history", "read_labels"]

_FIELDS = msgspec.structs.fields(Transaction)
_KINDS = get_args(LabelKind)

type Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class History:
    """Imported transactions, and what the import knew of them."""

    transactions: list[Transaction]
    labels: list[Label]


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions as they were served; the sequences are aligned.

    Attributes
    ----------
    vectors : array of float64, shape (decisions, features)
        As served, columns in the order asked for; nan where the record has no such feature.
    has_vector : list of bool
        False where the record carries no features at all.
    """

    transactions: list[Transaction]
    feature_sets: list[str]
    degraded: list[bool]
    vectors: npt.NDArray[np.float64]
    has_vector: list[bool]


def read_history(folder: Path) -> History:
    """Read `paywarden import`'s files: transactions with `is_fraud` and `known_at`.

    A genuine row without a time is an unlabelled row, since nobody said so at any time.

    Raises
    ------
    ProgramError
        A file cannot be read, lacks a column, or tells of a fraud without telling when it was known.
    """
    columns = _read(folder, required=("is_fraud", "known_at"), integers=("known_at",))
    transactions = _transactions(columns, folder)
    labels = []
    timeless = early = 0
    for transaction, is_fraud, known_at in zip(
        transactions, columns["is_fraud"], columns["known_at"], strict=True
    ):
        if is_fraud is None:
            continue
        if known_at is None:
            timeless += bool(is_fraud)
        elif known_at < transaction.event_time:
            early += 1
        else:
            kind: LabelKind = "confirmed_fraud" if is_fraud else "confirmed_genuine"
            labels.append(Label(transaction=transaction, kind=kind, known_at=known_at))
    if timeless:
        raise ProgramError(
            f"{timeless} rows of the history have is_fraud without known_at, so nobody can say when the fraud was "
            "known; add the time of the label, or its delay, to the mapping and import again."
        )
    if early:
        raise ProgramError(
            f"{early} rows of the history have known_at before event_time; check the units (milliseconds) and "
            "the time zone in the mapping, and import again."
        )
    return History(transactions, labels)


def read_decisions(folder: Path, names: Sequence[str]) -> Decisions:
    """Read the lake's decisions with the vectors as served, columns in the order of `names`.

    Raises
    ------
    ProgramError
        A file cannot be read, lacks a column, or `features` is not a map from name to number.
    """
    columns = _read(folder, required=("features", "feature_set", "degraded"), integers=())
    pairs = [_pairs(value, folder) for value in columns["features"]]
    vectors = np.full((len(pairs), len(names)), np.nan)
    for row, values in enumerate(pairs):
        for column, name in enumerate(names):
            value = values.get(name)
            if value is not None:
                vectors[row, column] = value
    return Decisions(
        transactions=_transactions(columns, folder),
        feature_sets=[value or "" for value in columns["feature_set"]],
        degraded=[bool(value) for value in columns["degraded"]],
        vectors=vectors,
        has_vector=[bool(values) for values in pairs],
    )


def read_labels(folder: Path) -> list[Label]:
    """Read the lake's labels.

    Raises
    ------
    ProgramError
        A file cannot be read or lacks a column, or a label has no time or is of an unknown kind.
    """
    columns = _read(folder, required=("label", "known_at"), integers=("known_at",))
    unknown = sorted({str(kind) for kind in columns["label"] if kind not in _KINDS})
    if unknown:
        raise ProgramError(
            f"A label in {folder} is {unknown[0]!r}; it must be one of {', '.join(_KINDS)}. "
            "Correct or remove the record."
        )
    _refuse_nulls(columns, "known_at", folder)
    return [
        Label(transaction=transaction, kind=kind, known_at=known_at)
        for transaction, kind, known_at in zip(
            _transactions(columns, folder), columns["label"], columns["known_at"], strict=True
        )
    ]


def _read(folder: Path, *, required: tuple[str, ...], integers: tuple[str, ...]) -> Columns:
    wanted = [field.encode_name for field in _FIELDS] + list(required)
    needed = {field.encode_name for field in _FIELDS if field.required} | set(required)
    columns: Columns = {name: [] for name in wanted}
    for path in sorted(folder.rglob("*.parquet")) if folder.is_dir() else ():
        try:
            # One file at a time: files of different ages may differ in their optional columns.
            with pq.ParquetFile(path) as file:
                table = file.read()
        except (pa.ArrowInvalid, OSError) as error:
            raise ProgramError(
                f"{path} is not a readable Parquet file ({error}); replace or remove it."
            ) from error
        missing = sorted(needed - set(table.column_names))
        if missing:
            raise ProgramError(
                f"{path} has no column {missing[0]!r}; write it with the platform's own import or delivery stream."
            )
        for name in ("event_time", "amount", *integers):
            kind = table.schema.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_null(kind)):
                raise ProgramError(
                    f"Column {name!r} of {path} is {kind}; it must be whole numbers "
                    "(milliseconds since the epoch, or minor units)."
                )
        for name in wanted:
            present = name in table.column_names
            columns[name].extend(table.column(name).to_pylist() if present else [None] * table.num_rows)
    return columns


def _transactions(columns: Columns, folder: Path) -> list[Transaction]:
    filled = []
    for field in _FIELDS:
        if field.required:
            _refuse_nulls(columns, field.encode_name, folder)
            filled.append(columns[field.encode_name])
        else:
            filled.append([field.default if value is None else value for value in columns[field.encode_name]])
    names = [field.name for field in _FIELDS]
    return [Transaction(**dict(zip(names, values, strict=True))) for values in zip(*filled, strict=True)]


def _refuse_nulls(columns: Columns, name: str, folder: Path) -> None:
    empty = columns[name].count(None)
    if empty:
        raise ProgramError(
            f"{empty} rows under {folder} have no {name!r}; fill it in at the source or leave those rows out."
        )


def _pairs(value: Any, folder: Path) -> dict[str, float | None]:
    """A map column comes as pairs, as key/value records or as one record, depending on who wrote it."""
    match value:
        case None:
            return {}
        case dict():
            return value
        case [] | [tuple(), *_]:
            return dict(value)
        case [dict(), *_]:
            return {entry["key"]: entry["value"] for entry in value}
    raise ProgramError(
        f"Column 'features' under {folder} holds {type(value).__name__}; it must be map<string,double>, "
        "as the table in the data catalogue declares it."
    )
