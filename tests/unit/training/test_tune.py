import json
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from fraud.hyperparameters import Hyperparameters
from tests.unit.training.jobs import fails
from tests.unit.training.learnable import rows, write
from training.contract import Contract
from training.tune import Search, tune


def _stage(root: Path, *, trials: int, seconds: int = 600, given: str = '{"rounds": 20}') -> Contract:
    inputs = root / "processing" / "input"
    write(inputs / "dataset", rows(1_800))
    for name, content in {
        "plan/plan.json": json.dumps({"policy": {"tuning": {"trials": trials, "seconds": seconds}}}),
        "parameters/given.json": given,
    }.items():
        (inputs / name).parent.mkdir()
        (inputs / name).write_text(content)
    return Contract(root, cpus=1)


def test_a_search_is_bounded_repeatable_and_no_worse_than_what_was_given(tmp_path: Path) -> None:
    found = [tune(_stage(tmp_path / name, trials=12)) for name in ("one", "two")]
    assert found[0] == found[1]
    search = found[0]
    means = [float(np.mean(trial.scores)) for trial in search.trials if not trial.given_up]
    assert len(search.trials) == 12
    assert search.trials[search.best].scores
    assert float(np.mean(search.trials[search.best].scores)) == max(means) >= means[0]
    assert {"rounds", "seed"}.isdisjoint(search.tuned)
    output = tmp_path / "one" / "processing" / "output" / "parameters"
    assert msgspec.json.decode((output / "tuning.json").read_bytes(), type=Search) == search
    tuned = {name: str(value) for name, value in json.loads((output / "tuned.json").read_text()).items()}
    assert tuned
    assert Hyperparameters.parse(tuned).rounds == 400
    # Fitted rows always come before those that are scored, and all of the last part's rows are used.
    assert [(fold["fitted"], fold["scored"]) for fold in search.folds] == [(600, 300), (900, 300), (1200, 300)]


def test_rows_that_judge_the_model_are_never_looked_at(tmp_path: Path) -> None:
    contract = _stage(tmp_path, trials=1)
    (path,) = (contract.processing_input("dataset") / "evaluation").iterdir()
    path.unlink()
    assert len(tune(contract).trials) == 1


def test_no_trial_begins_after_its_time_but_the_first(tmp_path: Path) -> None:
    ticks = iter(range(0, 10_000, 40))
    search = tune(_stage(tmp_path, trials=9, seconds=100), clock=lambda: float(next(ticks)))
    # The end is 100 s from the start; asked at 40 and 80 s before the second and third, refused at 120.
    assert len(search.trials) == 3


def test_what_was_given_stays_as_it_was_given(tmp_path: Path) -> None:
    search = tune(_stage(tmp_path, trials=3, given='{"rounds": 5, "max_depth": 2, "eta": "0.3"}'))
    assert all({"max_depth", "eta"}.isdisjoint(trial.parameters) for trial in search.trials)


def test_no_trials_is_no_search(tmp_path: Path) -> None:
    search = tune(_stage(tmp_path, trials=0))
    assert (search.tuned, search.trials, search.reason) == ({}, [], "No trials were asked for.")


@pytest.mark.parametrize(
    ("given", "reason"), [('{"etta": 1}', "'etta' is unknown"), ('{"eta": "fast"}', "must be a number")]
)
def test_wrong_parameters_reach_the_message(tmp_path: Path, given: str, reason: str) -> None:
    assert reason in fails(_stage(tmp_path, trials=1, given=given).root, "tune")


def test_parts_of_one_class_cannot_be_tuned_on(tmp_path: Path) -> None:
    contract = _stage(tmp_path, trials=1)
    for name in ("train", "validation"):
        for path in (contract.processing_input("dataset") / name).iterdir():
            table = pq.read_table(path)
            zeros = table.column("label").to_numpy() * 0
            place = table.column_names.index("label")
            pq.write_table(table.set_column(place, "label", [zeros]), path)
    assert "train without tuning" in fails(contract.root, "tune")
