"""The monitoring job over small lakes: what it says of them, figure by figure."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.events import Outcome, Transaction
from fraud.features import STANDARD
from tests.unit.training.jobs import fails
from tests.unit.training.synthetic import (
    DAY,
    HOUR,
    START,
    labels,
    transactions,
    write_decisions,
    write_labels,
    write_outcomes,
)
from training.__main__ import main
from training.contract import Contract
from training.monitoring_document import Report
from training.profile import profile_of, write_profile

AS_OF = START + 30 * DAY
AGES = {f"{entity}_since_first_90d" for entity in ("card", "customer", "device", "device_card")}
"""A history that grows older is drift of these."""

BOUNDS = {"minimum_decisions": 200, "minimum_frauds": 10, "maximum_drifted": 0.5}


@cache
def _world(raised: int) -> tuple[list[Transaction], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """30 days of payments, whether each is fraud, and its vector; amounts of the last 7 days times a factor."""
    from training.engines import vectorised
    from training.engines.events import table_of

    found, frauds = transactions(3, 2_000, rate=0.03)
    found = [
        msgspec.structs.replace(each, amount=each.amount * raised) if each.event_time > AS_OF - 7 * DAY else each
        for each in found
    ]
    return (
        found,
        np.array([frauds[each.event_id] for each in found]),
        vectorised.compute(table_of(found), STANDARD),
    )


@cache
def _decisions(raised: int) -> pa.Table:
    """The lake's rows, without scores."""
    found, _, vectors = _world(raised)
    named = [
        {name: float(value) for name, value in zip(STANDARD.names, row, strict=True) if not np.isnan(value)}
        for row in vectors
    ]
    with TemporaryDirectory() as folder:
        return pq.read_table(write_decisions(Path(folder), found, named))


def _lake(root: Path, *, raised: int = 1, promised: float = 1.0, profile: bool = True, **policy: Any) -> Path:
    """A lake, its champion and its plan; returns the file of decisions. Labels reach no features in it."""
    found, truth, _ = _world(raised)
    generator = np.random.default_rng(1)
    # What the score promises is what becomes known, times a factor.
    promise = np.where(truth, generator.beta(6, 2, len(found)), generator.beta(1, 40, len(found)))
    columns = {
        "score": pa.array(np.clip(promise * promised, 0, 1)),
        "model_version": pa.array(["run-1"] * len(found)),
        "recorded_at": pa.array([each.event_time + 5 for each in found]),
    }
    table = _decisions(raised)
    for name, column in columns.items():
        table = table.append_column(name, column)
    day = f"day={datetime.fromtimestamp(AS_OF / 1e3, UTC):%Y-%m-%d}"
    path = root / "processing" / "input" / "decisions" / day / "part-0.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table, path)
    write_labels(
        root, labels(found, {each.event_id: bool(fraud) for each, fraud in zip(found, truth, strict=True)})
    )
    champion = root / "processing" / "input" / "champion"
    champion.mkdir(parents=True)
    if profile:
        calm = _world(1)[2]
        write_profile(champion, profile_of(STANDARD.names, calm[-1_000:], truth[-1_000:].astype(np.int8)))
    plan = root / "processing" / "input" / "plan" / "plan.json"
    plan.parent.mkdir(parents=True)
    document = {"run_id": "look-1", "as_of": AS_OF, "champion": "run-1", "monitoring": BOUNDS | policy}
    plan.write_text(json.dumps(document))
    return path


def _look(root: Path) -> Report:
    assert main(["monitor", "--resamples", "20"], Contract(root, cpus=1)) == 0
    folder = root / "processing" / "output" / "monitoring"
    assert "<h1>" in (folder / "report.html").read_text()
    assert (folder / "consistency.html").is_file()
    return msgspec.json.decode((folder / "monitoring.json").read_bytes(), type=Report)


def _change(path: Path, **columns: Any) -> None:
    table = pq.read_table(path)
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, path)


def test_a_world_without_drift_is_told_as_one(tmp_path: Path) -> None:
    _lake(tmp_path)
    report = _look(tmp_path)
    figures = report.figures
    assert (figures.score_index, figures.missing_change, figures.rate_change) == (0.0, 0.0, 0.0)
    assert {each.name for each in report.features if each.drifted} <= AGES
    inside = [each for each in _world(1)[0] if AS_OF - 7 * DAY < each.event_time + 5 <= AS_OF]
    assert figures.decisions == len(inside) == sum(report.deciders.values())
    assert report.features_against == "training"
    assert report.verdict.retrain is False
    assert figures.approve == 1.0
    assert report.audit.decided_twice == report.audit.lost == 0


def test_amounts_that_change_are_told_by_the_features_that_they_change(tmp_path: Path) -> None:
    _lake(tmp_path, raised=8, maximum_drifted=0.05)
    report = _look(tmp_path)
    drifted = {each.name for each in report.features if each.drifted}
    assert "amount" in drifted
    assert not [name for name in drifted - AGES if "amount" not in name]
    assert report.verdict.retrain
    assert report.features[0].bins is not None
    assert f"{len(drifted)} of {len(STANDARD.names)} features have drifted" in report.verdict.reason


def test_scores_are_held_to_the_evaluation_and_to_the_window_before(tmp_path: Path) -> None:
    path = _lake(tmp_path)
    edges = [step / 20 for step in range(21)]
    scores = pq.read_table(path)["score"].to_numpy()
    counts = np.histogram(scores, edges)[0]
    evaluation = tmp_path / "processing" / "input" / "evaluation" / "evaluation.json"
    evaluation.parent.mkdir()
    plots = {"score_histogram": {"edges": edges, "genuine": counts.tolist(), "fraud": [0] * 20}, "roc": {}}
    evaluation.write_text(
        json.dumps(
            {"candidate": {"auc": 0.99, "average_precision": 0.9}, "plots": {"candidate": plots, "champion": None}}
        )
    )
    calm = _look(tmp_path)
    assert [each.against for each in calm.scores] == ["evaluation", "window before"]
    assert all(each.index < each.noise for each in calm.scores)
    assert calm.quality is not None
    assert calm.quality.auc_evaluated == 0.99
    # All scores of the window rise.
    recorded = pq.read_table(path)["recorded_at"].to_numpy()
    _change(path, score=pa.array(np.where(recorded > AS_OF - 7 * DAY, np.minimum(scores + 0.15, 1), scores)))
    risen = _look(tmp_path)
    assert risen.figures.score_index == max(each.index for each in risen.scores) > 0.25
    assert risen.verdict.retrain


def test_labels_tell_whether_the_champion_still_keeps_its_promise(tmp_path: Path) -> None:
    _lake(tmp_path, promised=0.2)
    report = _look(tmp_path)
    told, figures = report.quality, report.figures
    assert told is not None
    found, truth, _ = _world(1)
    mature = np.array([each.event_time <= AS_OF - 3 * DAY for each in found])
    assert (told.rows, told.frauds) == (mature.sum(), truth[mature].sum())
    assert told.known == told.frauds
    assert told.auc is not None
    assert told.auc > 0.95
    assert figures.calibration_factor == pytest.approx(told.known / told.expected)
    assert 2 < (figures.calibration_least or 0) < (figures.calibration_factor or 0)
    low, high = told.intervals["auc"] or (1.0, 0.0)
    assert low <= told.auc <= high
    assert len(told.promised) == len(told.observed)
    assert report.verdict.retrain
    assert "Expected and known frauds are a factor of" in report.verdict.reason


def test_a_payment_let_through_stands_for_those_like_it(tmp_path: Path) -> None:
    path = _lake(tmp_path)
    table = pq.read_table(path)
    _, truth, _ = _world(1)
    passed = truth & (np.arange(len(truth)) % 2 == 0)
    table = table.append_column("would_be", pa.array(["decline" if each else "" for each in passed]))
    table = table.append_column("propensity", pa.array([0.1 if each else 1.0 for each in passed]))
    pq.write_table(table, path)
    told = _look(tmp_path).quality
    assert told is not None
    mature = np.array([each.event_time <= AS_OF - 3 * DAY for each in _world(1)[0]])
    assert told.known == pytest.approx(truth[mature].sum() + 9 * (passed & mature).sum())


def test_shadow_scores_are_the_champions_where_another_model_decided(tmp_path: Path) -> None:
    path = _lake(tmp_path)
    table = pq.read_table(path)
    count = table.num_rows
    other = np.arange(count) % 4 == 0
    shadow = [[("run-1", 0.5)] if each else [] for each in other]
    _change(path, model_version=pa.array(["run-2" if each else "run-1" for each in other]))
    table = pq.read_table(path)
    pq.write_table(table.append_column("shadow", pa.array(shadow, pa.map_(pa.string(), pa.float64()))), path)
    report = _look(tmp_path)
    assert report.deciders.keys() == {"run-1", "run-2"}
    assert report.scores[0].rows == report.figures.decisions
    assert report.quality is not None


def test_delivered_twice_is_allowed_and_decided_twice_is_not(tmp_path: Path) -> None:
    path = _lake(tmp_path)
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 50), path.with_name("again.parquet"))
    calm = _look(tmp_path)
    assert (calm.audit.delivered_again, calm.audit.decided_twice) == (50, 0)
    changed = table.slice(0, 2)
    changed = changed.set_column(changed.schema.get_field_index("decision"), "decision", pa.array(["decline"] * 2))
    pq.write_table(changed, path.with_name("other.parquet"))
    # The document tells what is old, and only what the window brought is judged: else no alarm would ever end.
    old = _look(tmp_path)
    assert (old.audit.decided_twice, old.audit.decided_twice_now, old.figures.decided_twice) == (2, 0, 0)
    assert set(old.audit.examples) == {each.event_id for each in _world(1)[0][:2]}
    assert next(each.kept for each in old.verdict.findings if each.subject == "exactly once")
    again = pa.array([AS_OF - DAY, AS_OF - 8 * DAY])
    changed = changed.set_column(changed.schema.get_field_index("recorded_at"), "recorded_at", again)
    pq.write_table(changed, path.with_name("other.parquet"))
    report = _look(tmp_path)
    assert (report.audit.decided_twice, report.figures.decided_twice) == (2, 1)
    assert report.audit.examples[0] == _world(1)[0][0].event_id
    assert report.verdict.passed is False
    assert "1 payments were decided on a second time" in report.verdict.reason


def test_a_report_on_a_payment_that_the_lake_lacks_tells_of_a_lost_decision(tmp_path: Path) -> None:
    _lake(tmp_path)
    gone = replace_ids(_world(1)[0][:2])
    # The second is so young that its decision may be on its way.
    write_outcomes(
        tmp_path,
        [
            Outcome(transaction=each, kind="captured", event_time=at)
            for each, at in zip(gone, (AS_OF - 2 * HOUR, AS_OF - 60_000), strict=True)
        ],
    )
    report = _look(tmp_path)
    assert (report.audit.lost, report.audit.examples) == (1, (gone[0].event_id,))
    assert report.figures.lost == report.audit.lost_now == 1
    # The next report over two hours sees the second, and the first is past.
    _plan_again(tmp_path, as_of=AS_OF + HOUR + 1, days=1 / 24)
    later = _look(tmp_path)
    assert (later.audit.lost, later.figures.lost, later.audit.examples[0]) == (2, 1, gone[1].event_id)
    # Days that were not read may hold the decisions: nothing is told of payments from before.
    _plan_again(tmp_path, since=AS_OF)
    assert _look(tmp_path).audit.lost == 0


def _plan_again(root: Path, *, days: float | None = None, **changed: int) -> None:
    path = root / "processing" / "input" / "plan" / "plan.json"
    document = json.loads(path.read_text()) | changed
    if days is not None:
        document["monitoring"]["days"] = days
    path.write_text(json.dumps(document))


def replace_ids(found: list[Transaction]) -> list[Transaction]:
    return [msgspec.structs.replace(each, transaction_id=f"gone-{each.transaction_id}") for each in found]


def test_serving_that_sees_another_feature_is_skewed_and_does_not_start_a_retraining(tmp_path: Path) -> None:
    path = _lake(tmp_path)
    table = pq.read_table(path)
    wrong = [
        [(name, value + 1 if name == "amount" else value) for name, value in row]
        for row in table["features"].to_pylist()
    ]
    _change(path, features=pa.array(wrong, pa.map_(pa.string(), pa.float64())))
    report = _look(tmp_path)
    # Labels reach features in the lake, not in these vectors: those differ as well.
    assert report.figures.skewed >= 1
    assert "consistency" in {each.subject for each in report.verdict.findings if not each.kept}
    assert "amount" in (tmp_path / "processing/output/monitoring/consistency.html").read_text()


def test_slices_are_the_largest_values_and_add_up(tmp_path: Path) -> None:
    path = _lake(tmp_path)
    count = pq.read_table(path).num_rows
    _change(path, mcc=pa.array([str(5_000 + number % 9) for number in range(count)]))
    report = _look(tmp_path)
    for dimension in ("merchant", "mcc", "currency", "channel", "issuer_country"):
        parts = [each for each in report.slices if each.dimension == dimension]
        assert sum(each.decisions for each in parts) == report.figures.decisions, dimension
        assert len(parts) <= 7
        assert sum(each.frauds for each in parts) <= report.figures.frauds
    assert any(each.value == "all others" for each in report.slices)


def test_silence_is_counted_from_the_last_record_of_a_label(tmp_path: Path) -> None:
    _lake(tmp_path)
    path = next((tmp_path / "processing" / "input" / "labels").rglob("*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.append_column("recorded_at", pa.array([AS_OF - 100 * HOUR] * table.num_rows)), path)
    report = _look(tmp_path)
    assert report.figures.label_silence == 360_000.0
    assert "The last label was recorded 100.0 hours ago" in report.verdict.reason


def test_without_a_champion_and_without_a_profile_the_window_before_is_the_measure(tmp_path: Path) -> None:
    _lake(tmp_path, profile=False, raised=8)
    report = _look(tmp_path)
    assert report.features_against == "window before"
    assert "amount" in {each.name for each in report.features if each.drifted}
    plan = tmp_path / "processing" / "input" / "plan" / "plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"champion": ""}))
    alone = _look(tmp_path)
    assert (alone.scores, alone.quality, alone.figures.score_index) == ((), None, None)


def test_few_payments_are_no_drift(tmp_path: Path) -> None:
    _lake(tmp_path, raised=8, days=0.3, minimum_decisions=20)
    report = _look(tmp_path)
    assert 10 < report.figures.decisions < 60
    assert report.figures.score_index in (0.0, None)
    assert report.verdict.retrain is False


def test_nothing_in_the_window_is_no_failure(tmp_path: Path) -> None:
    _lake(tmp_path)
    plan = tmp_path / "processing" / "input" / "plan" / "plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"as_of": AS_OF + 200 * DAY}))
    report = _look(tmp_path)
    assert (report.figures.decisions, report.features, report.actions) == (0, (), {})
    assert report.verdict.retrain is False


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    assert "plan.json; start a monitoring run" in fails(tmp_path, "monitor")
    _lake(tmp_path / "two")
    broken = tmp_path / "two" / "processing" / "input"
    (broken / "evaluation").mkdir()
    (broken / "evaluation" / "evaluation.json").write_text("{}")
    assert "evaluation.json is not usable" in fails(tmp_path / "two", "monitor")
