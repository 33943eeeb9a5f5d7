"""Hyperparameters of training: what they are called, what they may be, and what they are by default.

Here and not with the training program, since planning a run refuses wrong ones before any machine starts.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["IDENTITY", "HyperparameterError", "Hyperparameters"]

IDENTITY = ("run_id", "as_of", "code_version")
"""What names a run rather than shapes its model; given by the job itself and by nothing else."""

# How the work is done, which changes neither the trees nor the bytes of the model.
_MECHANICS = ("nthread", "checkpoint_rounds", "checkpoints", "port", "patience_seconds", "memory")
# SageMaker and its tuner add entries of their own, which are not for the algorithm.
_FOREIGN_PREFIXES = ("sagemaker_", "_tuning_")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class HyperparameterError(ValueError):
    """A hyperparameter that cannot be used; the message names it, and the remedy."""


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
    max_depth, min_child_weight, gamma, eta, subsample, colsample_bytree, reg_lambda, max_bin
        As in XGBoost.
    scale_pos_weight : float
        1 by default although fraud is rare: weighing the frauds up moves every probability away from
        the true rate, which calibration then has to undo, and it does not improve the ranking.
    monotone, interactions : str
        ``on`` or ``off``: whether the constraints of `training.constraints` hold. Off by default: on the
        handbook's history the monotone ones cost 0.11 of average precision (docs/training.md).
    memory : str
        ``resident``: the train part lies in memory; ``external``: it is read in batches and kept on disk as bins;
        ``auto``: external where it would not fit well.
    seed : int
        Of the rows and columns that every tree is shown. Each round draws anew from it, which makes a resumed
        training the same as one that was not interrupted.
    nthread : int
        0: as many as there are processors.
    checkpoint_rounds, checkpoints : int
        A checkpoint after every so many trees, and how many are kept; 0 rounds for none.
    port : int
        Where the first of several machines listens for the others; 0: one that follows from the job's name.
    patience_seconds : int
        How long machines wait for one another, at the start and in any step of the work.
    """

    run_id: str = ""
    as_of: int = 0
    code_version: str = ""
    rounds: int = 400
    early_stopping_rounds: int = 30
    max_depth: int = 6
    min_child_weight: float = 1.0
    gamma: float = 0.0
    eta: float = 0.1
    subsample: float = 0.8
    colsample_bytree: float = 0.8
    reg_lambda: float = 1.0
    scale_pos_weight: float = 1.0
    max_bin: int = 256
    monotone: str = "off"
    interactions: str = "off"
    memory: str = "auto"
    seed: int = 17
    nthread: int = 0
    device: str = "cpu"
    checkpoint_rounds: int = 25
    checkpoints: int = 2
    port: int = 0
    patience_seconds: int = 600

    @classmethod
    def parse(cls, values: Mapping[str, str]) -> "Hyperparameters":
        """Read strings, as SageMaker passes all values.

        Raises
        ------
        HyperparameterError
            Naming the first parameter that is unknown, not of its type, or outside its range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        parsed: dict[str, str | int | float] = {}
        for name in sorted(values):
            if name.startswith(_FOREIGN_PREFIXES):
                continue
            if name not in fields:
                raise HyperparameterError(
                    f"Hyperparameter {name!r} is unknown; remove it or use one of: {', '.join(sorted(fields))}."
                )
            parsed[name] = _read(name, values[name], fields[name].type)
        return cls(**parsed)  # type: ignore[arg-type]  # each value was read as the type of its field

    def with_run(self, *, job_name: str) -> "Hyperparameters":
        """The same with `run_id` filled from the job's name (`<run_id>-train-r<n>`) if it was not given.

        Raises
        ------
        HyperparameterError
            Neither says what the run is called.
        """
        if self.run_id:
            return self
        run_id = re.sub(r"-train(-r\d+)?$", "", job_name)
        if not run_id:
            raise HyperparameterError(
                "Hyperparameter 'run_id' is missing and no training job name was announced; "
                "pass run_id, it becomes the version of the model."
            )
        return dataclasses.replace(self, run_id=run_id)

    def as_document(self) -> dict[str, str | int | float]:
        """All parameters but the run's identity, for the lineage of the model."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in IDENTITY}

    def shaping(self) -> dict[str, str | int | float]:
        """The parameters that decide what the trees are."""
        return {name: value for name, value in self.as_document().items() if name not in _MECHANICS}


_CHOICES = {
    "device": ("cpu", "cuda"),
    "memory": ("auto", "resident", "external"),
    "monotone": ("on", "off"),
    "interactions": ("on", "off"),
}
# Closed ranges; None: no bound on that side.
_RANGES: dict[str, tuple[float | None, float | None]] = {
    "as_of": (0, None),
    "rounds": (1, 10_000),
    "early_stopping_rounds": (1, 10_000),
    "max_depth": (1, 16),
    "min_child_weight": (0, None),
    "gamma": (0, None),
    "eta": (0.0001, 1),
    "subsample": (0.05, 1),
    "colsample_bytree": (0.05, 1),
    "reg_lambda": (0, None),
    "scale_pos_weight": (0.001, 100_000),
    "max_bin": (2, 4_096),
    "seed": (0, 2**31 - 1),
    "nthread": (0, 1_024),
    "checkpoint_rounds": (0, 10_000),
    "checkpoints": (1, 100),
    "port": (0, 65_535),
    "patience_seconds": (1, 6 * 3_600),
}


def _read(name: str, text: str, kind: object) -> str | int | float:
    if kind in (str, "str"):
        return _read_text(name, text)
    whole = kind in (int, "int")
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        raise HyperparameterError(
            f"Hyperparameter {name!r} is {text!r}; it must be {'a whole number' if whole else 'a number'}."
        ) from None
    low, high = _RANGES[name]
    # Written so that nan, which compares false with everything, is refused as well.
    if not ((low is None or value >= low) and (high is None or value <= high) and abs(value) != float("inf")):
        raise HyperparameterError(
            f"Hyperparameter {name!r} is {text}; it must be {_describe(low, high)}, so pass a value in that range."
        )
    return value


def _read_text(name: str, text: str) -> str:
    if name == "run_id" and not _RUN_ID.fullmatch(text):
        raise HyperparameterError(
            f"Hyperparameter 'run_id' is {text!r}; use 1 to 128 letters, digits, '.', '_' or '-', "
            "starting with a letter or a digit, since it becomes part of a path."
        )
    if name in _CHOICES and text not in _CHOICES[name]:
        choices = " or ".join(repr(each) for each in _CHOICES[name])
        raise HyperparameterError(f"Hyperparameter {name!r} is {text!r}; use {choices}.")
    return text


def _describe(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low} and finite" if high is None else f"between {low} and {high}"
