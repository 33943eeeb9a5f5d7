"""The vectorised engine: from a table of events to a table of features, on one machine.

Point in time correct: a row sees the events that arrived before it, and no others. The numbers are those of the
online fold with no lag, bit for bit.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import process_cpu_count

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fraud.events import Event, Transaction
from fraud.features import FeatureSet
from fraud.features.definitions import Entity, RowFeature
from fraud.replay import replay
from training.engines.events import EventTable
from training.engines.kernel import IS_TRANSACTION, blank, group_by_key, run
from training.engines.plan import EntityPlan, plan

__all__ = ["compute", "entity_features", "row_features"]

CHUNK_ROWS = 1 << 18
"""Events that one call of the kernel takes at once; its working memory is in proportion to a chunk."""

# The kernel squares these sums into 128 bits.
_SAFE = 2**62

type Matrix = npt.NDArray[np.float64]
type Progress = Callable[[str, int, int], None]


def compute(
    events: pa.Table | EventTable,
    features: FeatureSet,
    *,
    threads: int | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Matrix:
    """The features of every transaction of a history.

    Parameters
    ----------
    events : pyarrow.Table or EventTable
        See `training.engines.events`.
    threads : int, optional
        As many as there are processors by default.
    progress : callable
        Told what is being computed, how many of its events are done, and how many there are.

    Returns
    -------
    array of float64, shape (transactions, features)
        In the order of the table's rows, other events left out.

    Raises
    ------
    EventTableError
        If the table cannot be used.
    """
    known = events if isinstance(events, EventTable) else EventTable.of(events)
    rows = int(known.is_transaction.sum())
    out = np.empty((rows, len(features.names)), np.float64)
    row_features(known, features, out)
    for entity in features.entities:
        entity_features(known, features, entity, out, threads=threads, progress=partial(progress, entity.name))
    return out


def row_features(events: EventTable, features: FeatureSet, out: Matrix) -> None:
    """Fill the columns of the features that look at nothing but the transaction itself.

    Each function is called once for every different combination of what it looks at.
    """
    for column, feature in enumerate(features.features):
        if isinstance(feature, RowFeature):
            out[:, column] = _row_feature(events, feature)


def _row_feature(events: EventTable, feature: RowFeature) -> npt.NDArray[np.float64]:
    mask = events.is_transaction
    codes = np.zeros(int(mask.sum()), np.int64)
    columns = []
    for field in feature.fields:
        if field in ("event_time", "amount"):
            numbers = (events.time if field == "event_time" else events.amount)[mask]
            distinct, code = np.unique(numbers, return_inverse=True)
            values: list[int] | list[str] = distinct.tolist()
        else:
            text, words = events.texts(field)
            values, code = [*words, ""], np.where(text < 0, len(words), text)[mask]
        codes = codes * len(values) + code
        columns.append(values)
    found, inverse = np.unique(codes, return_inverse=True)
    numbers_ = np.empty(len(found), np.float64)
    for place, combination in enumerate(found.tolist()):
        arguments: list[int | str] = []
        for values in reversed(columns):
            combination, at = divmod(combination, len(values))
            arguments.append(values[at])
        numbers_[place] = feature.of(*reversed(arguments))
    return numbers_[inverse]


def entity_features(
    events: EventTable,
    features: FeatureSet,
    entity: Entity,
    out: Matrix,
    *,
    wanted: npt.NDArray[np.bool_] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Fill the columns of one entity's window features.

    Parameters
    ----------
    out : array of float64, shape (wanted transactions, features)
    wanted : array of bool, shape (events,), optional
        The transactions that get a row; the others are history only. All by default.
    """
    planned = plan(features, entity)
    codes, keys = events.keys(entity)
    asked = events.is_transaction if wanted is None else events.is_transaction & wanted
    rows = np.where(asked, np.cumsum(asked) - 1, -1)
    blank(rows, codes, planned.columns, out)
    starts, members = group_by_key(codes if events.order is None else codes[events.order], keys)
    if events.order is not None:
        members = events.order[members]
    amount = events.amount[members]
    values, sizes = _values(events, planned)
    columns = (
        starts,
        events.time[members],
        amount,
        _takes(events, planned)[members],
        rows[members],
        np.ascontiguousarray(values[:, members]),
    )
    counts = (len(planned.distincts), max(sizes, default=1))
    tables = planned.series, planned.reads, planned.features, planned.distincts

    def work(chunk: tuple[int, int]) -> int:
        run(*chunk, *columns, np.zeros(counts, np.int32), *tables, out)
        return int(starts[chunk[1]] - starts[chunk[0]])

    wide = _too_wide(starts, amount)
    done, total = 0, int(starts[-1])
    with ThreadPoolExecutor(threads or process_cpu_count() or 1) as pool:
        for finished in pool.map(work, _chunks(starts, wide)):
            done += finished
            progress(done, total)
    for key in wide:
        mine = slice(int(starts[key]), int(starts[key + 1]))
        _by_reference(events.events(members[mine]), features, planned, rows[members[mine]], out)
        done += mine.stop - mine.start
        progress(done, total)


def _takes(events: EventTable, planned: EntityPlan) -> npt.NDArray[np.uint32]:
    takes = np.where(events.is_transaction, IS_TRANSACTION, np.uint32(0))
    for bit, series in enumerate(planned.takes):
        takes |= events.takes(series).astype(np.uint32) << np.uint32(bit)
    return takes


def _values(events: EventTable, planned: EntityPlan) -> tuple[npt.NDArray[np.int32], list[int]]:
    columns = [events.distinct(field) for field in planned.fields]
    if not columns:
        return np.empty((0, len(events.time)), np.int32), []
    return np.stack([codes for codes, _ in columns]), [size for _, size in columns]


def _chunks(starts: npt.NDArray[np.int64], wide: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of keys with about `CHUNK_ROWS` events each, leaving out those that the kernel cannot take."""
    keys = len(starts) - 1
    for begin, end in zip([0, *(key + 1 for key in wide)], [*wide, keys], strict=True):
        first = begin
        while first < end:
            last = int(np.searchsorted(starts, starts[first] + CHUNK_ROWS, side="right")) - 1
            last = min(max(last, first + 1), end)
            yield first, last
            first = last


def _too_wide(starts: npt.NDArray[np.int64], amount: npt.NDArray[np.int64]) -> list[int]:
    """Keys whose sums might leave 64 bits: their events times their largest amount bounds all of them."""
    sizes = np.diff(starts)
    if int(amount.max(initial=0)) * int(sizes.max(initial=0)) < _SAFE:
        return []
    keys = enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
    return [key for key, (a, b) in keys if (b - a) * int(amount[a:b].max(initial=0)) >= _SAFE]


def _by_reference(
    history: list[Event], features: FeatureSet, planned: EntityPlan, rows: npt.NDArray[np.int64], out: Matrix
) -> None:
    """One key's features by the reference engine, whose integers have no bounds."""
    alone = FeatureSet(*(features.features[column] for column in planned.columns))
    vectors = {transaction.event_id: vector for transaction, vector in replay(history, alone)}
    for event, row in zip(history, rows, strict=True):
        if isinstance(event, Transaction) and row >= 0:
            out[row, planned.columns] = vectors[event.event_id]
