"""A model in shadow against the champion, over a small lake."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.events import Outcome
from tests.unit.training.synthetic import (
    DAY,
    START,
    labels,
    transactions,
    write_decisions,
    write_labels,
    write_outcomes,
)
from training.__main__ import main
from training.contract import Contract

AS_OF = START + 60 * DAY
ARGUMENTS = ["--challenger", "new", "--champion", "old", "--since", str(START), "--as-of", str(AS_OF)]


def _compare(
    root: Path,
    shift: float,
    *,
    better: bool = True,
    gate: dict[str, Any] | None = None,
    propensity: float = 1.0,
    confidence: float | None = None,
    maturity_days: float = 3.0,
    refused: int = 0,
) -> dict[str, Any]:
    found, frauds = transactions(3, 600, rate=0.06)
    truth = np.array([frauds[each.event_id] for each in found])
    generator = np.random.default_rng(5)
    noise = generator.uniform(0.0, 0.02, len(found))
    old = noise + 0.03 * truth * (generator.uniform(size=len(found)) < 0.5)
    new = (noise + 0.05 * truth if better else noise[::-1]) + shift
    path = write_decisions(root, found, [{}] * len(found), name=f"day={_day(AS_OF)}/part-0")
    table = pq.read_table(path)
    columns = {
        "score": pa.array(old),
        "model_version": pa.array(["old"] * len(found)),
        "shadow": pa.array([[("new", each)] for each in new.tolist()], pa.map_(pa.string(), pa.float64())),
        "recorded_at": pa.array([each.event_time + 5 for each in found]),
    }
    if propensity < 1:
        # Every fraud of an even place would have been declined, and was let through.
        passed = [bool(fraud) and place % 2 == 0 for place, fraud in enumerate(truth)]
        columns["would_be"] = pa.array(["decline" if each else "" for each in passed])
        columns["propensity"] = pa.array([propensity if each else 1.0 for each in passed])
    for name, column in columns.items():
        table = table.append_column(name, column)
    pq.write_table(table, path)
    # Delivered twice, as the lake may.
    pq.write_table(table.slice(0, 100), path.with_name("again.parquet"))
    told = write_labels(root, labels(found, frauds))
    if confidence is not None:
        reports = pq.read_table(told)
        sure = [confidence, *[1.0] * (reports.num_rows - 1)]
        pq.write_table(reports.append_column("confidence", [sure]), told)
    genuine = [each for each in found if not frauds[each.event_id]]
    write_outcomes(
        root,
        [
            Outcome(transaction=each, kind="declined", event_time=each.event_time + 5)
            for each in [*genuine[:refused], next(each for each in found if frauds[each.event_id])]
        ],
    )
    plan = root / "processing" / "input" / "plan" / "plan.json"
    plan.parent.mkdir(parents=True)
    # As cautious as the bounds that a test names make it, and no more.
    release = {"maximum_score_factor": 100.0, **(gate or {})}
    plan.write_text(json.dumps({"policy": {"release": release, "data": {"maturity_days": maturity_days}}}))
    assert main(["compare", *ARGUMENTS, "--resamples", "30"], Contract(root, cpus=1)) == 0
    folder = root / "processing" / "output" / "comparison"
    assert "<h1>" in (folder / "report.html").read_text()
    document: dict[str, Any] = json.loads((folder / "comparison.json").read_text())
    # Of a payment with a label that is not sure enough, nothing is known.
    unknown = confidence is not None and confidence < 0.5
    old_enough = np.array([each.event_time <= AS_OF - maturity_days * DAY for each in found])
    assert document["decisions"] == 600
    assert document["matured"] == old_enough.sum() - unknown - refused
    assert document["frauds"] == truth[old_enough].sum() - unknown
    return document


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000, UTC).date().isoformat()


def test_a_better_challenger_of_the_same_level_holds(tmp_path: Path) -> None:
    document = _compare(tmp_path, 0.0, gate={"maximum_approval_change": 1.0})
    assert document["verdict"]["passed"] is True
    assert document["on_labels"]["challenger"]["average_precision"] == pytest.approx(1.0)
    assert document["on_labels"]["difference"]["average_precision"]["low"] > 0
    assert sum(map(sum, document["agreement"])) == 600
    assert "600 decisions scored by new and champion old" in document["verdict"]["reason"]


@pytest.mark.parametrize(
    ("shift", "better", "gate", "sentence"),
    [
        (0.0, False, None, "below the minimal gain of 0"),
        (0.06, True, {"maximum_approval_change": 1.0}, "its mean score is"),
        (
            0.06,
            True,
            {"maximum_approval_change": 1.0, "maximum_score_change": 1.0, "maximum_score_factor": 2.0},
            "factor",
        ),
        (0.5, True, {"maximum_score_change": 1.0}, "it would approve"),
    ],
)
def test_each_bound_keeps_a_challenger_out_with_its_sentence(
    tmp_path: Path, shift: float, better: bool, gate: dict[str, Any] | None, sentence: str
) -> None:
    verdict = _compare(tmp_path, shift, better=better, gate=gate)["verdict"]
    assert verdict["passed"] is False
    assert sentence in verdict["reason"]
    assert verdict["reason"].startswith("Not released: ")


def test_with_few_frauds_only_the_level_is_asked(tmp_path: Path) -> None:
    verdict = _compare(
        tmp_path, 0.0, better=False, gate={"minimum_shadow_frauds": 500, "maximum_approval_change": 1.0}
    )["verdict"]
    assert verdict["passed"] is True
    assert "too few of them to compare rankings, which takes 500" in verdict["reason"]


def test_a_label_is_waited_for_as_long_as_the_plan_says_and_not_for_three_days(tmp_path: Path) -> None:
    # The last payment is 30 days old: of 45 days, half are left; of 90, nothing is.
    some = _compare(tmp_path / "some", 0.0, maturity_days=45, gate={"maximum_approval_change": 1.0})
    assert 0 < some["matured"] < 600
    none = _compare(tmp_path / "none", 0.0, maturity_days=90, gate={"maximum_approval_change": 1.0})
    assert (none["matured"], none["on_labels"]) == (0, None)
    assert none["verdict"]["labels"] is False


@pytest.mark.parametrize(("least", "kept"), [(-1e9, 1.0), (1e9, 0.0)])
def test_how_sure_a_saving_is_goes_by_the_bound_of_the_plan(tmp_path: Path, least: float, kept: float) -> None:
    document = _compare(tmp_path, 0.0, gate={"minimum_shadow_saving": least})
    assert document["on_labels"]["difference"]["saved_per_1000"]["kept"] == kept
    assert ("is the least" in document["verdict"]["reason"]) == (not kept)


def test_a_payment_that_its_issuer_declined_was_no_genuine_one(tmp_path: Path) -> None:
    _compare(tmp_path, 0.0, refused=7)


def test_days_from_before_the_shadow_are_not_opened_and_older_rows_not_looked_at(tmp_path: Path) -> None:
    inputs = tmp_path / "processing" / "input"
    for kind in ("decisions", "labels", "outcomes"):
        old = inputs / kind / f"day={_day(START - 3 * DAY)}" / "damaged.parquet"
        old.parent.mkdir(parents=True)
        old.write_bytes(b"no Parquet")
    # A row of the evening before, in the file of a day that counts: its propensity would be refused.
    found, _ = transactions(4, 1)
    early = [msgspec.structs.replace(each, event_time=START - 1, transaction_id="early") for each in found]
    path = write_decisions(tmp_path, early, [{}], name=f"day={_day(START)}/part-0")
    table = pq.read_table(path)
    for name, value in {"model_version": "old", "score": 0.1, "would_be": "decline", "propensity": 7.0}.items():
        table = table.append_column(name, [[value]])
    pq.write_table(table, path)
    assert _compare(tmp_path, 0.0)["seen"] == 600


def test_without_both_scores_there_is_nothing_to_hold(tmp_path: Path) -> None:
    assert main(["compare", *ARGUMENTS], Contract(tmp_path, cpus=1)) == 0
    path = tmp_path / "processing" / "output" / "comparison" / "comparison.json"
    verdict = json.loads(path.read_text())["verdict"]
    assert verdict["passed"] is False
    assert "none of 0 decisions since the shadow began carries the scores of both" in verdict["reason"]


def test_an_unsure_label_makes_no_payment_genuine_and_none_fraud(tmp_path: Path) -> None:
    for confidence in (0.3, 0.5):
        _compare(tmp_path / str(confidence), 0.0, confidence=confidence)


def test_a_payment_let_through_weighs_as_it_does_in_a_dataset(tmp_path: Path) -> None:
    found = {
        propensity: _compare(tmp_path / str(propensity), 0.0, propensity=propensity)["on_labels"]["champion"]
        for propensity in (1.0, 0.1, 0.02, 0.001)
    }
    precision = {propensity: each["average_precision"] for propensity, each in found.items()}
    assert len(set(precision.values())) == 3
    # At most 50 payments are stood for by one.
    assert precision[0.001] == precision[0.02]
