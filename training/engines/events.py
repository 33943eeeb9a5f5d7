"""A history of events as columns: what the offline engines start from.

The frame is an Arrow table with a row for each event: the transaction's fields (those with a default may be
absent), and, where there is more than transactions, `event` ("transaction", "outcome" or "label"), `kind` (of an
outcome or a label) and `at` (when the platform learnt of it, in ms).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fraud.currency import CURRENCIES
from fraud.events import LATEST_TIME, MOST_AMOUNT, Event, Label, Outcome, Transaction
from fraud.features.keys import hash40
from fraud.features.series import FIELDS, Entity, Series, Source, joined
from fraud.replay import arrival

__all__ = ["EventTable", "EventTableError", "table_of"]

EVENT, KIND, AT = "event", "kind", "at"

MOST_ROWS = 2**31 - 1
"""Rows are numbered in 32 bits."""

_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Transaction) if not field.required}
_TRANSACTION, _OUTCOME = (tuple(Source).index(each) for each in (Source.TRANSACTION, Source.OUTCOME))
_IDS = ("transaction_id",)
_NUMBERS = ("event_time", "amount")
_NOT_SENT = {name: "" for name in FIELDS if name not in _DEFAULTS and name not in _NUMBERS}


class EventTableError(ValueError):
    """A history cannot be used; the message names the column and the remedy."""


def table_of(events: Iterable[Event]) -> pa.Table:
    """Events as a table, in the order given."""
    listed = list(events)
    columns: dict[str, pa.Array[Any]] = {
        name: pa.array(
            [getattr(event.transaction, name) for event in listed],
            pa.int64() if name in _NUMBERS else pa.string(),
        )
        for name in FIELDS
    }
    columns[EVENT] = pa.array([type(event).__name__.lower() for event in listed], pa.string())
    columns[KIND] = pa.array([getattr(event, KIND, "") for event in listed], pa.string())
    columns[AT] = pa.array([arrival(event)[0] for event in listed], pa.int64())
    return pa.table(columns)


@dataclass(frozen=True, slots=True)
class EventTable:
    """Checked columns of a history, and the order in which its events arrived.

    Attributes
    ----------
    table : pyarrow.Table
    order : array of int32 or None
        Rows of the table by (time of arrival, event id); None where they already are.
    time : array of int64
        In the table's order, as the arrays below: the time of each event's tile, in ms.
    amount : array of int64
        Minor units.
    is_transaction : array of bool
    """

    table: pa.Table
    order: npt.NDArray[np.int32] | None
    time: npt.NDArray[np.int64]
    amount: npt.NDArray[np.int64]
    is_transaction: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, table: pa.Table, *, ordered: bool = False) -> "EventTable":
        """Check a table and find its order.

        Parameters
        ----------
        ordered : bool
            Whether the rows are known to be in the order of arrival, ties included. Otherwise ties of one
            millisecond are put in the order of their ids.

        Raises
        ------
        EventTableError
            If a column is missing, empty in some row, or holds what no event can.
        """
        whole = table.num_rows
        table = _encoded(table)
        if whole > MOST_ROWS:
            raise EventTableError(
                f"the table has more than {MOST_ROWS} rows; split it by keys, as the Spark engine does"
            )
        missing = [name for name in ("event_time", "amount") if name not in table.column_names]
        if missing:
            raise EventTableError(
                f"the table has no column {missing[0]!r}; name the columns as the events' fields"
            )
        time, amount = _integers(table, "event_time", LATEST_TIME), _integers(table, "amount", MOST_AMOUNT + 1)
        if "currency" in table.column_names:
            found = set(pc.unique(_dictionary(table, "currency")).to_pylist())
            if found - CURRENCIES.keys():
                raise EventTableError("column 'currency' holds what is no ISO 4217 code; write it like EUR")
        if EVENT not in table.column_names:
            is_transaction, at = np.ones(whole, np.bool_), time
        else:
            at = _integers(table, AT, LATEST_TIME)
            sources = _codes(table, EVENT, tuple(Source))
            if (sources < 0).any():
                raise EventTableError("column 'event' holds other words than transaction, outcome and label")
            is_transaction = sources == _TRANSACTION
            late = at != time
            if (at < time).any() or (late & is_transaction).any():
                raise EventTableError(
                    "column 'at': a transaction is known at its own time, its outcome and labels not before it"
                )
            # An outcome counts in the tile of the moment it became known, a label in its transaction's.
            outcomes = sources == _OUTCOME
            if outcomes.any():
                time = np.where(outcomes, at, time)
        order = None if ordered else _order(table, at)
        # All of them read-only, so that the kernel is compiled once and not for every mixture.
        columns = time.view(), amount.view()
        for column in columns:
            column.flags.writeable = False
        return cls(table, None if order is None else order.astype(np.int32), *columns, is_transaction)

    def texts(self, field: str) -> tuple[npt.NDArray[np.int32], list[str]]:
        """A field as codes, -1 where it is empty, and the values that they stand for."""
        if field not in self.table.column_names:
            default = str(_DEFAULTS.get(field, ""))
            return np.full(self.table.num_rows, 0 if default else -1, np.int32), [default]
        column = _dictionary(self.table, field)
        values = [str(value) for value in column.dictionary.to_pylist()]
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        if "" in values:
            codes = np.where(codes == values.index(""), np.int32(-1), codes)
        return codes, values

    def keys(self, entity: Entity) -> tuple[npt.NDArray[np.int32], int]:
        """The key of each event as a code below the number returned; -1 where it was not sent."""
        codes, values = self.texts(entity.fields[0])
        size = len(values)
        for field in entity.fields[1:]:
            more, others = self.texts(field)
            both = np.where((codes < 0) | (more < 0), np.int64(-1), codes.astype(np.int64) * len(others) + more)
            found, distinct = pd.factorize(both, use_na_sentinel=False)
            gone = np.flatnonzero(distinct == -1)
            codes = found.astype(np.int32)
            if len(gone):
                codes[codes == gone[0]] = -1
            size = len(distinct)
        return codes, size

    def tokens(self, entity: Entity) -> list[str]:
        """The token of each event's key, as serving writes it."""
        columns = []
        for field in entity.fields:
            codes, values = self.texts(field)
            columns.append([values[code] if code >= 0 else "" for code in codes])
        if len(columns) == 1:
            return columns[0]
        return [joined(list(parts)) for parts in zip(*columns, strict=True)]

    def distinct(self, field: str) -> tuple[npt.NDArray[np.int32], int]:
        """A field's values as codes of their hashes; -1 where there is none, and for other than transactions."""
        codes, values = self.texts(field)
        hashes: dict[int, int] = {}
        of_value = np.array([hashes.setdefault(hash40(value), len(hashes)) for value in values], np.int32)
        found = np.where(codes >= 0, of_value[codes], np.int32(-1)) if len(values) else codes
        return np.where(self.is_transaction, found, np.int32(-1)).astype(np.int32), len(hashes)

    def events(self, rows: npt.NDArray[np.int32]) -> list[Event]:
        """Some of the rows as events."""
        found: list[Event] = []
        for row in self.table.take(rows).to_pylist():
            given = {name: row[name] for name in FIELDS if row.get(name) is not None}
            fields: dict[str, Any] = {n: value if n in _NUMBERS else str(value) for n, value in given.items()}
            transaction = Transaction(**{**_NOT_SENT, **fields})
            match row.get(EVENT, "transaction"):
                case "outcome":
                    found.append(Outcome(transaction=transaction, kind=row[KIND], event_time=row[AT]))
                case "label":
                    found.append(Label(transaction=transaction, kind=row[KIND], known_at=row[AT]))
                case _:
                    found.append(transaction)
        return found

    def takes(self, series: Series) -> npt.NDArray[np.bool_]:
        """Which events belong to a series."""
        if EVENT not in self.table.column_names:
            mine = self.is_transaction if series.source == "transaction" else ~self.is_transaction
        else:
            mine = self._equal(EVENT, (series.source.value,))
        if series.where is not None and mine.any():
            mine &= self._equal(series.where.field, series.where.values)
        return mine.copy() if mine is self.is_transaction else mine

    def _equal(self, field: str, wanted: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        codes, values = self.texts(field)
        match = np.array([value in wanted for value in values] + ["" in wanted], np.bool_)
        return match[codes]


def _integers(table: pa.Table, name: str, limit: int) -> npt.NDArray[np.int64]:
    if name not in table.column_names:
        raise EventTableError(f"the table has no column {name!r}; a table with a column 'event' needs it")
    column = table[name]
    if not pa.types.is_integer(column.type):
        raise EventTableError(f"column {name!r} is {column.type}; write whole numbers (ms, or minor units)")
    if column.null_count:
        raise EventTableError(
            f"column {name!r} is empty in {column.null_count} rows; fill it in or leave them out"
        )
    try:
        numbers = column.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        raise EventTableError(f"column {name!r} holds numbers beyond 64 bits; check its unit") from None
    if numbers.min(initial=0) < 0 or numbers.max(initial=0) >= limit:
        wrong = (numbers < 0) | (numbers >= limit)
        raise EventTableError(
            f"column {name!r}: {int(wrong.sum())} rows are below 0 or at least {limit}, the first is row "
            f"{int(np.flatnonzero(wrong)[0])}; check the unit, and leave refunds out"
        )
    return numbers


def _encoded(table: pa.Table) -> pa.Table:
    """The same table with its texts as codes: they are compared and grouped many times."""
    for place, field in enumerate(table.schema):
        if (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)) and field.name not in _IDS:
            table = table.set_column(place, field.name, table[field.name].dictionary_encode())
    return table


def _dictionary(table: pa.Table, name: str) -> Any:
    column: Any = table[name]
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    return column.unify_dictionaries().combine_chunks()


def _codes(table: pa.Table, name: str, words: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """The places of a column's words among those given, -1 for any other."""
    column = _dictionary(table, name)
    found = [words.index(word) if word in words else -1 for word in column.dictionary.to_pylist()]
    codes: npt.NDArray[np.int32] = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.array([*found, -1], np.int8)[codes]


def _order(table: pa.Table, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """Rows by time of arrival, ties by event id; None if they are in that order already."""
    steps = np.diff(at)
    rising = bool((steps >= 0).all())
    order = None if rising else np.argsort(at, kind="stable")
    ordered = at if order is None else at[order]
    tied = np.zeros(len(at), np.bool_)
    if len(at):
        same = np.diff(ordered) == 0
        tied[1:] |= same
        tied[:-1] |= same
    if not tied.any():
        return order
    rows = np.flatnonzero(tied) if order is None else order[tied]
    ids = _event_ids(table.take(rows))
    places = np.lexsort((ids, at[rows]))
    if order is None and (places == np.arange(len(places))).all():
        return None
    found = np.arange(len(at)) if order is None else order
    found[tied] = rows[places]
    return found


def _event_ids(table: pa.Table) -> npt.NDArray[np.object_]:
    for name in ("merchant_id", "transaction_id"):
        if name not in table.column_names:
            raise EventTableError(
                f"the table has no column {name!r}, which puts events of one millisecond in order"
            )
    columns = [table[name].to_pylist() for name in ("merchant_id", "transaction_id")]
    columns += [
        table[name].to_pylist() if name in table.column_names else [""] * len(table) for name in (EVENT, KIND)
    ]
    ids = np.empty(len(table), np.object_)
    for row, (merchant, transaction, event, kind) in enumerate(zip(*columns, strict=True)):
        match event:
            case "label":
                suffix = "#genuine" if kind == "confirmed_genuine" else "#fraud"
            case "outcome":
                suffix = f"#{kind}"
            case _:
                suffix = ""
        ids[row] = f"{merchant}/{transaction}{suffix}"
    return ids
