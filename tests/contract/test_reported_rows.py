"""What merchants report, from the event's row through the lake's columns to what training reads."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.decision import label_row, outcome_row
from fraud.events import Event, Label, LabelKind, Outcome, OutcomeKind, Transaction
from infra.constructs.lake import LABEL_COLUMNS, OUTCOME_COLUMNS
from training.engines.events import EventTable
from training.lake import read_labels, read_outcomes

PAID = 1_767_261_600_000
PAYMENTS = [
    Transaction(
        transaction_id=f"t{number}",
        merchant_id="shop",
        event_time=PAID + number,
        amount=number,
        currency="EUR",
        card="card_a",
        customer="cust_a",
        bin="41111111",
    )
    for number in range(5)
]
OUTCOMES = [
    Outcome(transaction=paid, kind=kind, event_time=PAID + 900)
    for paid, kind in zip(PAYMENTS, get_args(OutcomeKind), strict=True)
]
LABELS = [
    Label(transaction=paid, kind=kind, known_at=PAID + 86_400_000)
    for paid, kind in zip(PAYMENTS, get_args(LabelKind), strict=False)
]
HIVE = {"string": pa.string(), "bigint": pa.int64(), "boolean": pa.bool_(), "double": pa.float64()}


@pytest.mark.parametrize(
    ("events", "rows", "columns", "read"),
    [
        (OUTCOMES, [outcome_row(each, PAID + 950) for each in OUTCOMES], OUTCOME_COLUMNS, read_outcomes),
        (LABELS, [label_row(each, PAID + 950) for each in LABELS], LABEL_COLUMNS, read_labels),
    ],
    ids=["outcomes", "labels"],
)
def test_training_reads_back_what_was_recorded(
    events: Sequence[Event],
    rows: list[dict[str, Any]],
    columns: Mapping[str, str],
    read: Callable[[Path], pa.Table],
    tmp_path: Path,
) -> None:
    schema = pa.schema([(name, HIVE[kind]) for name, kind in columns.items()])
    folder = tmp_path / "day=2026-01-01"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "part-0.parquet")
    assert EventTable.of(read(tmp_path)).events(np.arange(len(events))) == events
