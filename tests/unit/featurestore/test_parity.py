"""`paywarden parity`: it passes where the engines agree, and fails on the least disagreement."""

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fraud.codec import encode
from fraud.events import Label, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import replay
from fraud.state import State
from ops.cli import app, main
from ops.featurestore.histories import events_of, read_history, table_of
from ops.featurestore.online import Online
from ops.featurestore.parity import Engine, Report, compare
from ops.inputs import Mapping, load_mapping
from ops.inputs.errors import RowError
from training.engines import vectorised
from training.engines.events import table_of as table_of_events

MAPPING = """
[columns]
transaction_id = "id"
merchant_id = "shop"
card = "card"
customer = "customer"
device = "device"
[constants]
currency = "EUR"
[time]
column = "time"
format = "epoch_ms"
[amount]
column = "amount"
unit = "minor"
[label]
column = "fraud"
fraud = [1]
genuine = [0]
known_at = "known"
"""
BOTH = [Engine.ONLINE, Engine.VECTORISED]


def _table(rows: int = 400, seed: int = 3) -> pd.DataFrame:
    """Payments by few cards at few shops, ties among them, frauds known at odd times."""
    rng = random.Random(seed)
    start = 1_700_000_000_000
    times = [start + rng.randrange(40 * 86_400) * 1_000 for _ in range(rows)]
    times[10:20] = [times[10]] * 10
    return pd.DataFrame(
        {
            "id": [f"t{number}" for number in range(rows)],
            "shop": [f"shop-{rng.randrange(3)}" for _ in times],
            "card": [f"card-{rng.randrange(12)}" for _ in times],
            "customer": [f"customer-{rng.randrange(9)}" for _ in times],
            "device": [rng.choice(["", "d1", "d2", "d3"]) for _ in times],
            "time": times,
            "amount": [rng.randrange(50_000) for _ in times],
            "fraud": [int(rng.random() < 0.1) for _ in times],
            "known": [time + rng.randrange(30 * 86_400_000) for time in times],
        }
    )


@pytest.fixture
def mapping(tmp_path: Path) -> Mapping:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return load_mapping(tmp_path / "mapping.toml")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "payments.csv"
    _table().to_csv(path, index=False)
    return path


def _compare(frame: pd.DataFrame, seed: int = 7) -> Report:
    return compare(frame, STANDARD, BOTH, seed=seed, progress=lambda *_: None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_engines_agree_through_shuffles_duplicates_and_crashes(table: Path, mapping: Mapping, seed: int) -> None:
    frame, _ = read_history(table, mapping)
    report = _compare(frame, seed)
    assert report.mismatches == ()
    assert (report.rows, report.features) == (400, len(STANDARD.names))
    assert report.duplicates > 20
    assert report.crashes > 5


def test_one_bit_of_one_number_is_found(table: Path, mapping: Mapping, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, _ = read_history(table, mapping)
    exact = vectorised.compute

    def nearly(*given: object, **options: object) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
        matrix = exact(*given, **options)  # type: ignore[arg-type]
        column = STANDARD.names.index("customer_amount_mean_30d")
        row = int(np.flatnonzero(~np.isnan(matrix[:, column]))[-1])
        matrix[row, column] = np.nextafter(matrix[row, column], np.inf)
        return matrix

    monkeypatch.setattr(vectorised, "compute", nearly)
    (found,) = _compare(frame).mismatches
    assert found.feature == "customer_amount_mean_30d"
    assert found.found == pytest.approx(found.expected, rel=1e-12)


def test_the_online_side_ends_in_the_states_of_the_reference_fold(table: Path, mapping: Mapping) -> None:
    frame, _ = read_history(table, mapping)
    events = events_of(frame)
    online = Online(STANDARD, seed=11)
    seen = [transaction.event_id for transaction, _ in online.vectors(events)]
    assert seen == [event.event_id for event in events if isinstance(event, Transaction)]
    states: dict[Key, State] = {}
    list(replay(events, states=states))
    stored = online.states(sorted(states))
    assert {key: encode(state) for key, state in stored.items()} == {
        key: encode(state) for key, state in states.items()
    }


def test_a_history_is_the_same_as_events_and_as_a_table(table: Path, mapping: Mapping) -> None:
    frame, _ = read_history(table, mapping)
    events = events_of(frame)
    assert any(isinstance(event, Label) for event in events)
    names = ["merchant_id", "transaction_id", "event", "kind", "at", "amount", "device"]
    first, second = (
        each.select(names).sort_by([(name, "ascending") for name in names])
        for each in (table_of(frame), table_of_events(events))
    )
    assert first.to_pylist() == second.to_pylist()


def test_a_row_that_is_there_twice_counts_once_and_another_under_its_id_is_refused(
    tmp_path: Path, mapping: Mapping
) -> None:
    rows = _table(20)
    pd.concat([rows, rows.iloc[[3]]]).to_csv(tmp_path / "twice.csv", index=False)
    frame, repeated = read_history(tmp_path / "twice.csv", mapping)
    assert (len(frame), repeated) == (20, 1)
    other = rows.iloc[[3]].assign(amount=1)
    pd.concat([rows, other]).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(RowError, match="1 rows have a transaction_id that another row"):
        read_history(tmp_path / "other.csv", mapping)


def _run(table: Path, *more: str) -> tuple[int, dict[str, object], str]:
    mapping = str(table.parent / "mapping.toml")
    command = [
        "parity",
        "--data",
        str(table),
        "--mapping",
        mapping,
        "--engine",
        "online",
        "--engine",
        "vectorised",
    ]
    done = CliRunner().invoke(app, [*command, *more])
    return done.exit_code, json.loads(done.stdout) if done.stdout else {}, done.stderr


@pytest.mark.usefixtures("mapping")
def test_the_command_prints_one_line_and_exits_with_0_where_nothing_differs(table: Path) -> None:
    code, line, _ = _run(table, "--limit", "150")
    assert code == 0
    assert line["rows"] == 150
    assert line["mismatches"] == 0
    assert line["engines"] == ["vectorised", "online"]
    assert set(line) >= {"rows", "features", "mismatches", "engines", "seconds"}


@pytest.mark.usefixtures("mapping")
def test_the_command_shows_mismatches_and_exits_with_1(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = vectorised.compute
    monkeypatch.setattr(vectorised, "compute", lambda *given, **options: exact(*given, **options) + 1)
    code, line, told = _run(table, "--limit", "20")
    assert code == 1
    assert isinstance(line["mismatches"], int)
    assert line["mismatches"] > 20
    assert "row 0" in told


@pytest.mark.usefixtures("mapping")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--features", "odd"], "there are standard, handbook"),
        (["--engine", "odd"], "there are vectorised, spark, online"),
        (["--engine", "online"], "name at least two"),
    ],
)
def test_what_cannot_be_compared_is_told(
    table: Path,
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mapping = str(table.parent / "mapping.toml")
    command = ["paywarden", "parity", "--data", str(table), "--mapping", mapping, *arguments]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert words in " ".join(capsys.readouterr().err.split())
