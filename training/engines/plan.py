"""A feature set, entity by entity, as the arrays that the kernel reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fraud.features import FeatureSet
from fraud.features.definitions import DefinitionError, Distinct, Entity, Series, Source, WindowFeature
from fraud.tiles import SQUARES
from training.engines.kernel import CODES

__all__ = ["EntityPlan", "plan"]

MOST_SERIES = 32
"""Which series an event belongs to is told by the bits of 32."""

type Table = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """What is computed for one entity; the tables are laid out as `training.engines.kernel.run` says.

    Attributes
    ----------
    columns : array of int64
        The features' places in the set.
    fields : tuple of str
        The transaction's fields whose distinct values are counted.
    """

    entity: Entity
    columns: npt.NDArray[np.int64]
    takes: tuple[Series, ...]
    fields: tuple[str, ...]
    series: Table
    reads: Table
    features: Table
    distincts: Table


def plan(features: FeatureSet, entity: Entity) -> EntityPlan:
    """The plan of one entity; its columns keep their places in the set."""
    mine = [
        (column, each)
        for column, each in enumerate(features.features)
        if isinstance(each, WindowFeature) and each.entity == entity
    ]
    # What a share is a share of is counted before it.
    takes = tuple(sorted(features.series[entity.name], key=_depth))
    if len(takes) > MOST_SERIES:
        raise DefinitionError(f"entity {entity.name}: more than {MOST_SERIES} series; put some under another name")
    reads = [read for read in features.reads if read.entity == entity]
    places = {(read.series, read.window): n for n, read in enumerate(reads)}
    fields = tuple(dict.fromkeys(each.field for each in features.distincts[entity.name]))
    series_rows = [
        (
            each.source is Source.LABEL,
            any(read.parts & SQUARES for read in reads if read.series == each),
        )
        for each in takes
    ]
    feature_rows, distinct_rows = [], []
    for column, feature in mine:
        window, over = feature.window, feature.over
        if isinstance(over, Distinct):
            distinct_rows.append(
                (
                    fields.index(over.field),
                    window.hop,
                    window.length,
                    over.capacity,
                    column,
                    feature.include_current,
                )
            )
        else:
            own, *base = (places[series, window] for series in feature.series)
            code = CODES[feature.aggregation]
            feature_rows.append((own, code, column, feature.include_current, base[0] if base else -1))
    feature_rows.sort()
    edges = np.searchsorted([row[0] for row in feature_rows], range(len(reads) + 1)).tolist()
    read_rows = [
        (takes.index(read.series), read.window.hop, read.window.length, read.window.delay, *edge)
        for read, edge in zip(reads, pairwise(edges), strict=True)
    ]
    return EntityPlan(
        entity=entity,
        columns=np.array([column for column, _ in mine]),
        takes=takes,
        fields=fields,
        series=_table(series_rows, 2),
        reads=_table(read_rows, 6),
        features=_table(feature_rows, 5),
        distincts=_table(distinct_rows, 6),
    )


def _depth(series: Series) -> int:
    return 0 if series.base is None else 1 + _depth(series.base)


def _table(rows: Sequence[tuple[int, ...]], width: int) -> Table:
    return np.array(rows, dtype=np.int64).reshape(-1, width)
