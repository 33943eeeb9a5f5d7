"""Read what the platform recorded: imported history, decisions, outcomes and labels, as Parquet files.

Deliveries are at least once and object names carry no order, so nothing here leans on either. Everything stays in
columns; a table of events has the columns of `training.engines.events`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from fraud.events import LabelKind, OutcomeKind
from training.contract import ProgramError
from training.lake_files import TRANSACTIONS, count, lake_files, numbers_of, optional_column, refuse_empty, type_of
from training.rotation import LINKS, PREVIOUS, links_of
from training.weights import COLUMNS as PROPENSITY
from training.weights import weights_of

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

EVENTS = pa.schema([*TRANSACTIONS, ("event", pa.string()), ("kind", pa.string()), ("at", pa.int64())])
"""The columns of a table of events of any kind."""

_TOLD_BY: Mapping[str, pa.DataType] = MappingProxyType({"source": pa.string(), "confidence": pa.float64()})

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
    declined : array of bool, optional
    weights : array of float64, optional
        Not clipped, see `training.weights`; files from before that have neither.
    links : pyarrow.Table
        What tokens became when the token key was changed; see `training.rotation`.
    """

    transactions: pa.Table
    feature_sets: npt.NDArray[np.object_]
    degraded: Flags
    vectors: npt.NDArray[np.float64]
    has_vector: Flags
    declined: Flags | None = None
    weights: npt.NDArray[np.float64] | None = None
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
    table = _whole([table for _, table in lake_files(folder, ("is_fraud", "known_at"))], ("is_fraud", "known_at"))
    is_fraud, known_at = table["is_fraud"], table["known_at"]
    timeless = count(pc.and_(pc.fill_null(is_fraud, False), pc.is_null(known_at)))
    if timeless:
        raise ProgramError(
            f"{timeless} rows of the history have is_fraud without known_at, so nobody can say when the fraud was "
            "known; add the time of the label, or its delay, to the mapping and import again."
        )
    labelled = table.filter(pc.and_(pc.is_valid(is_fraud), pc.is_valid(known_at)))
    early = count(pc.less(labelled["known_at"], labelled["event_time"]))
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
    declined, weights = [np.empty(0, np.bool_)], [np.empty(0)]
    for path, table in lake_files(folder, required, optional=(PREVIOUS, "decision", *PROPENSITY)):
        numbers, present = numbers_of(table["features"].combine_chunks(), names, path)
        vectors.append(numbers)
        filled.append(present)
        links.append(links_of(table, path))
        declined.append(_is(table, "decision", "decline"))
        weights.append(weights_of(table, path))
        tables.append(table.select([*TRANSACTIONS.names, *required[1:]]))
    whole = _whole(tables, required[1:])
    return Decisions(
        transactions=whole.select(TRANSACTIONS.names),
        feature_sets=pc.fill_null(whole["feature_set"], "").to_numpy(),
        degraded=pc.fill_null(whole["degraded"], False).to_numpy(),
        vectors=np.concatenate(vectors),
        has_vector=np.concatenate(filled),
        declined=np.concatenate(declined),
        weights=np.concatenate(weights),
        links=pa.concat_tables(links),
    )


def read_labels(folder: Path, *, since: int | None = None) -> pa.Table:
    """Read the lake's labels, as a table of events with two more columns: who told, and how sure.

    Parameters
    ----------
    since : int, optional
        Only those that arrived from about then on; see `training.lake_files.lake_files`.

    Raises
    ------
    ProgramError
        A file cannot be read or lacks a column, or a label has no time or is of an unknown kind.
    """
    return _told(folder, "label", "known_at", get_args(LabelKind), _TOLD_BY, since=since)


def read_outcomes(folder: Path, *, since: int | None = None) -> pa.Table:
    """Read the lake's outcomes of payments, as a table of events.

    Parameters
    ----------
    since : int, optional
        Only those that arrived from about then on; see `training.lake_files.lake_files`.

    Raises
    ------
    ProgramError
        A file cannot be read or lacks a column, or an outcome has no time or is of an unknown kind.
    """
    return _told(folder, "outcome", "outcome_time", get_args(OutcomeKind), since=since)


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


def _told(
    folder: Path,
    event: str,
    time: str,
    kinds: tuple[str, ...],
    more: Mapping[str, pa.DataType] | None = None,
    *,
    since: int | None,
) -> pa.Table:
    further = more or {}
    tables = []
    for path, found in lake_files(folder, (event, time), optional=tuple(further), since=since):
        told = {name: optional_column(found, name, kind, path) for name, kind in further.items()}
        tables.append(found.select([*TRANSACTIONS.names, event, time]))
        for name, column in told.items():
            tables[-1] = tables[-1].append_column(name, column)
    nothing = pa.schema(
        [*TRANSACTIONS, (event, type_of(event)), (time, type_of(time)), *further.items()]
    ).empty_table()
    table = pa.concat_tables([nothing, *tables])
    strange = sorted({str(kind) for kind in pc.unique(table[event]).to_pylist()} - set(kinds))
    if strange:
        raise ProgramError(
            f"Column {event!r} under {folder} holds {strange[0]!r}; it must be one of {', '.join(kinds)}. "
            "Correct or remove the record."
        )
    refuse_empty(table, (time,), folder)
    events = events_of(table, event, table[event], table[time])
    for name in further:
        events = events.append_column(name, table[name])
    return events


def _is(table: pa.Table, name: str, word: str) -> Flags:
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.bool_)
    found: Flags = pc.fill_null(pc.equal(table[name], word), False).to_numpy()
    return found


def _whole(tables: list[pa.Table], more: tuple[str, ...]) -> pa.Table:
    nothing = pa.schema([*TRANSACTIONS, *((name, type_of(name)) for name in more)]).empty_table()
    return pa.concat_tables([nothing, *tables])
