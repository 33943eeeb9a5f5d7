"""The container program as a process: dataset, train, evaluate, and what it says when it cannot."""

import json
import re
import shutil
import signal
import subprocess
import tarfile
from html import escape
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import xgboost as xgb

from fraud.bundle import Manifest, digest, verify
from fraud.features import STANDARD
from runtime.booster import Booster
from runtime.bundles import ServedModel
from tests.unit.training.jobs import fails, run, stage_evaluation, stage_training, start, succeeds
from tests.unit.training.synthetic import (
    DAY,
    START,
    compared_world,
    labels,
    transactions,
    write_decisions,
    write_history,
    write_labels,
)
from training.__main__ import main
from training.bundles import read_bundle
from training.consistency import compare, write_report
from training.contract import Contract
from training.parts import read_description, read_part

AS_OF = str(START + 30 * DAY)
PARAMETERS: dict[str, object] = {"run_id": "run-1", "rounds": "60", "nthread": "2"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    found, frauds = transactions(1, 3_000, rate=0.03)
    write_history(root, found, labels(found, frauds))
    done = run(root, "dataset", "--as-of", AS_OF, "--maturity", "3d")
    assert done.code == 0, done.err
    assert "lake: 3000 imported payments, 0 decisions" in done.err
    assert "features: card " in done.err
    return root / "processing" / "output" / "dataset"


@pytest.fixture(scope="module")
def model(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = stage_training(tmp_path_factory.mktemp("train"), dataset, PARAMETERS)
    done = run(root, "train")
    assert done.code == 0, done.err
    assert "validation:aucpr=" in done.out
    return root / "model"


def _manifest(model: Path) -> Manifest:
    return msgspec.json.decode((model / "manifest.json").read_bytes(), type=Manifest)


def _evaluation(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (root / "processing" / "output" / "evaluation" / "evaluation.json").read_text()
    )
    return document


def test_the_manifest_tells_where_the_model_came_from(dataset: Path, model: Path) -> None:
    manifest = _manifest(model)
    description = read_description(dataset / "about")
    verify(manifest, "model.ubj", (model / "model.ubj").read_bytes())
    assert (manifest.version, manifest.lineage.run_id) == ("run-1", "run-1")
    assert manifest.created_at == description.as_of == int(AS_OF)
    assert manifest.features == STANDARD.names
    assert manifest.feature_set == STANDARD.version
    assert manifest.lineage.dataset == description.fingerprint
    assert manifest.lineage.parameters["rounds"] == "60"
    assert manifest.lineage.code_version.startswith("sources-")
    assert manifest.calibration.method == "beta"
    assert manifest.xgboost == xgb.__version__
    assert manifest.reasons == {each.name: each.reason for each in STANDARD.features}
    assert 0.5 < manifest.metrics["validation_auc"] < 1


def test_the_same_dataset_gives_the_same_bytes(dataset: Path, model: Path, tmp_path: Path) -> None:
    # The first was made by a process of its own, so nothing of a process is in the bytes either.
    root = stage_training(tmp_path, dataset, PARAMETERS)
    succeeds(root, "train")
    for name in ("model.ubj", "manifest.json"):
        assert (root / "model" / name).read_bytes() == (model / name).read_bytes(), name


def test_the_first_model_is_judged_on_later_rows(dataset: Path, model: Path, tmp_path: Path) -> None:
    root = stage_evaluation(tmp_path, dataset, model)
    done = run(root, "evaluate")
    assert done.code == 0, done.err
    document = _evaluation(root)
    part = read_description(dataset / "about").parts["evaluation"]
    assert (document["run_id"], document["rows"], document["frauds"]) == ("run-1", part.rows, part.frauds)
    assert document["window"] == list(part.window)
    assert document["candidate"]["auc"] > 0.75
    assert document["candidate"]["rows_seen_before"] == 0
    assert document["champion"] is None
    assert document["consistency"] is None
    assert document["verdict"]["passed"] is True
    assert "first model" in document["verdict"]["reason"]
    page = (root / "processing" / "output" / "evaluation" / "report.html").read_text()
    assert escape(document["verdict"]["reason"]) in page
    assert not re.search(r"(src|href)=|https?:", page), "the page must not need anything else"
    assert document["drivers"]["reasons"][0]["text"] in page
    assert sum(each["rows"] for each in document["slices"] if each["dimension"] == "amount") == part.rows
    assert sum(each["rows"] for each in document["weeks"]["candidate"]) == part.rows
    assert document["serving"]["latency_us"] > 0
    assert document["serving"]["bundle_bytes"] == sum(each.stat().st_size for each in model.iterdir())
    assert {entry["feature"] for entry in document["plots"]["candidate"]["gain"]} <= set(STANDARD.names)


def test_a_champion_is_judged_on_the_same_rows_and_not_replaced_by_its_equal(
    dataset: Path, model: Path, tmp_path: Path
) -> None:
    root = stage_evaluation(tmp_path, dataset, model, champion=model)
    succeeds(root, "evaluate", "--resamples", "20")
    document = _evaluation(root)
    assert document["candidate"] == document["champion"]
    assert document["difference"]["resamples"] == 20
    assert document["difference"]["average_precision"] == {
        "value": 0.0,
        "low": 0.0,
        "high": 0.0,
        "confidence": 0.0,
    }
    assert document["verdict"]["passed"] is False


def test_a_weak_champion_of_other_features_is_aligned_by_name_and_replaced(
    dataset: Path, model: Path, tmp_path: Path
) -> None:
    narrow = tmp_path / "narrow"
    shutil.copytree(dataset, narrow)
    description = json.loads((narrow / "about" / "dataset.json").read_text())
    description["features"] = ["day_of_week", "gone_since", "hour_of_day"]
    description["feature_set"] = "older"
    (narrow / "about" / "dataset.json").write_text(json.dumps(description))
    for name in ("train", "validation"):
        table = pq.read_table(narrow / name / "part-00000.parquet")
        pq.write_table(table.append_column("gone_since", table["amount"]), narrow / name / "part-00000.parquet")
    weak = stage_training(tmp_path / "weak", narrow, {**PARAMETERS, "run_id": "run-0", "rounds": "3"})
    succeeds(weak, "train")
    root = stage_evaluation(tmp_path / "evaluate", dataset, model, champion=weak / "model")
    succeeds(root, "evaluate", "--resamples", "50")
    document = _evaluation(root)
    assert document["champion"]["version"] == "run-0"
    assert document["champion"]["missing_features"] == ["gone_since"]
    assert document["difference"]["average_precision"]["low"] > 0
    assert document["verdict"]["passed"] is True
    assert "of champion run-0" in document["verdict"]["reason"]


def test_serving_scores_what_evaluation_scored(dataset: Path, model: Path) -> None:
    candidate = read_bundle(model)
    assert candidate is not None
    served = ServedModel(
        candidate.manifest, Booster((model / "model.ubj").read_bytes(), len(candidate.manifest.features))
    )
    part = read_part(dataset / "evaluation", STANDARD.names)
    assert np.isnan(part.vectors).any()
    judged = candidate.score(part.vectors, STANDARD.names)
    answered = [served.score(served.row(STANDARD.names, vector))[1] for vector in part.vectors.tolist()]
    np.testing.assert_allclose(judged, answered, rtol=1e-6)
    assert len(set(answered)) > 20


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"run_id": "r", "etta": "0.1"}, "Hyperparameter 'etta' is unknown"),
        ({"run_id": "r", "rounds": "0"}, "'rounds' is 0; it must be between 1 and 10000"),
        ({"rounds": "5"}, "'run_id' is missing"),
    ],
)
def test_a_wrong_parameter_reaches_the_failure_file(
    dataset: Path, tmp_path: Path, parameters: dict[str, object], reason: str
) -> None:
    root = stage_training(tmp_path, dataset, parameters)
    assert reason in fails(root, "train")
    assert not (root / "model").exists()


def test_training_without_its_channel_or_with_a_column_gone_says_so(dataset: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / "input" / "config").mkdir(parents=True)
    (empty / "input" / "config" / "hyperparameters.json").write_text('{"run_id": "r"}')
    assert "dataset.json; give this job the output of the dataset step" in fails(empty, "train")

    root = stage_training(tmp_path / "cut", dataset, PARAMETERS)
    path = root / "input" / "data" / "train" / "part-00000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["card_count_24h"]), path)
    assert "train/part-00000.parquet has no column 'card_count_24h'" in fails(root, "train")


def test_a_model_is_not_calibrated_on_payments_from_before_its_last_lesson(dataset: Path, tmp_path: Path) -> None:
    root = stage_training(tmp_path, dataset, PARAMETERS)
    folder = root / "input" / "data"
    shutil.copytree(folder / "train", folder / "validation", dirs_exist_ok=True)
    assert "validation part begins before the train part ends" in fails(root, "train")


def test_a_dataset_without_transactions_or_frauds_says_what_to_do(tmp_path: Path) -> None:
    assert "There are no transactions" in fails(tmp_path, "dataset", "--as-of", AS_OF)
    found, _ = transactions(1, 300)
    write_history(tmp_path, found, [])
    # Nothing is broken: the checks say that nothing can be learned, and why, and the run stops there.
    assert main(["dataset", "--as-of", AS_OF], Contract(tmp_path, cpus=1)) == 0
    folder = tmp_path / "processing" / "output" / "dataset"
    verdict = json.loads((folder / "about" / "checks.json").read_text())["verdict"]
    assert verdict["passed"] is False
    assert verdict["reason"].startswith("The train part")
    assert "holds 0 frauds" in verdict["reason"]
    assert [path.name for path in folder.iterdir()] == ["about"]


def test_a_damaged_input_is_named_in_the_message(tmp_path: Path) -> None:
    found, frauds = transactions(1, 200, rate=0.1)
    write_history(tmp_path, found, [])
    path = write_labels(tmp_path, labels(found, frauds))
    pq.write_table(pq.read_table(path).drop_columns(["known_at"]), path)
    assert "has no column 'known_at'" in fails(tmp_path, "dataset", "--as-of", AS_OF)


@pytest.fixture
def decided(dataset: Path, tmp_path: Path) -> Path:
    """The dataset, as if there had been 100 decisions, of which serving saw ten another than they were."""
    payments, decisions, corrected = compared_world(transactions(7, 100)[0])
    used = STANDARD.names.index("amount")
    unused = STANDARD.names.index("entered_by_hand")
    decisions.vectors[:10, used] += 1.0
    decisions.vectors[:, unused] = 1.0
    folder = tmp_path / "decided"
    shutil.copytree(dataset, folder)
    write_report(folder / "about", compare(payments, decisions, corrected, STANDARD, as_of=int(AS_OF)))
    return folder


def test_a_model_whose_features_serving_does_not_see_is_not_promoted(
    decided: Path, model: Path, tmp_path: Path
) -> None:
    root = stage_evaluation(tmp_path / "job", decided, model)
    assert main(["evaluate"], Contract(root, cpus=1)) == 0
    document = _evaluation(root)
    # No tree looks at `entered_by_hand`, which the world never has: it differs everywhere and blocks nothing.
    assert document["consistency"] == {
        "rows": 100,
        "identical": 0,
        "settled_feature": "amount",
        "settled": 100,
        "settled_mismatch": 0.1,
        "lagging_feature": "amount",
        "lagging_mismatch": 0.1,
        "unjudged": 0,
    }
    assert document["verdict"]["passed"] is False
    reason = document["verdict"]["reason"]
    assert (
        "serving saw another amount than it should have in 10.00% of 100 decisions that no lag explains" in reason
    )


def test_frauds_that_were_let_through_count_by_their_weight_against_those_that_are_promised(
    dataset: Path, model: Path, tmp_path: Path
) -> None:
    root = stage_evaluation(tmp_path / "job", dataset, model)
    path = root / "processing" / "input" / "dataset" / "evaluation" / "part-00000.parquet"
    table = pq.read_table(path)
    labels_ = table["label"].to_numpy()
    place = table.column_names.index("weight")
    pq.write_table(table.set_column(place, "weight", [1.0 + 9.0 * labels_]), path)
    assert main(["evaluate", "--resamples", "2"], Contract(root, cpus=1)) == 0
    document = _evaluation(root)
    frauds = 10 * labels_.sum()
    assert document["fraud_rate"] == pytest.approx(frauds / (frauds + (labels_ == 0).sum()))
    measured = {each["name"]: each["measured"] for each in document["verdict"]["checks"]}
    promised = document["candidate"]["mean_score"] / document["fraud_rate"]
    assert measured["maximum_calibration_factor"] == pytest.approx(max(promised, 1 / promised))


@pytest.mark.parametrize(("lagging", "promoted"), [("0.1", True), ("0.09", False)])
def test_the_bounds_on_mismatches_are_those_of_the_plan(
    decided: Path, model: Path, tmp_path: Path, lagging: str, promoted: bool
) -> None:
    root = stage_evaluation(tmp_path / "job", decided, model)
    gate = {"maximum_mismatch": 0.1, "maximum_lagging": float(lagging)}
    plan = root / "processing" / "input" / "plan" / "plan.json"
    plan.parent.mkdir()
    plan.write_text(json.dumps({"run_id": "run-1", "policy": {"gate": gate}}))
    assert main(["evaluate"], Contract(root, cpus=1)) == 0
    verdict = _evaluation(root)["verdict"]
    assert verdict["passed"] is promoted
    assert ("the features are far behind" in verdict["reason"]) != promoted


def test_a_dataset_of_corrected_vectors_and_a_report_alone(tmp_path: Path) -> None:
    found, frauds = transactions(1, 700, rate=0.1)
    write_decisions(tmp_path, found, [{"amount": 1.0}] * len(found), feature_set="older")
    write_labels(tmp_path, labels(found, frauds))
    arguments = ["dataset", "--as-of", AS_OF, "--minimum-frauds", "3"]
    contract = Contract(tmp_path, cpus=1)
    assert main(arguments, contract) == 0
    built = tmp_path / "processing" / "output" / "dataset" / "about"
    assert json.loads((built / "checks.json").read_text())["verdict"]["passed"] is False
    assert main([*arguments, "--vectors", "as_corrected"], contract) == 0
    about = json.loads((built / "dataset.json").read_text())
    assert about["options"]["vectors"] == "as_corrected"
    assert main(["consistency", "--as-of", AS_OF], contract) == 0
    folder = tmp_path / "processing" / "output" / "consistency"
    assert sorted(path.name for path in folder.iterdir()) == ["consistency.html", "consistency.json"]
    assert json.loads((folder / "consistency.json").read_text())["left_out"] == {
        "decision_of_another_feature_set": 700
    }


@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, and there is none on this machine")
def test_spark_builds_the_same_dataset(tmp_path: Path) -> None:
    found, frauds = transactions(1, 300, rate=0.1)
    write_decisions(tmp_path, found, [{"amount": 1.0}] * len(found), degraded=[True] * len(found))
    write_labels(tmp_path, labels(found, frauds))
    arguments = ["dataset", "--as-of", AS_OF, "--vectors", "as_corrected", "--minimum-frauds", "3"]
    built = tmp_path / "processing" / "output" / "dataset"
    assert main(arguments, Contract(tmp_path, cpus=1)) == 0
    expected = read_description(built / "about").fingerprint
    shutil.rmtree(built)
    # In a process of its own, whose Java ends with it.
    done = run(tmp_path, *arguments, "--engine", "spark")
    assert done.code == 0, done.err
    assert "features: spark " in done.err
    assert read_description(built / "about").fingerprint == expected


def test_currencies_that_do_not_exist_reach_the_message(tmp_path: Path) -> None:
    found, _ = transactions(1, 30)
    write_history(tmp_path, [msgspec.structs.replace(each, currency="EURO") for each in found], [])
    for step in ("dataset", "consistency"):
        reason = fails(tmp_path, step, "--as-of", AS_OF)
        assert "30 rows" in reason
        assert "'currency' that is no ISO 4217 code; write it like EUR" in reason


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["dataset"], "--as-of"),
        (["consistency"], "--as-of"),
        (["dataset", "--as-of", "1", "--engine", "pandas"], "invalid choice: 'pandas'"),
        (["dataset", "--as-of", "1", "--vectors", "fresh"], "invalid choice: 'fresh'"),
        (["dataset", "--as-of", "soon"], "invalid int value: 'soon'"),
        (["dataset", "--as-of", "1", "--maturity", "3"], "duration '3'"),
        (["bake"], "invalid choice: 'bake'"),
    ],
)
def test_a_wrong_command_line_reaches_the_message(tmp_path: Path, arguments: list[str], reason: str) -> None:
    assert reason in fails(tmp_path, *arguments)


def test_a_failure_is_an_exit_code_and_one_line_in_the_log(tmp_path: Path) -> None:
    done = run(tmp_path, "evaluate")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: {(tmp_path / 'output' / 'message').read_text()}\n"


def test_a_defect_of_ours_is_named_and_traced(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("training.train.boost", broken)
    assert "Unexpected KeyError: 'lost'" in fails(stage_training(tmp_path, dataset, PARAMETERS), "train")
    assert "Traceback" in capsys.readouterr().err


def test_a_tampered_candidate_is_not_judged(dataset: Path, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    content = bytearray((copy / "model.ubj").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "model.ubj").write_bytes(content)
    root = stage_evaluation(tmp_path / "job", dataset, copy)
    assert "cannot be trusted" in fails(root, "evaluate")


def test_a_candidate_of_another_dataset_is_not_judged(dataset: Path, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    document = json.loads((copy / "manifest.json").read_text())
    document["lineage"]["dataset"] = digest(b"another")
    (copy / "manifest.json").write_text(json.dumps(document))
    root = stage_evaluation(tmp_path / "job", dataset, copy)
    assert "was trained on dataset" in fails(root, "evaluate")


def test_an_archive_cannot_write_outside_or_smuggle_links(dataset: Path, model: Path, tmp_path: Path) -> None:
    root = stage_evaluation(tmp_path / "job", dataset, model)
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    archive_path = root / "processing" / "input" / "model" / "model.tar.gz"
    with tarfile.open(archive_path, "w:gz") as archive:
        archive.add(model / "manifest.json", "manifest.json")
        archive.add(model / "model.ubj", "../../../../outside")
        link = tarfile.TarInfo("model.ubj")
        link.type, link.linkname = tarfile.SYMTYPE, str(model / "model.ubj")
        archive.addfile(link)
    assert "holds no model.ubj" in fails(root, "evaluate")
    assert outside.read_text() == "untouched"


def test_a_stop_signal_ends_the_program_without_calling_it_a_failure(tmp_path: Path) -> None:
    found, frauds = transactions(1, 14_000, rate=0.03)
    write_history(tmp_path, found, labels(found, frauds))
    process = start(tmp_path, "dataset", "--as-of", AS_OF)
    try:
        assert process.stderr is not None
        # The first line says that the work is on its way: all of it is still to be done.
        assert process.stderr.readline() == "lake: reading\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "output").exists()
    assert not (tmp_path / "processing" / "output").exists()
