"""Hyperparameters of training: what they are called, what they may be, and what they are by default."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass

from training.contract import ProgramError

__all__ = ["Hyperparameters", "parse_duration"]

# SageMaker and its tuner add entries of their own, which are not for the algorithm.
_FOREIGN_PREFIXES = ("sagemaker_", "_tuning_")
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Typed hyperparameters of one training run.

    Attributes
    ----------
    run_id : str
        Becomes the version of the bundle.
    as_of : int
        Milliseconds, UTC; becomes `created_at` of the bundle. 0: take the dataset's own.
    rounds, early_stopping_rounds : int
        Trees at most, and trees without a lower log loss on the validation part until stop.
    max_depth, min_child_weight, eta, subsample, colsample_bytree, reg_lambda
        As in XGBoost.
    scale_pos_weight : float
        1 by default although fraud is rare: weighing the frauds up moves every probability away from
        the true rate, which calibration then has to undo, and it does not improve the ranking.
    nthread : int
        0: as many as there are processors. The model's bytes may depend on it.
    """

    run_id: str = ""
    as_of: int = 0
    code_version: str = ""
    rounds: int = 400
    early_stopping_rounds: int = 30
    max_depth: int = 6
    min_child_weight: float = 1.0
    eta: float = 0.1
    subsample: float = 0.8
    colsample_bytree: float = 0.8
    reg_lambda: float = 1.0
    scale_pos_weight: float = 1.0
    max_bin: int = 256
    seed: int = 17
    nthread: int = 0
    device: str = "cpu"

    @classmethod
    def parse(cls, values: Mapping[str, str]) -> "Hyperparameters":
        """Read SageMaker's strings.

        Raises
        ------
        ProgramError
            Naming the first parameter that is unknown, not of its type, or outside its range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        parsed: dict[str, str | int | float] = {}
        for name in sorted(values):
            if name.startswith(_FOREIGN_PREFIXES):
                continue
            if name not in fields:
                raise ProgramError(
                    f"Hyperparameter {name!r} is unknown; remove it or use one of: {', '.join(sorted(fields))}."
                )
            parsed[name] = _read(name, values[name], fields[name].type)
        return cls(**parsed)  # type: ignore[arg-type]

    def with_run(self, *, job_name: str) -> "Hyperparameters":
        """The same with `run_id` filled from the job's name (`<run_id>-train`) if it was not given."""
        if self.run_id:
            return self
        run_id = job_name.removesuffix("-train")
        if not run_id:
            raise ProgramError(
                "Hyperparameter 'run_id' is missing and no training job name was announced; "
                "pass run_id, it becomes the version of the model."
            )
        return dataclasses.replace(self, run_id=run_id)

    def as_document(self) -> dict[str, str | int | float]:
        """All parameters but the run's identity, for the lineage of the model."""
        skipped = {"run_id", "as_of", "code_version"}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in skipped}


# Closed ranges; None: no bound on that side.
_RANGES: dict[str, tuple[float | None, float | None]] = {
    "as_of": (0, None),
    "rounds": (1, 10_000),
    "early_stopping_rounds": (1, 10_000),
    "max_depth": (1, 16),
    "min_child_weight": (0, None),
    "eta": (0.0001, 1),
    "subsample": (0.05, 1),
    "colsample_bytree": (0.05, 1),
    "reg_lambda": (0, None),
    "scale_pos_weight": (0.001, 100_000),
    "max_bin": (2, 4_096),
    "seed": (0, 2**31 - 1),
    "nthread": (0, 1_024),
}


def _read(name: str, text: str, kind: object) -> str | int | float:
    if kind in (str, "str"):
        return _read_text(name, text)
    whole = kind in (int, "int")
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        raise ProgramError(
            f"Hyperparameter {name!r} is {text!r}; it must be {'a whole number' if whole else 'a number'}."
        ) from None
    low, high = _RANGES[name]
    # Written so that nan, which compares false with everything, is refused as well.
    if not ((low is None or value >= low) and (high is None or value <= high) and abs(value) != float("inf")):
        raise ProgramError(
            f"Hyperparameter {name!r} is {text}; it must be {_describe(low, high)}, so pass a value in that range."
        )
    return value


def _read_text(name: str, text: str) -> str:
    if name == "run_id" and not _RUN_ID.fullmatch(text):
        raise ProgramError(
            f"Hyperparameter 'run_id' is {text!r}; use 1 to 128 letters, digits, '.', '_' or '-', "
            "starting with a letter or a digit, since it becomes part of a path."
        )
    if name == "device" and text not in ("cpu", "cuda"):
        raise ProgramError(f"Hyperparameter 'device' is {text!r}; use 'cpu' or 'cuda'.")
    return text


def _describe(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low} and finite" if high is None else f"between {low} and {high}"


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
