"""The Spark engine: the features of a history past one machine, with the same bits as the vectorised engine.

The events of each entity are grouped by its key into tasks; a task runs the vectorised engine on them. What the
entities say of a row is brought together by the row's number.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark import SparkContext
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import IntegralType

from fraud.events import Transaction
from fraud.features import FeatureSet
from fraud.features.definitions import FIELDS, RowFeature, WindowFeature
from training.engines.events import AT, EVENT, KIND, EventTable, EventTableError
from training.engines.spark_session import local_master, spark_session
from training.engines.spark_slices import TASK, Limits, divided
from training.engines.spark_tasks import (
    PART,
    ROW,
    VALUES,
    entity_task,
    matrix_of,
    packed_task,
    row_task,
)

__all__ = ["ROW", "Limits", "compute", "table_errors"]

_PARTS = f"{ROW} bigint, {PART} int, {VALUES} binary"
_PACKED = f"{ROW} bigint, {VALUES} binary"
# Rows whose parts are brought together at once: of a hundred features, some 100 MB and as much again.
_BLOCK_ROWS = 1 << 14
_BLOCKS = 8
_POLL_SECONDS = 0.5
_NUMBERS = ("event_time", "amount", AT)
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Transaction) if not field.required}

type Matrix = npt.NDArray[np.float64]
type Progress = Callable[[str, int, int], None]


def compute(
    events: pa.Table | EventTable | DataFrame,
    features: FeatureSet,
    *,
    session: SparkSession | None = None,
    cores: int | None = None,
    limits: Limits | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Matrix:
    """The features of every transaction of a history, brought to this process.

    Parameters
    ----------
    events : pyarrow.Table, EventTable or DataFrame
        See `training.engines.events`; a frame has the column `ROW` besides: a different
        number (64 bits) for each row. It is read once for each entity and more, so what is not read from files is
        better persisted before.
    session : SparkSession, optional
        One on this machine with `cores` cores by default, for as long as this takes.
    limits : Limits, optional
        How much one task takes.
    progress : callable
        Told what is being computed, how many of its tasks are done, and how many are known of so far.

    Returns
    -------
    array of float64, shape (transactions, features)
        In the order of the rows, or of their numbers, other events left out.

    Raises
    ------
    EventTableError
        If the history cannot be used.
    SparkError
        If Spark does not start.
    """
    with ExitStack() as stack:
        stack.enter_context(table_errors())
        if isinstance(events, DataFrame):
            frame, session = events, events.sparkSession
        else:
            known = events if isinstance(events, EventTable) else EventTable.of(events)
            if not known.is_transaction.any():
                return np.empty((0, len(features.names)), np.float64)
            session = session or stack.enter_context(spark_session(local_master(cores)))
            frame = session.createDataFrame(_numbered(known.table))
        stack.enter_context(_watched(session.sparkContext, progress))
        parts, width = _parts(features), len(features.names)
        computed = _computed(_checked(frame), parts, limits or Limits())
        packed = computed.mapInArrow(packed_task([part.columns for part in parts], width), _PACKED)
        return matrix_of(packed.toArrow(), width)


@contextmanager
def table_errors() -> Iterator[None]:
    """Turn what Spark reports of an `EventTableError` in one of its workers into that error."""
    try:
        yield
    except PythonException as error:
        name = f"{EventTableError.__name__}: "
        told = [line.partition(name)[2] for line in str(error).splitlines() if name in line]
        if not told:
            raise
        raise EventTableError(told[-1]) from None


@dataclass(frozen=True, slots=True)
class _Part:
    """Features that are computed together: those of the row alone, or those of one entity.

    Attributes
    ----------
    columns : list of int
        The features' places in the set.
    reads : set of str
        The fields of events that they look at.
    """

    features: FeatureSet
    columns: list[int]
    reads: set[str]


def _parts(features: FeatureSet) -> list[_Part]:
    """The row features first, then a part for each entity."""
    listed = list(enumerate(features.features))
    rows = {n: each for n, each in listed if isinstance(each, RowFeature)}
    looked = {field for each in rows.values() for field in each.fields}
    # Every event passes through this part, so here is where its currency is checked.
    found = [_Part(FeatureSet(*rows.values()), list(rows), looked | {"currency"})]
    for entity in features.entities:
        mine = {n: each for n, each in listed if isinstance(each, WindowFeature) and each.entity == entity}
        alone = FeatureSet(*mine.values())
        conditions = [each.where.field for each in alone.series[entity.name] if each.where is not None]
        values = [each.field for each in alone.distincts[entity.name]]
        # Events of one millisecond are ordered by their ids.
        fields = {"merchant_id", "transaction_id", *entity.fields, *conditions, *values}
        found.append(_Part(alone, list(mine), fields))
    return found


def _computed(events: DataFrame, parts: list[_Part], limits: Limits) -> DataFrame:
    """The parts of all rows, those of one row in one partition."""
    cores = events.sparkSession.sparkContext.defaultParallelism
    total = events.count()
    rows, *entities = parts
    found = _read(events, rows).mapInArrow(row_task(0, rows.features), _PARTS)
    for number, part in enumerate(entities, start=1):
        (entity,) = part.features.entities
        if not all(field in events.columns or _DEFAULTS.get(field) for field in entity.fields):
            continue  # no event has such a key: the features are NaN
        frame, tasks = divided(_read(events, part), part.features, total=total, cores=cores, limits=limits)
        placed = frame.repartitionById(tasks, TASK).drop(TASK)
        found = found.unionAll(placed.mapInArrow(entity_task(number, part.features), _PARTS))
    blocks = max(cores, -(-total // (_BLOCK_ROWS * _BLOCKS)))
    block = sf.pmod(sf.floor(sf.col(ROW) / _BLOCK_ROWS), sf.lit(blocks)).cast("int")
    return found.repartitionById(blocks, block)


def _read(events: DataFrame, part: _Part) -> DataFrame:
    wanted = {ROW, *_NUMBERS, EVENT, KIND, *part.reads}
    keys = {field for entity in part.features.entities for field in entity.fields} - set(events.columns)
    return events.select(
        *(name for name in events.columns if name in wanted),
        *(sf.lit(_DEFAULTS[field]).alias(field) for field in sorted(keys)),
    )


def _checked(events: DataFrame) -> DataFrame:
    """A frame whose whole numbers have 64 bits and all else is text."""
    kinds = {field.name: field.dataType for field in events.schema.fields}
    missing = [name for name in (ROW, "event_time", "amount") if name not in kinds]
    if missing:
        raise EventTableError(f"the frame has no column {missing[0]!r}; name the columns as the events' fields")
    for name in {ROW, *_NUMBERS} & kinds.keys():
        if not isinstance(kinds[name], IntegralType):
            raise EventTableError(f"column {name!r} is no whole number; write ms, or minor units")
    wanted = [name for name in events.columns if name in {ROW, *_NUMBERS, EVENT, KIND, *FIELDS}]
    return events.select(
        *(sf.col(name).cast("bigint" if name in {ROW, *_NUMBERS} else "string") for name in wanted)
    )


def _numbered(table: pa.Table) -> pa.Table:
    """A checked table in types that Spark has, with its rows numbered."""
    found = pa.table({ROW: pa.array(np.arange(len(table)))})
    for name in table.column_names:
        if name in {*_NUMBERS, EVENT, KIND, *FIELDS}:
            kind = pa.int64() if name in _NUMBERS else pa.string()
            found = found.append_column(name, table[name].cast(kind))
    return found


@contextmanager
def _watched(context: SparkContext, progress: Progress) -> Iterator[None]:
    """Tell of the tasks that are done, for as long as the block runs."""
    tracker, done = context.statusTracker(), Event()

    def watch() -> None:
        ended: dict[int, tuple[int, int]] = {}
        while not done.wait(_POLL_SECONDS):
            for stage in tracker.getActiveStageIds():
                if found := tracker.getStageInfo(stage):
                    ended[stage] = found.numCompletedTasks, found.numTasks
            if ended:
                finished, known = (sum(counts) for counts in zip(*ended.values(), strict=True))
                progress("spark", finished, known)

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
