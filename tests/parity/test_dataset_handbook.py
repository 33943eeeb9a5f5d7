"""A slice of the published handbook data through dataset, training and evaluation."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.unit.training.jobs import REPOSITORY, run, stage_evaluation, stage_training

HANDBOOK = REPOSITORY.parent / "shared" / "data" / "handbook" / "transactions_visible.parquet"
DAYS = 70
CUSTOMERS = 500
DAY = 86_400_000

pytestmark = pytest.mark.skipif(
    not HANDBOOK.is_file(), reason=f"the handbook data is not at {HANDBOOK}; it is not part of this repository"
)


def _write_history(root: Path) -> int:
    """All payments of some customers, with labels known a week later; returns the time of the last payment."""
    table = pq.read_table(
        HANDBOOK,
        filters=(pc.field("TX_TIME_DAYS") < DAYS) & (pc.field("CUSTOMER_ID") < CUSTOMERS),
    )
    times = table["TX_DATETIME"].cast(pa.timestamp("ms")).cast(pa.int64())
    customers = table["CUSTOMER_ID"].cast(pa.string())
    frauds = pc.equal(table["TX_FRAUD"], pa.scalar(1, pa.int8()))
    columns = {
        "transaction_id": table["TRANSACTION_ID"].cast(pa.string()),
        "merchant_id": table["TERMINAL_ID"].cast(pa.string()),
        "event_time": times,
        "amount": pc.cast(pc.round(pc.multiply(table["TX_AMOUNT"], 100.0)), pa.int64()),
        "currency": pa.repeat("EUR", table.num_rows),
        "card": customers,
        "customer": customers,
        "is_fraud": frauds,
        "known_at": pc.if_else(frauds, pc.add(times, 7 * DAY), pa.scalar(None, pa.int64())),
    }
    folder = root / "processing" / "input" / "history" / "handbook"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "transactions-0.parquet")
    return int(pc.max(times).as_py())


def test_a_model_of_the_handbook_ranks_later_frauds_far_above_chance(tmp_path: Path) -> None:
    last = _write_history(tmp_path / "dataset")
    built = run(tmp_path / "dataset", "dataset", "--as-of", str(last), "--maturity", "7d")
    assert built.code == 0, built.err
    dataset = tmp_path / "dataset" / "processing" / "output" / "dataset"
    trained = stage_training(tmp_path / "train", dataset, {"run_id": "handbook"})
    done = run(trained, "train")
    assert done.code == 0, done.err
    judged = stage_evaluation(tmp_path / "evaluate", dataset, trained / "model")
    done = run(judged, "evaluate")
    assert done.code == 0, done.err
    document = json.loads((judged / "processing" / "output" / "evaluation" / "evaluation.json").read_text())
    candidate = document["candidate"]
    assert document["frauds"] >= 20
    assert candidate["auc"] > 0.75
    assert candidate["average_precision"] > 10 * document["frauds"] / document["rows"]
    assert candidate["expected_calibration_error"] < 0.01
    assert candidate["card_precision_at_100"] is not None
    assert document["verdict"]["passed"] is True
