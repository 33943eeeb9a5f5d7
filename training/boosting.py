"""Boosting, round by round: watch, stop, keep, go on."""

import sys
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from fraud.hyperparameters import Hyperparameters
from training.checkpoints import Checkpoint, Checkpoints, History
from training.constraints import constraints_of

__all__ = ["METRICS", "WATCHED", "Alone", "Interrupted", "Machines", "boost", "say", "settings_of"]

METRICS = ("logloss", "aucpr")
"""Measured on the validation part after every round; the first decides when to stop."""

WATCHED = "validation"

_TOLD_EVERY = 10


def say(line: str) -> None:
    """One line of progress, in the output that the job's metric definitions read."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Interrupted(Exception):  # noqa: N818 - not an error: what was done so far is kept
    """The machine is taken away; the work goes on from the last checkpoint."""


class Machines(Protocol):
    """What the machines of a training tell each other; every call is made by all of them."""

    @property
    def leads(self) -> bool:
        """Whether this is the first machine, which writes what there is to write."""

    def total(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The sum over all machines."""

    def any(self, value: bool) -> bool:
        """Whether it is true on one of them."""

    def share(self, value: Checkpoint | None) -> Checkpoint | None:
        """What the first machine has."""


class Alone:
    """One machine."""

    leads = True

    def total(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return values

    def any(self, value: bool) -> bool:
        return value

    def share(self, value: Checkpoint | None) -> Checkpoint | None:
        return value


def settings_of(
    parameters: Hyperparameters, names: Sequence[str], *, rate: float, threads: int
) -> dict[str, object]:
    """XGBoost's settings.

    `base_score`, the probability that boosting starts from, is set to the fraud rate of the rows it is fitted to:
    left alone, XGBoost estimates it by a Newton step whose result depends on the version.
    """
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "device": parameters.device,
        "eval_metric": list(METRICS),
        "base_score": rate,
        "max_depth": parameters.max_depth,
        "min_child_weight": parameters.min_child_weight,
        "gamma": parameters.gamma,
        "eta": parameters.eta,
        "subsample": parameters.subsample,
        "colsample_bytree": parameters.colsample_bytree,
        "lambda": parameters.reg_lambda,
        "scale_pos_weight": parameters.scale_pos_weight,
        "max_bin": parameters.max_bin,
        "seed": parameters.seed,
        # So that round 50 draws the same rows whether or not the machine was changed after round 49.
        "seed_per_iteration": True,
        "nthread": threads,
        "verbosity": 1,
        **constraints_of(
            names, monotone=parameters.monotone == "on", interactions=parameters.interactions == "on"
        ),
    }


def boost(
    training: xgb.DMatrix,
    watched: xgb.DMatrix,
    settings: dict[str, object],
    *,
    rounds: int,
    patience: int,
    machines: Machines | None = None,
    checkpoints: Checkpoints | None = None,
    checkpoint_rounds: int = 0,
    stopping: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = say,
) -> xgb.Booster:
    """Boost until the log loss on the validation part stops falling; keep the best rounds only.

    Average precision would be nearer to what a model is judged by, but on the few dozen frauds of a
    validation part it jumps: it stopped a run of the demo after 3 trees, at 0.52 on later rows, where
    log loss went on to 87 trees and 0.68.

    Parameters
    ----------
    patience : int
        Rounds without a lower loss until stop.
    checkpoints : Checkpoints, optional
        Go on from the latest, and keep one after every `checkpoint_rounds` and when told to stop.
    stopping : callable
        Asked after every round whether this machine is about to be taken away.
    say : callable
        Told of progress, in the form that the job's metric definitions look for.

    Raises
    ------
    Interrupted
        A machine is about to be taken away; the checkpoint is written.
    """
    machines = machines or Alone()
    start = machines.share(checkpoints.latest() if checkpoints is not None and machines.leads else None)
    history: History = {name: [] for name in METRICS}
    booster = xgb.Booster(settings, [training, watched])
    if start is not None:
        history = {name: list(values) for name, values in start.history.items()}
        booster = xgb.Booster(settings, [training, watched], model_file=bytearray(start.model))
        say(f"resumed round={len(history[METRICS[0]])}")

    def keep() -> None:
        if checkpoints is not None and machines.leads:
            checkpoints.save(history, bytes(booster.save_raw("ubj")))

    while not _finished(history[METRICS[0]], rounds, patience):
        number = len(history[METRICS[0]])
        booster.update(training, number)
        _note(history, booster.eval_set([(watched, WATCHED)], number))
        if number % _TOLD_EVERY == 0:
            say(f"round={number} {' '.join(f'{WATCHED}:{name}={history[name][-1]:.6f}' for name in METRICS)}")
        if machines.any(stopping()):
            keep()
            raise Interrupted
        if checkpoint_rounds and (number + 1) % checkpoint_rounds == 0:
            keep()
    best: xgb.Booster = booster[: int(np.argmin(history[METRICS[0]])) + 1]
    return best


def _finished(losses: Sequence[float], rounds: int, patience: int) -> bool:
    """Said by the history alone, so that a resumed training stops where the other would have."""
    if not losses:
        return False
    return len(losses) >= rounds or len(losses) - 1 - int(np.argmin(losses)) >= patience


def _note(history: History, line: str) -> None:
    """Add the figures of a line such as ``[3]  validation-logloss:0.1  validation-aucpr:0.5``."""
    for entry in line.split("\t")[1:]:
        name, _, value = entry.removeprefix(f"{WATCHED}-").rpartition(":")
        history[name].append(float(value))
