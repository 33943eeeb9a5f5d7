"""The vectorised engine: from a table of events to a table of features, on one machine.

Point in time correct: a row sees the events that arrived before it, and no others. The numbers are those of the
online fold with no lag, bit for bit.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import process_cpu_count

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fraud.events import Event, Transaction
from fraud.features import FeatureSet
from fraud.features.definitions import Entity, RowFeature
from fraud.replay import replay
from training.engines.events import EventTable
from training.engines.kernel import blank, group_by_key, run
from training.engines.plan import EntityPlan, plan

__all__ = ["compute", "entity_features", "row_features"]

CHUNK_ROWS = 1 << 16
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
    rows = _rows(known.is_transaction)
    out = np.empty((int(known.is_transaction.sum()), len(features.names)), np.float64)
    workers = threads or process_cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        alone = pool.submit(row_features, known, features, out)
        # While the kernel runs over one entity, the next ones are grouped by their keys.
        ahead: deque[Future[_Grouped]] = deque()
        waiting = list(reversed(features.entities))
        while waiting or ahead:
            while waiting and len(ahead) < workers:
                ahead.append(pool.submit(_group, known, plan(features, waiting.pop()), rows, out))
            grouped = ahead.popleft().result()
            _fill(pool, grouped, features, out, partial(progress, grouped.planned.entity.name))
        alone.result()
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
    columns: list[npt.NDArray[np.object_]] = []
    for field in feature.fields:
        if field in ("event_time", "amount"):
            code, numbers = pd.factorize((events.time if field == "event_time" else events.amount)[mask])
            values: list[int] | list[str] = numbers.tolist()
        else:
            text, words = events.texts(field)
            values, code = [*words, ""], np.where(text < 0, len(words), text)[mask]
        codes = codes * len(values) + code
        columns.append(np.array(values, np.object_))
    inverse, found = pd.factorize(codes)
    arguments = []
    for column in reversed(columns):
        found, at = np.divmod(found, len(column))
        arguments.append(column[at].tolist())
    return np.array(list(map(feature.of, *reversed(arguments))), np.float64)[inverse]


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
    asked = events.is_transaction if wanted is None else events.is_transaction & wanted
    grouped = _group(events, plan(features, entity), _rows(asked), out)
    with ThreadPoolExecutor(threads or process_cpu_count() or 1) as pool:
        _fill(pool, grouped, features, out, progress)


def _rows(asked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """The row of each event in the result, -1 for those that have none."""
    if asked.all():
        return np.arange(len(asked), dtype=np.int32)
    rows = np.cumsum(asked, dtype=np.int32)
    rows -= 1
    rows[~asked] = -1
    return rows


@dataclass(frozen=True, slots=True)
class _Grouped:
    """A history grouped by the keys of one entity, as `training.engines.kernel.run` takes it."""

    events: EventTable
    planned: EntityPlan
    starts: npt.NDArray[np.int64]
    members: npt.NDArray[np.int32]
    takes: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.int32]
    values: npt.NDArray[np.int32]
    different: int

    def run(self, chunk: tuple[int, int], out: Matrix) -> int:
        """Fill the columns for a range of keys; return how many events they have."""
        events, planned = self.events, self.planned
        run(
            *chunk,
            self.starts,
            self.members,
            events.time,
            events.amount,
            self.takes,
            self.rows,
            self.values,
            self.different,
            planned.series,
            planned.reads,
            planned.features,
            planned.distincts,
            out,
        )
        return int(self.starts[chunk[1]] - self.starts[chunk[0]])


def _group(events: EventTable, planned: EntityPlan, rows: npt.NDArray[np.int32], out: Matrix) -> _Grouped:
    found, keys = events.keys(planned.entity)
    codes = found.view()
    codes.flags.writeable = False  # as some are already, so that one compiled form serves for all
    blank(rows, codes, planned.columns, out)
    order = np.empty(0, np.int32) if events.order is None else events.order
    starts, members = group_by_key(codes, order, keys)
    takes = np.zeros(len(rows), np.uint32)
    for bit, series in enumerate(planned.takes):
        takes |= events.takes(series).astype(np.uint32) << np.uint32(bit)
    columns = [events.distinct(field) for field in planned.fields]
    values = np.stack([codes for codes, _ in columns]) if columns else np.empty((0, 0), np.int32)
    different = max((size for _, size in columns), default=0)
    return _Grouped(events, planned, starts, members, takes, rows, values, different)


def _fill(
    pool: ThreadPoolExecutor,
    grouped: _Grouped,
    features: FeatureSet,
    out: Matrix,
    progress: Callable[[int, int], None],
) -> None:
    events, planned, starts, members = grouped.events, grouped.planned, grouped.starts, grouped.members
    wide = _too_wide(starts, members, events.amount)
    done, total = 0, int(starts[-1])
    for finished in pool.map(partial(grouped.run, out=out), _chunks(starts, wide)):
        done += finished
        progress(done, total)
    for key in wide:
        mine = members[starts[key] : starts[key + 1]]
        _by_reference(events.events(mine), features, planned, grouped.rows[mine], out)
        done += len(mine)
        progress(done, total)


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


def _too_wide(
    starts: npt.NDArray[np.int64], members: npt.NDArray[np.int32], amount: npt.NDArray[np.int64]
) -> list[int]:
    """Keys whose sums might leave 64 bits: their events times their largest amount bounds all of them."""
    sizes = np.diff(starts)
    if int(amount.max(initial=0)) * int(sizes.max(initial=0)) < _SAFE:
        return []
    keys = enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
    return [key for key, (a, b) in keys if (b - a) * int(amount[members[a:b]].max(initial=0)) >= _SAFE]


def _by_reference(
    history: list[Event], features: FeatureSet, planned: EntityPlan, rows: npt.NDArray[np.int32], out: Matrix
) -> None:
    """One key's features by the reference engine, whose integers have no bounds."""
    alone = FeatureSet(*(features.features[column] for column in planned.columns))
    mine = [row for event, row in zip(history, rows, strict=True) if isinstance(event, Transaction)]
    for row, (_, vector) in zip(mine, replay(history, alone), strict=True):
        if row >= 0:
            out[row, planned.columns] = vector
