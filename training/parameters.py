"""The hyperparameters that count for a job."""

import json
from collections.abc import Sequence
from pathlib import Path

from fraud.hyperparameters import IDENTITY, HyperparameterError, Hyperparameters
from training.contract import Contract, ProgramError

__all__ = ["GIVEN", "TUNED", "Hyperparameters", "read_files", "read_parameters"]

GIVEN = "given.json"
"""What the plan asked for."""

TUNED = "tuned.json"
"""What the step `tune` found; lies beside it and counts for more."""


def read_parameters(contract: Contract) -> Hyperparameters:
    """The training job's own hyperparameters, under those of the channel `parameters`.

    Raises
    ------
    ProgramError
        A parameter is unknown or out of its range, a file is no object, or nothing says what the run is called.
    """
    values = contract.read_hyperparameters() | read_files(contract.channel("parameters"))
    try:
        return Hyperparameters.parse(values).with_run(job_name=contract.job_name)
    except HyperparameterError as error:
        raise ProgramError(str(error)) from error


def read_files(folder: Path, names: Sequence[str] = (GIVEN, TUNED)) -> dict[str, str]:
    """Hyperparameters given to the run, and over them those that tuning found; neither file needs to be there.

    Raises
    ------
    ProgramError
        A file is not an object of strings and numbers, or names the run, which only the job itself may.
    """
    found: dict[str, str] = {}
    for name in names:
        path = folder / name
        if path.is_file():
            found |= _read(path)
    return found


def _read(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise ProgramError(
            f"{path} is not valid JSON ({error}); write one object of strings or numbers."
        ) from error
    plain = isinstance(document, dict) and all(type(value) in (str, int, float) for value in document.values())
    if not plain:
        raise ProgramError(f"{path} must hold one JSON object of strings or numbers.")
    named = sorted(document.keys() & set(IDENTITY))
    if named:
        raise ProgramError(f"{path} says {named[0]!r}, which the job itself does; remove it there.")
    return {name: str(value) for name, value in document.items()}
