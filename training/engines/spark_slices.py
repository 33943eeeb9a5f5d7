"""How an entity's events are divided into tasks: small keys together, a key with too many events by time.

A slice of time of one key gets the transactions in it, and of what came before as much as their windows reach back
to. No window reaches back further than the retention of the feature set, so a slice is as exact as the whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from fraud.features import FeatureSet
from training.engines.events import AT, EVENT
from training.engines.spark_tasks import OWN

__all__ = ["TASK", "Limits", "divided"]

TASK = "_task"
_FIRST, _BOUNDS, _COUNT, _LOW, _HIGH = "_first", "_bounds", "_count", "_low", "_high"

_MOST_SLICES = 64
# A slice is at least this part of the retention long, so that an event is history to few slices besides its own.
_SLICES_IN_REACH = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one task takes.

    Attributes
    ----------
    task_events : int
        About how many events of small keys make a task; its memory is in proportion.
    key_events : int
        A key with more events than this is sliced.
    """

    task_events: int = 1 << 18
    key_events: int = 1 << 20

    def tasks(self, events: int, cores: int) -> int:
        """How many tasks so many events of small keys make, at least one for each core."""
        return max(cores, -(-events // self.task_events))


@dataclass(frozen=True, slots=True)
class _Sliced:
    """A key with too many events, and the times (ms) at which its second and later slices begin."""

    key: tuple[str, ...]
    bounds: list[int]


def divided(
    events: DataFrame, features: FeatureSet, *, total: int, cores: int, limits: Limits
) -> tuple[DataFrame, int]:
    """Every event beside the number of its task, and the number of tasks.

    Parameters
    ----------
    events : DataFrame
        A history with a column of ours for the row.
    features : FeatureSet
        Of one entity.
    total : int
        How many events there are.

    Returns
    -------
    (DataFrame, int)
        With the columns `TASK` and `OWN`: whether a transaction gets its row from that task. Events without the
        entity's key are left out; one that several slices need is there for each.
    """
    (entity,) = features.entities
    keyed = events.where(_all(sf.coalesce(sf.col(field), sf.lit("")) != "" for field in entity.fields))
    light = limits.tasks(total, cores)
    bucket = sf.pmod(sf.xxhash64(*entity.fields), sf.lit(light)).cast("int")
    sliced = _sliced(keyed, features, limits) if total > limits.key_events else []
    if not sliced:
        return keyed.withColumns({TASK: bucket, OWN: sf.lit(True)}), light
    sizes = [len(each.bounds) + 1 for each in sliced]
    firsts = accumulate(sizes[:-1], initial=light)
    schema = ", ".join(
        [*(f"`{field}` string" for field in entity.fields), f"{_FIRST} int", f"{_BOUNDS} array<bigint>"]
    )
    known = events.sparkSession.createDataFrame(
        [(*each.key, first, each.bounds) for each, first in zip(sliced, firsts, strict=True)], schema
    )
    arrival, tile = times(events)
    joined = keyed.join(sf.broadcast(known), list(entity.fields), "left").withColumns(
        {_LOW: _begun(arrival), _HIGH: _begun(tile + sf.lit(features.retention))}
    )
    # An event belongs to the slice that it arrived in and is history to those that can still read its tile.
    # A label can arrive too late for any.
    slices = sf.when(sf.col(_HIGH) >= sf.col(_LOW), sf.sequence(_LOW, _HIGH)).otherwise(
        sf.array().cast("array<int>")
    )
    tasks = sf.when(sf.col(_BOUNDS).isNull(), sf.array(bucket)).otherwise(
        sf.transform(slices, lambda each: each + sf.col(_FIRST))
    )
    own = sf.col(_BOUNDS).isNull() | (sf.col(TASK) == sf.col(_FIRST) + sf.col(_LOW))
    found = joined.withColumn(TASK, sf.explode(tasks)).withColumn(OWN, own)
    return found.drop(_FIRST, _BOUNDS, _LOW, _HIGH), light + sum(sizes)


def times(events: DataFrame) -> tuple[Column, Column]:
    """When an event arrived, and the time of its tile, in ms."""
    paid = sf.col("event_time")
    if EVENT not in events.columns:
        return paid, paid
    return sf.col(AT), sf.when(sf.col(EVENT) == "outcome", sf.col(AT)).otherwise(paid)


def _begun(time: Column) -> Column:
    """How many slices after the first begin at a time or before it: the number of the slice that it lies in."""
    return sf.size(sf.filter(_BOUNDS, lambda bound: bound <= time))


def _sliced(keyed: DataFrame, features: FeatureSet, limits: Limits) -> list[_Sliced]:
    """Keys with too many events, and where to cut them so that each slice has about as many transactions."""
    (entity,) = features.entities
    fields = list(entity.fields)
    counts = keyed.groupBy(*fields).agg(sf.count("*").alias(_COUNT)).where(sf.col(_COUNT) > limits.key_events)
    counted = {tuple(row[:-1]): row[-1] for row in counts.collect()}
    if not counted:
        return []
    schema = ", ".join(f"`{field}` string" for field in fields)
    keys = keyed.sparkSession.createDataFrame(list(counted), schema)
    mine = keyed.join(sf.broadcast(keys), fields)
    if EVENT in keyed.columns:
        mine = mine.where(sf.col(EVENT) == "transaction")
    grid = sf.percentile_approx("event_time", [n / _MOST_SLICES for n in range(_MOST_SLICES + 1)], 10_000)
    found = []
    for row in mine.groupBy(*fields).agg(grid).collect():
        key, marks = tuple(row[:-1]), row[-1]
        reach = _SLICES_IN_REACH * (marks[-1] - marks[0])
        slices = min(-(-counted[key] // limits.key_events), _MOST_SLICES, -(-reach // features.retention))
        bounds = sorted({marks[n * _MOST_SLICES // slices] for n in range(1, slices)})
        if bounds:
            found.append(_Sliced(key, bounds))
    return sorted(found, key=lambda each: each.key)


def _all(conditions: Iterable[Column]) -> Column:
    first, *rest = conditions
    for each in rest:
        first &= each
    return first
