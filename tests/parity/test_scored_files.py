"""A file that is scored at once gets what serving would have said of each payment at its moment, bit for bit."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from fraud.calibration import Calibration, calibrate
from fraud.decision import Decision
from fraud.events import Label, Transaction
from fraud.features import STANDARD, FeatureSet
from fraud.policy import Costs, Policy, Thresholds
from ops.cli import app
from ops.featurestore.histories import events_of
from ops.inputs import build_world, decision_body, to_frame
from ops.scoring.errors import ScoringError
from ops.scoring.files import write
from ops.scoring.models import model_in
from ops.scoring.vectors import Scoring, decided, tokenised
from runtime.stores.decisions import MemoryDecisionStore
from runtime.stores.features import MemoryFeatureStore
from tests.unit.lambdas import deciding
from tests.unit.lambdas.deliveries import deliver, updater
from tests.unit.lambdas.support import bundle
from training.calibrate import calibrated

ROWS = 150
POLICY = Policy(version="p", thresholds=Thresholds(challenge=0.08, review=0.1, decline=0.13))


def unseen(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True)
class Served:
    """What serving said of each payment, in the order of the frame."""

    frame: pd.DataFrame
    rows: list[dict[str, object]]
    decisions: list[Decision]


@pytest.fixture(scope="module")
def served() -> Served:
    """A small world, payment by payment, each folded with its label before the next one comes."""
    world = build_world(5)
    frame = to_frame(sorted(world.live, key=lambda row: row.order)[:ROWS])
    states, ledger = MemoryFeatureStore(), MemoryDecisionStore()
    scorer = deciding.scorer(states, ledger, model=deciding.served(), policy=POLICY)
    folding = updater(states)
    rows, decisions = {}, {}
    for event in events_of(frame):
        paid = event.transaction
        if isinstance(event, Transaction):
            sent = json.dumps(decision_body(paid)).encode()
            told = deciding.decide(scorer, sent, at=paid.event_time, merchant=paid.merchant_id)
            rows[paid.event_id] = deciding.row(ledger, paid.event_id)
            decisions[paid.event_id] = msgspec.json.decode(told.answer, type=Decision)
        token = deciding.TOKENS.apply(paid)
        folded = token if isinstance(event, Transaction) else msgspec.structs.replace(event, transaction=token)
        assert isinstance(folded, Transaction | Label)
        assert folding.apply(list(deliver([folded]))).failed == []
    names = [f"{m}/{t}" for m, t in zip(frame["merchant_id"], frame["transaction_id"], strict=True)]
    return Served(frame, [rows[name] for name in names], [decisions[name] for name in names])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest, model = bundle()
    made = tmp_path_factory.mktemp("bundle")
    (made / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (made / "model.ubj").write_bytes(model)
    return made


def test_a_scored_file_says_what_serving_said(served: Served, folder: Path) -> None:
    frame = tokenised(served.frame, deciding.TOKENS)
    scoring = Scoring(model_in(folder), POLICY, reasons=True)
    told = pa.concat_tables(scoring.rows(frame, batch=64, progress=unseen)).to_pylist()
    assert len(told) == ROWS
    for row, kept, decision in zip(told, served.rows, served.decisions, strict=True):
        assert (row["raw_score"], row["score"]) == (kept["raw_score"], kept["score"])
        assert row["decision"] == decision.decision
        assert row["reasons"] == [each.code for each in decision.reasons]
    assert len({row["decision"] for row in told}) > 2
    assert any(row["reasons"] for row in told)


def test_rows_before_the_time_are_history_only(served: Served, folder: Path) -> None:
    frame = tokenised(served.frame, deciding.TOKENS)
    since = int(frame["event_time"].iloc[100])
    told = pa.concat_tables(Scoring(model_in(folder)).rows(frame, since=since, progress=unseen))
    later = [row["score"] for row in served.rows if int(str(row["event_time"])) >= since]
    assert told["score"].to_pylist() == later
    assert "decision" not in told.column_names


@given(
    st.lists(st.floats(0, 1), min_size=1),
    st.builds(Calibration, method=st.just("beta"), a=st.floats(0.1, 5), b=st.floats(0, 5), c=st.floats(-5, 5))
    | st.builds(Calibration, a=st.floats(-5, 5), b=st.floats(-5, 5)),
)
def test_columns_are_calibrated_as_single_scores_are(raw: list[float], calibration: Calibration) -> None:
    found = calibrated(np.array(raw + raw[:1]), calibration)
    assert found.tolist() == [calibrate(each, calibration) for each in raw + raw[:1]]


shares, fees = st.floats(0, 1), st.integers(0, 10**6)
policies = st.builds(
    Policy, version=st.just("c"), costs=st.builds(Costs, loss_share=shares, goodwill=fees)
) | st.just(POLICY)
scores = st.floats(1e-6, 1 - 1e-6) | st.sampled_from([0.08, 0.1, 0.13])


@given(policies, st.lists(st.tuples(st.integers(0, 10**14), scores), min_size=1))
def test_columns_are_decided_as_single_payments_are(policy: Policy, rows: list[tuple[int, float]]) -> None:
    amounts, given_scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    payment = Transaction(
        transaction_id="t", merchant_id="m", event_time=0, amount=0, currency="EUR", card="", customer=""
    )
    expected = [policy.decide(msgspec.structs.replace(payment, amount=amount), score) for amount, score in rows]
    assert decided(policy, amounts, given_scores).tolist() == expected


MAPPING = """
[columns]
transaction_id = "transaction_id"
merchant_id = "merchant_id"
currency = "currency"
card = "card"
customer = "customer"
[time]
column = "event_time"
format = "epoch_ms"
[amount]
column = "amount"
unit = "minor"
"""


@pytest.fixture
def ask(tmp_path: Path, served: Served, folder: Path) -> Callable[..., object]:
    """`paywarden score` over the world's payments, by the bundle in a folder."""
    columns = ["transaction_id", "merchant_id", "currency", "card", "customer", "event_time", "amount"]
    served.frame[columns].to_parquet(tmp_path / "payments.parquet")
    (tmp_path / "own.toml").write_text(MAPPING)

    def call(*arguments: str) -> object:
        command = ["score", str(tmp_path / "payments.parquet"), "--mapping", str(tmp_path / "own.toml")]
        return CliRunner().invoke(app, [*command, "--bundle", str(folder), *arguments])

    return call


def test_the_command_writes_a_file_beside_the_table_or_where_it_is_told(
    ask: Callable[..., object], tmp_path: Path
) -> None:
    done = ask("--batch", "100")
    assert done.exit_code == 0
    written = pq.read_table(tmp_path / "payments.scores.parquet")
    assert written.num_rows == ROWS
    policy = tmp_path / "policy.json"
    policy.write_text('{"thresholds": {"challenge": 0.0, "review": 0.0, "decline": 0.1}}')
    target = tmp_path / "scores.csv"
    assert ask("--reasons", "--policy", str(policy), "--out", str(target)).exit_code == 0
    told = pd.read_csv(target, float_precision="round_trip")
    assert told["score"].tolist() == written["score"].to_pylist()
    assert (told["decision"] == np.where(told["score"] >= 0.1, "decline", "review")).all()
    assert told["reasons"].str.split(" ").str.len().between(1, 5).all()
    assert {each.name for each in tmp_path.iterdir()} == {
        "payments.parquet",
        "own.toml",
        "payments.scores.parquet",
        "policy.json",
        "scores.csv",
    }


def test_what_cannot_be_scored_is_told_and_leaves_no_file(
    ask: Callable[..., object], tmp_path: Path, folder: Path
) -> None:
    for wrong, told in (
        (["--out", str(tmp_path / "scores.xls")], "ending"),
        (["--out", str(tmp_path / "none" / "scores.csv")], "no such folder"),
        (["--since", "2099-01-01"], "no row to score"),
        (["--bundle", str(tmp_path)], "manifest.json"),
    ):
        done = ask(*wrong)
        assert isinstance(done.exception, ScoringError), done
        assert told in str(done.exception)
    assert not list(tmp_path.glob("*scores*"))
    with pytest.raises(ScoringError, match="no definition"):
        Scoring(model_in(folder), features=FeatureSet(*STANDARD.features[:3]))


def test_a_file_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    def broken() -> object:
        yield pa.table({"score": [0.5]})
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        write(tmp_path / "scores.parquet", broken())
    assert not list(tmp_path.iterdir())
