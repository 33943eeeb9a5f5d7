"""What Spark's workers run, without Spark: batches in, batches out."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from fraud.features import STANDARD, FeatureSet
from fraud.features.definitions import RowFeature
from fraud.features.standard import CARD, MERCHANT
from tests.unit.fraud.strategies import world
from training.engines import vectorised
from training.engines.events import table_of
from training.engines.spark_tasks import (
    OWN,
    PART,
    ROW,
    VALUES,
    Task,
    entity_task,
    matrix_of,
    packed_task,
    row_task,
)

ROWS = FeatureSet(*(each for each in STANDARD.features if isinstance(each, RowFeature)))
CARDS = FeatureSet(*(each for each in STANDARD.windowed if each.entity == CARD))
MERCHANTS = FeatureSet(*(each for each in STANDARD.windowed if each.entity == MERCHANT))
PARTS = (ROWS, CARDS, MERCHANTS)
ALL = FeatureSet(*(feature for each in PARTS for feature in each.features))
PLACES = [
    [ALL.names.index(name) for name in each.names]
    for each in PARTS
]  # fmt: skip


def numbered(events: int = 120) -> pa.Table:
    table = table_of(world(4, events))
    return table.append_column(ROW, pa.array(10 + 3 * np.arange(len(table))))


def batches(table: pa.Table, seed: int = 1) -> Iterator[pa.RecordBatch]:
    """The rows in any order, a few at a time, as after a shuffle."""
    order = np.random.default_rng(seed).permutation(len(table))
    return iter(table.take(order).to_batches(max_chunksize=17))


def parts(table: pa.Table) -> list[pa.RecordBatch]:
    own = table.append_column(OWN, pa.array(np.ones(len(table), np.bool_)))
    found = list(row_task(0, ROWS)(batches(table)))
    for part, features in enumerate((CARDS, MERCHANTS), start=1):
        sent = own.filter(pa.array([bool(value) for value in own["card"].to_pylist()])) if part == 1 else own
        found += entity_task(part, features)(batches(sent, part))
    return found


def run(task: Task, table: pa.Table) -> pa.Table:
    return pa.Table.from_batches(list(task(batches(table))))


def same_bits(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> bool:
    return np.array_equal(first, second, equal_nan=True)


def test_parts_in_any_order_make_the_rows_of_the_vectorised_engine() -> None:
    table = numbered()
    mixed = pa.Table.from_batches(parts(table))
    expected = vectorised.compute(table.drop_columns([ROW]), ALL)
    packed = run(packed_task(PLACES, len(ALL.names)), mixed)
    assert packed.column_names == [ROW, VALUES]
    shuffled = packed.take(np.random.default_rng(3).permutation(len(packed)))
    assert same_bits(matrix_of(shuffled, len(ALL.names)), expected)
    paid = [
        row
        for row, event in zip(*(table[n].to_pylist() for n in (ROW, "event")), strict=True)
        if event == "transaction"
    ]
    assert packed[ROW].to_pylist() == paid


def test_rows_that_are_history_only_get_no_values() -> None:
    table = numbered()
    own = np.arange(len(table)) % 3 == 0
    given = table.append_column(OWN, pa.array(own))
    found = run(entity_task(2, MERCHANTS), given)
    paid = np.array(table["event"].to_pylist()) == "transaction"
    assert sorted(found[ROW].to_pylist()) == table[ROW].to_numpy()[own & paid].tolist()
    assert set(found[PART].to_pylist()) == {2}
    whole = vectorised.compute(table.drop_columns([ROW]), MERCHANTS)
    assert same_bits(matrix_of(found, len(MERCHANTS.names)), whole[own[paid]])


def test_a_partition_without_rows_gives_nothing() -> None:
    table = numbered(3).slice(0, 0)
    given = table.append_column(OWN, pa.array([], pa.bool_()))
    for task in (entity_task(1, CARDS), packed_task(PLACES, len(ALL.names))):
        assert not sum(map(len, task(iter([]))))
    assert not list(entity_task(1, CARDS)(iter(given.to_batches())))


def test_a_task_needs_no_other_columns_than_those_of_its_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the reference engine, which takes over where sums are too large for the kernel."""
    table = numbered()
    names = ["transaction_id", "merchant_id", "event_time", "amount", "event", "kind", "at", ROW]
    given = table.select(names).append_column(OWN, pa.array(np.ones(len(table), np.bool_)))
    features = FeatureSet(*(each for each in MERCHANTS.windowed if each.name.startswith("merchant_count")))
    expected = vectorised.compute(table.drop_columns([ROW]), features)
    assert same_bits(matrix_of(run(entity_task(1, features), given), len(features.names)), expected)
    monkeypatch.setattr(vectorised, "_SAFE", 1)
    assert same_bits(matrix_of(run(entity_task(1, features), given), len(features.names)), expected)
