"""Look for better hyperparameters: within bounds, and never on the rows that judge the model.

The rows of the train and validation parts are cut in time: each fold fits to what came first and is scored on what
came next, as the model will be. The first trial is what was given, so that the search cannot end below it.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import msgspec
import numpy as np
import optuna
import xgboost as xgb
from sklearn.metrics import average_precision_score

from fraud.hyperparameters import IDENTITY, HyperparameterError, Hyperparameters
from fraud.release import TuningPolicy
from training.arrays import Labels, Scores
from training.boosting import boost, settings_of
from training.contract import Contract, ProgramError
from training.parameters import GIVEN, TUNED, read_files
from training.parts import ABOUT, Part, read_description, read_part
from training.plan import read_plan

__all__ = ["REPORT", "Search", "tune"]

REPORT = "tuning.json"
"""All trials, beside `tuned.json`."""

_EDGES = (0.4, 0.6, 0.8, 1.0)
# Trials before one is given up for being below the middle of the others at the same fold.
_STARTUP = 5

type Values = dict[str, int | float]
type Bounds = tuple[float, float, bool]

_SPACE: dict[str, Bounds] = {
    "max_depth": (3, 10, False),
    "min_child_weight": (0.5, 50.0, True),
    "gamma": (0.0, 3.0, False),
    "eta": (0.02, 0.3, True),
    "subsample": (0.5, 1.0, False),
    "colsample_bytree": (0.3, 1.0, False),
    "reg_lambda": (0.1, 30.0, True),
}
"""Least, most, and whether on a logarithmic scale."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One set of parameters: average precision of each fold that was scored; fewer folds if given up."""

    number: int
    parameters: Values
    scores: list[float]
    given_up: bool


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a search came to; `tuned` holds only what differs from what was given."""

    tuned: Values
    best: int
    reason: str
    folds: list[dict[str, int]]
    trials: list[Trial]


def tune(contract: Contract, *, clock: Callable[[], float] = time.monotonic) -> Search:
    """Run a processing job: inputs plan, parameters and dataset -> output parameters.

    Parameters
    ----------
    clock : callable
        Seconds, for the bound of the policy.

    Raises
    ------
    ProgramError
        An input cannot be used.
    """
    policy = read_plan(contract).policy.tuning
    given = read_files(contract.processing_input("parameters"), (GIVEN,))
    try:
        parameters = Hyperparameters.parse(given)
    except HyperparameterError as error:
        raise ProgramError(str(error)) from error
    folder = contract.processing_input("dataset")
    names = read_description(folder / ABOUT).features
    parts = [read_part(folder / name, names) for name in ("train", "validation")]
    search = _search(parts, names, parameters, frozenset(given), policy, contract.cpus, clock)
    output = contract.processing_output("parameters")
    output.mkdir(parents=True, exist_ok=True)
    (output / TUNED).write_bytes(msgspec.json.format(msgspec.json.encode(search.tuned)) + b"\n")
    (output / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(search)) + b"\n")
    sys.stdout.write(f"{search.reason}\n")
    return search


def _search(
    parts: list[Part],
    names: tuple[str, ...],
    parameters: Hyperparameters,
    fixed: frozenset[str],
    policy: TuningPolicy,
    cpus: int,
    clock: Callable[[], float],
) -> Search:
    folds = list(_folds(parts, names, parameters, cpus))
    if not folds:
        raise ProgramError(
            "No fold of the train and validation parts holds both classes before and after its cut, so nothing "
            "can be tuned; train without tuning, or build the dataset from a longer history."
        )
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=parameters.seed, n_startup_trials=_STARTUP),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP),
    )
    space = {name: bounds for name, bounds in _SPACE.items() if name not in fixed}
    study.enqueue_trial(_clipped(parameters, space))
    trials: list[Trial] = []
    end = clock() + policy.seconds
    while len(trials) < policy.trials and (not trials or clock() < end):
        asked = study.ask()
        values = _ask(asked, space) if trials else _first(asked, parameters, space)
        scores, given_up = [], False
        for step, fold in enumerate(folds):
            scores.append(fold.score(_with(parameters, values), names, cpus))
            asked.report(float(np.mean(scores)), step)
            if step + 1 < len(folds) and asked.should_prune():
                given_up = True
                break
        state = optuna.trial.TrialState.PRUNED if given_up else optuna.trial.TrialState.COMPLETE
        study.tell(asked, None if given_up else float(np.mean(scores)), state=state)
        trials.append(Trial(number=len(trials), parameters=values, scores=scores, given_up=given_up))
        sys.stdout.write(f"trial={trials[-1].number} tuning:aucpr={np.mean(scores):.6f}\n")
    return _chosen(trials, [fold.about for fold in folds])


@dataclass(frozen=True, slots=True)
class _Fold:
    """Rows to fit to, as bins, and later rows to score."""

    training: xgb.DMatrix
    watched: xgb.DMatrix
    labels: Labels
    weights: Scores
    rate: float
    about: dict[str, int]

    def score(self, parameters: Hyperparameters, names: tuple[str, ...], cpus: int) -> float:
        """Average precision on the later rows, of the rounds that their log loss stops at."""
        booster = boost(
            self.training,
            self.watched,
            settings_of(parameters, names, rate=self.rate, threads=parameters.nthread or cpus),
            rounds=parameters.rounds,
            patience=parameters.early_stopping_rounds,
            say=lambda _line: None,
        )
        scores = booster.predict(self.watched)
        return float(average_precision_score(self.labels, scores, sample_weight=self.weights))


def _folds(parts: list[Part], names: tuple[str, ...], parameters: Hyperparameters, cpus: int) -> Iterator[_Fold]:
    vectors = np.concatenate([part.vectors for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    cuts = [round(len(labels) * edge) for edge in _EDGES]
    common = {"missing": np.nan, "feature_names": list(names), "max_bin": parameters.max_bin}
    threads = parameters.nthread or cpus
    for start, stop in itertools.pairwise(cuts):
        later = slice(start, stop)
        if not (0 < labels[:start].sum() < start and 0 < labels[later].sum() < stop - start):
            continue
        training = xgb.QuantileDMatrix(
            vectors[:start], labels[:start], weight=weights[:start], nthread=threads, **common
        )
        yield _Fold(
            training=training,
            watched=xgb.QuantileDMatrix(
                vectors[later], labels[later], weight=weights[later], ref=training, nthread=threads, **common
            ),
            labels=labels[later],
            weights=weights[later],
            rate=float(np.average(labels[:start], weights=weights[:start])),
            about={"fitted": start, "scored": stop - start, "frauds": int(labels[later].sum())},
        )


def _first(trial: optuna.Trial, parameters: Hyperparameters, space: dict[str, Bounds]) -> Values:
    """What was given itself, even where it lies outside the space; the sampler is told of the nearest point."""
    _ask(trial, space)
    return {name: getattr(parameters, name) for name in space}


def _with(parameters: Hyperparameters, values: Values) -> Hyperparameters:
    texts = {name: str(value) for name, value in (asdict(parameters) | values).items()}
    # Read as from a file, so that what is tried is what training will make of what is written.
    return Hyperparameters.parse({name: text for name, text in texts.items() if name not in IDENTITY})


def _clipped(parameters: Hyperparameters, space: dict[str, Bounds]) -> Values:
    return {name: min(max(getattr(parameters, name), low), high) for name, (low, high, _) in space.items()}


def _ask(trial: optuna.Trial, space: dict[str, Bounds]) -> Values:
    values: Values = {}
    for name, (low, high, log) in space.items():
        if name == "max_depth":
            values[name] = trial.suggest_int(name, int(low), int(high))
        else:
            values[name] = trial.suggest_float(name, low, high, log=log)
    return values


def _chosen(trials: list[Trial], folds: list[dict[str, int]]) -> Search:
    if not trials:
        return Search(tuned={}, best=-1, reason="No trials were asked for.", folds=folds, trials=[])
    whole = [trial for trial in trials if not trial.given_up]
    best = max(whole, key=lambda trial: (np.mean(trial.scores), -trial.number))
    given, found = float(np.mean(trials[0].scores)), float(np.mean(best.scores))
    told = f"{len(trials)} trials on {len(folds)} folds, {len(trials) - len(whole)} of them given up early"
    if best.number == 0:
        reason = f"Of {told}, none was above the average precision of what was given, {given:.4f}."
    else:
        reason = f"Of {told}, number {best.number} has an average precision of {found:.4f} after {given:.4f}."
    tuned = {} if best.number == 0 else best.parameters
    return Search(tuned=tuned, best=best.number, reason=reason, folds=folds, trials=trials)
