"""A mapped file as the offline engine's table of events, column by column and never as rows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ops.inputs.mapping import Mapping
from ops.inputs.reading import read
from ops.inputs.rows import FIELDS

__all__ = ["Payments", "events_of", "read_payments"]

_NUMBERS = ("event_time", "amount")


@dataclass(frozen=True, slots=True)
class Payments:
    """The payments of a file in the order of their times; those of one time as they are in the file.

    Attributes
    ----------
    table : pyarrow.Table
        The transaction's fields; texts as codes.
    labels : array of int8
        1 fraud, 0 genuine, -1 where nobody learnt it.
    """

    table: pa.Table
    labels: npt.NDArray[np.int8]

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """Milliseconds since the epoch, UTC; rising."""
        found: npt.NDArray[np.int64] = self.table["event_time"].to_numpy()
        return found

    @property
    def cards(self) -> npt.NDArray[np.int64]:
        """A number per card."""
        column: Any = self.table["card"].unify_dictionaries().combine_chunks()
        found: npt.NDArray[np.int64] = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return found


def read_payments(
    path: Path,
    mapping: Mapping,
    *,
    until: int | None = None,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Payments | None:
    """Read a file; None if it has no payment.

    Parameters
    ----------
    until : int, optional
        Leave payments from this time on out, in ms.

    Raises
    ------
    MappingError, RowError
        See `ops.inputs.reading.read`.
    """
    tables, done = [], 0
    labels: list[npt.NDArray[np.int8]] = []
    for frame in read(path, mapping, until=until):
        tables.append(_columns(frame))
        outcome: npt.NDArray[np.int8] = frame["is_fraud"].astype("Int8").fillna(-1).to_numpy().astype(np.int8)
        labels.append(outcome)
        done += len(frame)
        progress("reading", done, 0)
    if not tables:
        return None
    table = pa.concat_tables(tables).unify_dictionaries()
    order = np.argsort(table["event_time"].to_numpy(), kind="stable")
    return Payments(table.take(order), np.concatenate(labels)[order])


def events_of(payments: Payments, delay: int) -> pa.Table:
    """Payments and their frauds in the order of arrival, for `EventTable.of(..., ordered=True)`.

    Parameters
    ----------
    delay : int
        Every fraud is known this long after its payment, in ms, before any payment of that very moment.
    """
    frauds = np.flatnonzero(payments.labels == 1)
    times = payments.times
    rows = np.concatenate([frauds, np.arange(len(times))])
    at = np.concatenate([times[frauds] + delay, times])
    # Stable, so that frauds stay before payments of the same time.
    order = np.argsort(at, kind="stable")
    table = payments.table.take(rows[order])
    is_payment = (order >= len(frauds)).astype(np.int8)
    columns: dict[str, Any] = {
        "event": pa.DictionaryArray.from_arrays(is_payment, pa.array(["label", "transaction"])),
        "kind": pa.DictionaryArray.from_arrays(is_payment, pa.array(["confirmed_fraud", ""])),
        "at": pa.array(at[order]),
    }
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def _columns(frame: pd.DataFrame) -> pa.Table:
    columns: dict[str, Any] = {}
    for name in FIELDS:
        values = frame[name]
        if name in _NUMBERS:
            columns[name] = pa.array(values.to_numpy(np.int64))
        elif name == "transaction_id":
            columns[name] = pa.array(values, pa.string())
        else:
            codes, words = pd.factorize(values)
            columns[name] = pa.DictionaryArray.from_arrays(codes.astype(np.int32), pa.array(words, pa.string()))
    return pa.table(columns)
