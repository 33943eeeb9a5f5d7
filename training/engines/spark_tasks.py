"""What Spark's Python workers do: the vectorised engine on one task's events, and the parts of a row put together.

Plain functions from Arrow batches to Arrow batches. What travels between the two steps is a row's number, the
number of the part (the features that need only the row, or those of one entity) and the part's float64 values as
bytes, so that no format on the way can change a bit.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fraud.features import FeatureSet
from training.engines.events import EventTable
from training.engines.vectorised import entity_features, row_features

__all__ = [
    "OWN",
    "PART",
    "ROW",
    "VALUES",
    "Task",
    "entity_task",
    "matrix_of",
    "packed_task",
    "row_task",
]

ROW, PART, VALUES, OWN = "_row", "_part", "_values", "_own"
"""Columns of ours; no field of an event begins with an underscore."""

# Rows of a batch that goes back to Spark: of a hundred features, some 50 MB.
_BATCH_ROWS = 1 << 16

type Batches = Iterator[pa.RecordBatch]
type Task = Callable[[Batches], Batches]
type Matrix = npt.NDArray[np.float64]


def row_task(part: int, features: FeatureSet) -> Task:
    """Row features of each batch; `features` holds no others."""

    def task(batches: Batches) -> Batches:
        for batch in batches:
            table = pa.Table.from_batches([batch])
            events = EventTable.of(table.drop_columns([ROW]), ordered=True)
            rows = _integers(table, ROW)[events.is_transaction]
            out = np.empty((len(rows), len(features.names)), np.float64)
            row_features(events, features, out)
            yield from _packed(rows, part, out)

    return task


def entity_task(part: int, features: FeatureSet) -> Task:
    """Window features of one entity; `features` holds no others, and the batches all events of the task's keys.

    Transactions with false in the column `OWN` are history only.
    """
    (entity,) = features.entities

    def task(batches: Batches) -> Batches:
        given = list(batches)
        if not sum(map(len, given)):
            return
        table = pa.Table.from_batches(given)
        # Spark brings them in any order; the table's own decides where even the ids are equal.
        table = table.take(np.argsort(_integers(table, ROW), kind="stable"))
        events = EventTable.of(table.drop_columns([ROW, OWN]))
        wanted = table[OWN].to_numpy() & events.is_transaction
        rows = _integers(table, ROW)[wanted]
        out = np.empty((len(rows), len(features.names)), np.float64)
        entity_features(events, features, entity, out, wanted=wanted, threads=1)
        yield from _packed(rows, part, out)

    return task


def packed_task(places: list[list[int]], width: int) -> Task:
    """Parts to rows: the row's number and all of its features as bytes.

    Parameters
    ----------
    places : list of list of int
        For each part, its features' columns.
    width : int
        How many features there are. Those of entities that a row does not name are NaN.
    """

    def task(batches: Batches) -> Batches:
        rows, out = _assembled(batches, places, width)
        yield from (batch.select([ROW, VALUES]) for batch in _packed(rows, 0, out))

    return task


def matrix_of(table: pa.Table, width: int) -> Matrix:
    """The features of packed rows, in the order of their numbers."""
    rows = _integers(table, ROW)
    out = np.empty((len(rows), width), np.float64)
    place = np.empty(len(rows), np.int64)
    place[np.argsort(rows)] = np.arange(len(rows))
    done = 0
    for chunk in table[VALUES].chunks:
        out[place[done : done + len(chunk)]] = _floats(chunk).reshape(len(chunk), width)
        done += len(chunk)
    return out


def _assembled(batches: Batches, places: list[list[int]], width: int) -> tuple[npt.NDArray[np.int64], Matrix]:
    given = [batch for batch in batches if len(batch)]
    if not given:
        return np.empty(0, np.int64), np.empty((0, width), np.float64)
    table = pa.Table.from_batches(given)
    rows, place = np.unique(_integers(table, ROW), return_inverse=True)
    out = np.full((len(rows), width), np.nan)
    done = 0
    for batch in given:
        parts = batch.column(PART).to_numpy()
        for part in np.unique(parts).tolist():
            mine = parts == part
            values = _floats(batch.column(VALUES).filter(pa.array(mine)))
            at = place[done : done + len(batch)][mine]
            out[at[:, None], np.array(places[part], np.int64)] = values.reshape(len(at), -1)
        done += len(batch)
    return rows, out


def _packed(rows: npt.NDArray[np.int64], part: int, out: Matrix) -> Batches:
    width = out.shape[1] * out.itemsize
    for first in range(0, len(rows), _BATCH_ROWS):
        piece = np.ascontiguousarray(out[first : first + _BATCH_ROWS])
        size = len(piece)
        offsets = np.arange(size + 1, dtype=np.int32) * np.int32(width)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(piece.tobytes())]
        values = pa.Array.from_buffers(pa.binary(), size, buffers)
        yield pa.RecordBatch.from_arrays(
            [pa.array(rows[first : first + size]), pa.array(np.full(size, part, np.int32)), values],
            names=[ROW, PART, VALUES],
        )


def _floats(values: "pa.Array[Any]") -> npt.NDArray[np.float64]:
    """The bytes of binary values, one after the other, as numbers."""
    _, places, data = values.buffers()
    if places is None or data is None or not len(values):
        return np.empty(0, np.float64)
    offsets = np.frombuffer(places, np.int32)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(data[int(offsets[0]) : int(offsets[-1])], np.float64)


def _integers(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = table[name].to_numpy()
    return found
