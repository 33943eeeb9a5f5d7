"""Training: the same bytes however it was run, interrupted or not, in memory or on disk."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import xgboost as xgb

from fraud.bundle import Manifest, digest
from tests.unit.training.jobs import fails, stage_training, start
from tests.unit.training.learnable import NAMES, rows, write
from training.__main__ import main
from training.boosting import boost, settings_of
from training.checkpoints import Checkpoints, fingerprint
from training.constraints import constraints_of
from training.contract import Contract
from training.matrices import available_memory, needs_disk
from training.parameters import Hyperparameters
from training.parts import read_part
from training.train import fit

PARAMETERS: dict[str, object] = {"run_id": "run-1", "rounds": "30", "nthread": "1", "checkpoint_rounds": "5"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dataset"), rows_a_file=1_500)


def _train(root: Path) -> bytes:
    assert main(["train"], Contract(root, cpus=1)) == 0
    return (root / "model" / "model.ubj").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _train(stage_training(tmp_path_factory.mktemp("whole"), dataset, PARAMETERS))


def test_neither_threads_nor_memory_nor_checkpoints_change_a_byte(
    dataset: Path, uninterrupted: bytes, tmp_path: Path
) -> None:
    for name, changed in {
        "threads": {"nthread": "2"},
        "external": {"memory": "external"},
        "none kept": {"checkpoint_rounds": "0"},
    }.items():
        root = stage_training(tmp_path / name, dataset, PARAMETERS | changed)
        assert _train(root) == uninterrupted, name
    manifests = [(tmp_path / name / "model" / "manifest.json").read_bytes() for name in ("threads", "external")]
    assert manifests[0] == manifests[1]


def test_a_training_that_was_killed_and_then_told_to_stop_ends_with_the_same_bytes(
    dataset: Path, tmp_path: Path
) -> None:
    # So slow to learn that the blows fall in the middle; early stopping ends both long before the last round.
    slow = PARAMETERS | {"rounds": "3000", "eta": "0.02", "early_stopping_rounds": "40"}
    whole = _train(stage_training(tmp_path / "whole", dataset, slow))
    root = stage_training(tmp_path / "cut", dataset, slow)
    for blow, code, at in ((signal.SIGKILL, -9, 20), (signal.SIGTERM, 143, 50)):
        process = start(root, "train")
        try:
            assert process.stdout is not None
            lines = [""]
            while not lines[-1].startswith(f"round={at} "):
                lines.append(process.stdout.readline())
                assert process.poll() is None
            process.send_signal(blow)
            process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == code
        # The second goes on from where the first was killed.
        assert any(line.startswith("round=0 ") for line in lines) == (blow == signal.SIGKILL)
        assert not (root / "model").exists()
        assert not (root / "output").exists()
        # A kill may come between a new one and the removal of the oldest.
        assert len(list((root / "checkpoints").glob("*.checkpoint"))) in (2, 3)
    assert _train(root) == whole


def test_checkpoints_that_are_torn_or_foreign_are_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Checkpoints(tmp_path, fingerprint({"seed": 1}), keep=2)
    assert mine.latest() is None
    for count in (5, 10, 15):
        mine.save({"logloss": [0.5] * count}, b"trees" * count)
    assert len(list(tmp_path.iterdir())) == 2
    Checkpoints(tmp_path, fingerprint({"seed": 2}), keep=2).save({"logloss": [0.5] * 20}, b"others")
    newest = next(tmp_path.glob("*-000015.checkpoint"))
    newest.write_bytes(newest.read_bytes()[:-3])
    found = mine.latest()
    assert found is not None
    assert (len(found.history["logloss"]), found.model) == (10, b"trees" * 10)
    told = capsys.readouterr().err
    assert "belongs to other data or parameters" in told
    assert "is torn or damaged" in told


def test_a_checkpoint_of_other_parameters_is_not_gone_on_from(
    dataset: Path, uninterrupted: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = stage_training(tmp_path, dataset, PARAMETERS | {"seed": "18"})
    assert _train(root) != uninterrupted
    (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(PARAMETERS))
    assert _train(root) == uninterrupted
    assert "belongs to other data or parameters" in capsys.readouterr().err


def test_given_parameters_count_for_more_and_tuned_ones_for_most(
    dataset: Path, uninterrupted: bytes, tmp_path: Path
) -> None:
    root = stage_training(tmp_path, dataset, PARAMETERS | {"max_depth": "2"})
    channel = root / "input" / "data" / "parameters"
    channel.mkdir()
    (channel / "given.json").write_text('{"max_depth": 3, "eta": "0.5"}')
    (channel / "tuned.json").write_text('{"eta": 0.1, "max_depth": 6}')
    assert _train(root) == uninterrupted
    (channel / "tuned.json").write_text('{"run_id": "other"}')
    assert "says 'run_id', which the job itself does" in fails(root, "train")
    (channel / "tuned.json").write_text('{"eta": [1]}')
    assert "one JSON object of strings or numbers" in fails(root, "train")


def test_the_profile_of_the_data_goes_into_the_bundle(dataset: Path, tmp_path: Path) -> None:
    root = stage_training(tmp_path, dataset, PARAMETERS | {"rounds": "3"})
    (root / "input" / "data" / "about" / "profile.json").write_bytes(b'{"rows": 1}')
    _train(root)
    manifest = msgspec.json.decode((root / "model" / "manifest.json").read_bytes(), type=Manifest)
    assert manifest.files["profile.json"] == digest(b'{"rows": 1}')
    assert (root / "model" / "profile.json").read_bytes() == b'{"rows": 1}'


def test_a_row_of_weight_two_is_learned_as_two_rows(tmp_path: Path) -> None:
    found = rows(1_200)
    twice = np.arange(1_200) % 3 == 0
    part = read_part(write(tmp_path / "one", replace(found, weights=1.0 + twice)) / "train", NAMES)
    later = read_part(tmp_path / "one" / "validation", NAMES)
    doubled = np.repeat(np.arange(len(part.labels)), part.weights.astype(int))
    copied = replace(
        part,
        vectors=part.vectors[doubled],
        labels=part.labels[doubled],
        weights=np.ones(len(doubled)),
    )
    parameters = Hyperparameters(rounds=5, subsample=1.0, colsample_bytree=1.0)
    one, two = (fit(each, later, NAMES, parameters, 1) for each in (part, copied))
    matrix = xgb.DMatrix(later.vectors, feature_names=list(NAMES))
    np.testing.assert_allclose(one.predict(matrix), two.predict(matrix), atol=2e-3)
    plain = fit(replace(part, weights=np.ones(len(part.labels))), later, NAMES, parameters, 1)
    assert np.abs(one.predict(matrix) - plain.predict(matrix)).max() > 0.02


def test_a_known_risk_never_lowers_a_score(dataset: Path) -> None:
    train, later = (read_part(dataset / name, NAMES) for name in ("train", "validation"))
    # Labels turned round: without the constraint, the more fraud was known the safer.
    train, later = (replace(part, labels=(1 - part.labels).astype(np.int8)) for part in (train, later))
    low, high = later.vectors.copy(), later.vectors.copy()
    low[:, NAMES.index("card_fraud_rate_60d_after_7d")] = -2.0
    high[:, NAMES.index("card_fraud_rate_60d_after_7d")] = 2.0
    fallen = {}
    for monotone in ("on", "off"):
        booster = fit(train, later, NAMES, Hyperparameters(rounds=30, monotone=monotone), 1)
        scores = [booster.predict(xgb.DMatrix(each, feature_names=list(NAMES))) for each in (low, high)]
        fallen[monotone] = int((scores[1] < scores[0]).sum())
    assert fallen["on"] == 0
    assert fallen["off"] > 500


def test_histories_that_tell_of_different_things_do_not_share_a_path(dataset: Path) -> None:
    told = constraints_of(NAMES, monotone=False, interactions=True)
    groups = [{NAMES[column] for column in group} for group in json.loads(told["interaction_constraints"])]
    assert all("amount" in group for group in groups)
    assert not any({"card_count_24h", "ip_count_1h"} <= group for group in groups)
    assert constraints_of(["amount"], monotone=True, interactions=True) == {}
    parts = [read_part(dataset / name, NAMES) for name in ("train", "validation")]
    together = {}
    for interactions in ("on", "off"):
        booster = fit(*parts, NAMES, Hyperparameters(rounds=20, interactions=interactions), 1)
        trees = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
        together[interactions] = sum(
            {"card_count_24h", "ip_count_1h"} <= path for tree in trees for path in _paths(tree, 0, frozenset())
        )
    assert together["on"] == 0
    assert together["off"] > 0


def _paths(tree: dict[str, list[int]], node: int, above: frozenset[str]) -> list[frozenset[str]]:
    """The features on the way to each leaf."""
    left, right = tree["left_children"][node], tree["right_children"][node]
    if left < 0:
        return [above]
    below = above | {NAMES[tree["split_indices"][node]]}
    return _paths(tree, left, below) + _paths(tree, right, below)


def test_boosting_stops_after_the_best_round(dataset: Path) -> None:
    parts = [read_part(dataset / name, NAMES) for name in ("train", "validation")]
    train, later = (xgb.DMatrix(part.vectors, part.labels, feature_names=list(NAMES)) for part in parts)
    parameters = Hyperparameters()
    settings = settings_of(parameters, NAMES, rate=float(parts[0].labels.mean()), threads=1)
    booster = boost(train, later, settings, rounds=500, patience=7)
    # XGBoost's own early stopping, of the same version, is the judge.
    judge = xgb.train(
        {**settings, "eval_metric": ["logloss"]},
        train,
        num_boost_round=500,
        evals=[(later, "validation")],
        callbacks=[xgb.callback.EarlyStopping(rounds=7, save_best=True)],
        verbose_eval=False,
    )
    assert booster.num_boosted_rounds() == judge.num_boosted_rounds() < 400
    np.testing.assert_array_equal(booster.predict(later), judge.predict(later))


def test_memory_decides_where_the_bins_lie(dataset: Path, tmp_path: Path) -> None:
    folder = dataset / "train"
    needed = 4_000 * len(NAMES) * 12
    assert not needs_disk([folder], len(NAMES), "auto", needed * 2)
    assert needs_disk([folder], len(NAMES), "auto", needed)
    assert needs_disk([folder], len(NAMES), "external", needed * 100)
    assert not needs_disk([folder], len(NAMES), "resident", 1)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable:     500 kB\n")
    assert available_memory(tmp_path) == 512_000
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000\n")
    assert available_memory(tmp_path) == 512_000
    (group / "memory.max").write_text("300000\n")
    assert available_memory(tmp_path) == 299_000
