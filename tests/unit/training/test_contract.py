from pathlib import Path

import pytest

from fraud.hyperparameters import HyperparameterError, Hyperparameters
from training.contract import FAILURE_CHARACTERS, Contract, ProgramError


def test_paths_lie_under_the_root_of_the_environment(tmp_path: Path) -> None:
    contract = Contract.from_env({"ML_ROOT": str(tmp_path), "TRAINING_JOB_NAME": "run-7-train"})
    assert contract.channel("dataset") == tmp_path / "input" / "data" / "dataset"
    assert contract.processing_output("evaluation") == tmp_path / "processing" / "output" / "evaluation"
    assert contract.job_name == "run-7-train"
    assert contract.cpus >= 1


def test_the_root_is_that_of_sagemaker_unless_told_otherwise() -> None:
    assert Contract.from_env({}).model == Path("/opt/ml/model")


@pytest.mark.parametrize(("processing", "name"), [(False, "failure"), (True, "message")])
def test_a_failure_is_cut_to_what_sagemaker_shows(tmp_path: Path, processing: bool, name: str) -> None:
    path = Contract(tmp_path).write_failure("é\n " * 2_000, processing=processing)
    assert path == tmp_path / "output" / name
    written = path.read_bytes()
    assert len(written) <= FAILURE_CHARACTERS
    assert set(written.decode()) == {"é", " "}


@pytest.mark.parametrize(
    ("content", "part"),
    [("[1]", "one JSON object"), ("{", "not valid JSON"), ('{"rounds": 5}', "'rounds' is not a string")],
)
def test_hyperparameters_must_be_an_object_of_strings(tmp_path: Path, content: str, part: str) -> None:
    contract = Contract(tmp_path)
    contract.hyperparameters.parent.mkdir(parents=True)
    contract.hyperparameters.write_text(content)
    with pytest.raises(ProgramError, match=part):
        contract.read_hyperparameters()


def test_strings_become_typed_parameters() -> None:
    parsed = Hyperparameters.parse(
        {"run_id": "r-1", "rounds": "12", "eta": "0.3", "_tuning_objective_metric": "x", "sagemaker_program": "y"}
    )
    assert (parsed.run_id, parsed.rounds, parsed.eta) == ("r-1", 12, 0.3)
    assert parsed.max_depth == Hyperparameters().max_depth


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("etta", "0.1", "use one of: .*eta"),
        ("rounds", "many", "a whole number"),
        ("rounds", "0", "between 1 and 10000"),
        ("eta", "nan", "between 0.0001 and 1"),
        ("reg_lambda", "inf", "at least 0 and finite"),
        ("subsample", "1.5", "between 0.05 and 1"),
        ("device", "tpu", "'cpu' or 'cuda'"),
        ("run_id", "../escape", "part of a path"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_remedy(name: str, value: str, remedy: str) -> None:
    with pytest.raises(HyperparameterError, match=rf"'{name}'.*{remedy}"):
        Hyperparameters.parse({name: value})


def test_every_numeric_parameter_has_a_range_that_holds_its_default() -> None:
    numbers = {name: str(value) for name, value in Hyperparameters().as_document().items()}
    assert Hyperparameters.parse(numbers) == Hyperparameters()


def test_the_run_is_named_by_the_job_when_no_parameter_does() -> None:
    assert Hyperparameters().with_run(job_name="nightly-3-train").run_id == "nightly-3"
    assert Hyperparameters(run_id="mine").with_run(job_name="nightly-3-train").run_id == "mine"
    with pytest.raises(HyperparameterError, match="'run_id' is missing"):
        Hyperparameters().with_run(job_name="")
