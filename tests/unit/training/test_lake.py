from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.events import Label, Outcome
from tests.unit.training.synthetic import (
    labels,
    transactions,
    write_decisions,
    write_history,
    write_labels,
    write_outcomes,
)
from training.contract import ProgramError
from training.engines.events import EventTable, table_of
from training.lake import EVENTS, TRANSACTIONS, read_decisions, read_history, read_labels, read_outcomes

FOUND, FRAUDS = transactions(1, 40)


def _inputs(root: Path, name: str) -> Path:
    return root / "processing" / "input" / name


def _rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def _replace(name: str, values: "pa.Array[Any]") -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.schema.get_field_index(name), name, values)


def test_history_comes_back_as_it_was_written(tmp_path: Path) -> None:
    known = labels(FOUND, FRAUDS)
    write_history(tmp_path, FOUND, known)
    history = read_history(_inputs(tmp_path, "history"))
    assert history.transactions.equals(table_of(FOUND).select(TRANSACTIONS.names))
    told = [Label(transaction=each.transaction, kind="confirmed_fraud", known_at=each.known_at) for each in known]
    assert history.labels.equals(table_of(told))


def test_labels_and_outcomes_come_back_as_events(tmp_path: Path) -> None:
    told = labels(FOUND, dict.fromkeys(FRAUDS, True))
    write_labels(tmp_path, told)
    found = read_labels(_inputs(tmp_path, "labels"))
    assert found.select(EVENTS.names).equals(table_of(told))
    # From before labels told who said so, and how sure.
    assert found["source"].null_count == found["confidence"].null_count == len(told)
    outcomes = [Outcome(transaction=each, kind="declined", event_time=each.event_time + 5) for each in FOUND]
    write_outcomes(tmp_path, outcomes)
    read = read_outcomes(_inputs(tmp_path, "outcomes"))
    assert EventTable.of(read).events(np.arange(len(FOUND))) == outcomes


def test_an_absent_input_is_an_empty_one(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none").transactions.num_rows == 0
    assert read_decisions(tmp_path / "none", ("amount",)).vectors.shape == (0, 1)
    assert read_labels(tmp_path / "none").num_rows == read_outcomes(tmp_path / "none").num_rows == 0


def test_optional_columns_may_be_absent_or_null(tmp_path: Path) -> None:
    path = write_history(tmp_path, FOUND, [])
    _rewrite(path, lambda table: table.drop_columns(["ip", "channel"]))
    _rewrite(path, _replace("device", pa.nulls(len(FOUND), pa.string())))
    read = read_history(_inputs(tmp_path, "history")).transactions
    first = read.select(["ip", "channel", "device"]).to_pylist()[0]
    assert first == {"ip": "", "channel": "ecommerce", "device": ""}


def test_a_missing_column_is_named_with_its_file(tmp_path: Path) -> None:
    path = write_history(tmp_path, FOUND, [])
    _rewrite(path, lambda table: table.drop_columns(["card"]))
    with pytest.raises(ProgramError, match=r"transactions-0\.parquet has no column 'card'"):
        read_history(_inputs(tmp_path, "history"))


def test_times_must_be_milliseconds_and_not_timestamps(tmp_path: Path) -> None:
    path = write_history(tmp_path, FOUND, [])
    times = pa.array([each.event_time for each in FOUND], pa.int64()).cast(pa.timestamp("ms"))
    _rewrite(path, _replace("event_time", times))
    with pytest.raises(ProgramError, match=r"'event_time'.*timestamp.*whole numbers"):
        read_history(_inputs(tmp_path, "history"))


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("amount", pa.array([-5] + [5] * 39), r"1 rows .* 'amount' below 0 or from .* leave refunds out"),
        ("amount", pa.array([10**15] * 40), r"40 rows .* 'amount' .* check its unit"),
        ("amount", pa.array([2**63] * 40, pa.uint64()), r"'amount' .* beyond 64 bits"),
        ("event_time", pa.array([FOUND[0].event_time * 1_000] * 40), r"'event_time' .* milliseconds since"),
        ("event_time", pa.array([-1] + [5] * 39), r"1 rows .* 'event_time' below 0"),
        ("currency", pa.array(["EUR"] * 39 + ["EURO"]), r"1 rows .* 'currency' .* write it like EUR"),
        ("known_at", pa.array([2**62] * 40), r"40 rows .* 'known_at' .* check its unit"),
        ("merchant_id", pa.array(["", *["m"] * 39]), r"1 rows .* have no 'merchant_id'"),
        ("card", pa.array([4] * 40), r"'card' .* is int64; it must be text"),
        ("is_fraud", pa.array([2] * 40), r"'is_fraud' .* is int64; it must be true or false"),
    ],
)
def test_what_no_event_can_hold_is_refused_with_its_column(
    tmp_path: Path, column: str, values: "pa.Array[Any]", reason: str
) -> None:
    path = write_history(tmp_path, FOUND, [])
    _rewrite(path, _replace(column, values))
    with pytest.raises(ProgramError, match=reason):
        read_history(_inputs(tmp_path, "history"))


def test_an_outcome_of_an_unknown_kind_or_without_a_time_is_refused(tmp_path: Path) -> None:
    outcomes = [Outcome(transaction=each, kind="declined", event_time=each.event_time) for each in FOUND]
    path = write_outcomes(tmp_path, outcomes)
    _rewrite(path, _replace("outcome", pa.array([None, *["declined"] * (len(FOUND) - 1)])))
    with pytest.raises(ProgramError, match="'None'; it must be one of authorised"):
        read_outcomes(_inputs(tmp_path, "outcomes"))
    path = write_outcomes(tmp_path, outcomes)
    _rewrite(path, _replace("outcome_time", pa.nulls(len(FOUND), pa.int64())))
    with pytest.raises(ProgramError, match=r"40 rows .* have no 'outcome_time'"):
        read_outcomes(_inputs(tmp_path, "outcomes"))


def test_a_row_without_a_card_is_counted(tmp_path: Path) -> None:
    path = write_history(tmp_path, FOUND, [])
    _rewrite(path, _replace("card", pa.array([None, None, *["c"] * (len(FOUND) - 2)])))
    with pytest.raises(ProgramError, match=r"2 rows .* have no 'card'"):
        read_history(_inputs(tmp_path, "history"))


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    path = write_history(tmp_path, FOUND, [])
    path.write_bytes(b"not parquet at all")
    with pytest.raises(ProgramError, match="not a readable Parquet file"):
        read_history(_inputs(tmp_path, "history"))


def test_a_fraud_of_unknown_time_is_refused_and_a_genuine_row_is_unlabelled(tmp_path: Path) -> None:
    path = write_history(tmp_path, FOUND, [])
    _rewrite(path, _replace("is_fraud", pa.array([False] * len(FOUND))))
    assert read_history(_inputs(tmp_path, "history")).labels.num_rows == 0
    _rewrite(path, _replace("is_fraud", pa.array([True, *[False] * (len(FOUND) - 1)])))
    with pytest.raises(ProgramError, match=r"1 rows .* without known_at.*mapping"):
        read_history(_inputs(tmp_path, "history"))


def test_a_label_before_its_transaction_hints_at_the_units(tmp_path: Path) -> None:
    early = Label(transaction=FOUND[3], kind="chargeback", known_at=FOUND[3].event_time // 1_000)
    write_history(tmp_path, FOUND, [early])
    with pytest.raises(ProgramError, match="known_at before event_time; check the units"):
        read_history(_inputs(tmp_path, "history"))


def test_a_label_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    path = write_labels(tmp_path, labels(FOUND, dict.fromkeys(FRAUDS, True)))
    _rewrite(path, _replace("label", pa.array(["maybe", *["chargeback"] * (len(FOUND) - 1)])))
    with pytest.raises(ProgramError, match="'maybe'; it must be one of chargeback"):
        read_labels(_inputs(tmp_path, "labels"))


@pytest.mark.parametrize(
    "features",
    [
        pa.array(
            [[("amount", 5.0), ("other", 1.0)], [("amount", None)], None], pa.map_(pa.string(), pa.float64())
        ),
        pa.array([[{"key": "amount", "value": 5.0}], [], None]),
        pa.array([{"amount": 5.0}, {"amount": None}, None]),
    ],
    ids=["map", "records", "struct"],
)
def test_vectors_are_read_from_every_form_of_a_map(tmp_path: Path, features: "pa.Array[Any]") -> None:
    path = write_decisions(tmp_path, FOUND[:3], [{}] * 3)
    _rewrite(path, _replace("features", features))
    read = read_decisions(_inputs(tmp_path, "decisions"), ("hour_of_day", "amount"))
    np.testing.assert_array_equal(read.vectors, [[np.nan, 5.0], [np.nan, np.nan], [np.nan, np.nan]])
    assert (read.has_vector[0], read.has_vector[2]) == (True, False)


def test_vectors_in_text_are_refused(tmp_path: Path) -> None:
    path = write_decisions(tmp_path, FOUND[:1], [{}])
    _rewrite(path, _replace("features", pa.array(['{"amount": 5}'])))
    with pytest.raises(ProgramError, match="is string; it must be map<string,double>"):
        read_decisions(_inputs(tmp_path, "decisions"), ("amount",))
