"""The hyperparameters that count for a job, and durations on the command line."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from fraud.hyperparameters import IDENTITY, HyperparameterError, Hyperparameters
from training.contract import Contract, ProgramError

__all__ = ["GIVEN", "TUNED", "Hyperparameters", "parse_duration", "read_files", "read_parameters"]

GIVEN = "given.json"
"""What the plan asked for."""

TUNED = "tuned.json"
"""What the step `tune` found; lies beside it and counts for more."""

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


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


def parse_duration(text: str) -> int:
    """Read a duration such as `3d`, `12h`, `90m` or `45s`.

    Returns
    -------
    int
        Milliseconds.

    Raises
    ------
    ValueError
        The text is not a whole number followed by one of s, m, h, d.

    Examples
    --------
    >>> parse_duration("3d")
    259200000
    """
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a whole number and a unit, such as 3d, 12h or 90m")
    return int(match[1]) * _UNITS[match[2]]
