from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.events import Label
from tests.unit.training.synthetic import labels, transactions, write_decisions, write_history, write_labels
from training.contract import ProgramError
from training.lake import read_decisions, read_history, read_labels

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
    assert history.transactions == FOUND
    assert [(each.transaction, each.known_at) for each in history.labels] == [
        (each.transaction, each.known_at) for each in known
    ]


def test_an_absent_input_is_an_empty_one(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none").transactions == []
    assert read_decisions(tmp_path / "none", ("amount",)).vectors.shape == (0, 1)
    assert read_labels(tmp_path / "none") == []


def test_optional_columns_may_be_absent_or_null(tmp_path: Path) -> None:
    path = write_history(tmp_path, FOUND, [])
    _rewrite(path, lambda table: table.drop_columns(["ip", "channel"]))
    _rewrite(path, _replace("device", pa.nulls(len(FOUND), pa.string())))
    first = read_history(_inputs(tmp_path, "history")).transactions[0]
    assert (first.ip, first.channel, first.device) == ("", "ecommerce", "")


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
    assert read_history(_inputs(tmp_path, "history")).labels == []
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
    with pytest.raises(ProgramError, match="holds str; it must be map<string,double>"):
        read_decisions(_inputs(tmp_path, "decisions"), ("amount",))
