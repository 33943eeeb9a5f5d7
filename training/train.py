"""Fit, stop, calibrate and write a model."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import numpy as np
import xgboost as xgb

from fraud.bundle import Lineage, Manifest
from fraud.features import STANDARD
from fraud.hyperparameters import Hyperparameters
from training.arrays import Scores
from training.boosting import Interrupted, Machines, boost, say, settings_of
from training.bundles import write_bundle
from training.calibrate import apply_calibration, fit_beta
from training.checkpoints import Checkpoints, fingerprint
from training.collective import joined
from training.contract import Contract, ProgramError
from training.hosts import Hosts
from training.matrices import Count, available_memory, count_rows, matrices, needs_disk
from training.metrics import summarise
from training.parts import Description, Part, read_description, read_part
from training.revision import code_version

__all__ = ["FITTED_UNTIL", "PROFILE_FILE", "fit", "train"]

FITTED_UNTIL = "dataset.fitted_until"
"""Key in the lineage's parameters: time of the last row that the model has seen in any way."""

PROFILE_FILE = "profile.json"
"""What the train part's features look like; part of the bundle, since drift is measured against it."""

_STOPPED = 128 + signal.SIGTERM


def train(
    contract: Contract,
    parameters: Hyperparameters,
    hosts: Hosts,
    port: int,
    *,
    join: Callable[[Hosts, int, int], AbstractContextManager[Machines]] = joined,
) -> None:
    """Do this machine's share of a training job: channels train, validation and about -> the bundle.

    Parameters
    ----------
    port : int
        Where the machines meet, if there are several.
    join : callable
        How they meet.

    Raises
    ------
    ProgramError
        The dataset cannot be used, its parts overlap in time, the model is worse than none, or another machine
        was lost.
    SystemExit
        The machine is taken away; a checkpoint was written.
    """
    description = read_description(contract.channel("about"))
    with join(hosts, port, parameters.patience_seconds) as machines:
        learned = _learn(contract, parameters, description, hosts, machines)
        leads = machines.leads
    if leads:
        _write(contract, parameters, description, hosts, *learned)


def fit(
    train_part: Part, validation: Part, names: tuple[str, ...], parameters: Hyperparameters, threads: int
) -> xgb.Booster:
    """A booster of parts in memory, as `boost` makes it."""
    common = {"missing": np.nan, "feature_names": list(names), "max_bin": parameters.max_bin, "nthread": threads}
    training = xgb.QuantileDMatrix(train_part.vectors, train_part.labels, weight=train_part.weights, **common)
    watched = xgb.QuantileDMatrix(
        validation.vectors, validation.labels, weight=validation.weights, ref=training, **common
    )
    rate = float(np.average(train_part.labels, weights=train_part.weights))
    return boost(
        training,
        watched,
        settings_of(parameters, names, rate=rate, threads=threads),
        rounds=parameters.rounds,
        patience=parameters.early_stopping_rounds,
    )


def _learn(
    contract: Contract, parameters: Hyperparameters, description: Description, hosts: Hosts, machines: Machines
) -> tuple[xgb.Booster, Scores]:
    """The booster, and its raw probabilities of the validation part; every machine has the same."""
    names = description.features
    folders = [contract.channel(name) for name in ("train", "validation")]
    whole = _agree(folders, hosts, machines)
    rate = whole.fraud_weight / whole.weight
    marks = fingerprint(
        {
            "dataset": description.fingerprint,
            "features": names,
            "parameters": parameters.shaping(),
            "machines": len(hosts.names),
            "rows": whole.rows,
            "xgboost": xgb.__version__,
        }
    )
    kept = Checkpoints(contract.checkpoints, marks, keep=parameters.checkpoints)
    external = machines.any(needs_disk(folders, len(names), parameters.memory, available_memory()))
    with TemporaryDirectory(prefix="paywarden-bins-") as scratch:
        if external:
            say("memory: the rows are kept on disk as bins")
        learned = _boosted(contract, parameters, names, rate, machines, kept, Path(scratch) if external else None)
    if learned is None:
        raise SystemExit(_STOPPED)
    return learned


def _boosted(
    contract: Contract,
    parameters: Hyperparameters,
    names: tuple[str, ...],
    rate: float,
    machines: Machines,
    kept: Checkpoints,
    scratch: Path | None,
) -> tuple[xgb.Booster, Scores] | None:
    """The booster and its raw probabilities, None if the machine is taken away; the matrices end here."""
    threads = parameters.nthread or contract.cpus
    train_rows, later_rows = contract.channel("train"), contract.channel("validation")
    with _told_to_stop() as told:
        training, watched = matrices(train_rows, later_rows, names, parameters, threads=threads, scratch=scratch)
        try:
            booster = boost(
                training,
                watched,
                settings_of(parameters, names, rate=rate, threads=threads),
                rounds=parameters.rounds,
                patience=parameters.early_stopping_rounds,
                machines=machines,
                checkpoints=kept,
                checkpoint_rounds=parameters.checkpoint_rounds,
                stopping=lambda: bool(told),
            )
        except Interrupted:
            return None
        return booster, booster.predict(watched).astype(np.float64)


def _agree(folders: list[Path], hosts: Hosts, machines: Machines) -> Count:
    """What all machines' rows come to; on all of them the same refusal, if one cannot use its own.

    Raises
    ------
    ProgramError
        A machine has no rows, a class is missing, or the parts overlap in time.
    """
    own, complaint = None, ""
    try:
        own, later = count_rows(folders[0]), count_rows(folders[1])
        if later.first <= own.last:
            # What stops and calibrates a model must be later than what it learned from, as what it will score is.
            complaint = (
                "The validation part begins before the train part ends, so a calibration fitted to it would "
                "flatter the model; build the dataset again, which cuts it by time."
            )
        elif not 0 < later.frauds < later.rows:
            complaint = _one_class("validation", later.frauds, later.rows)
    except ProgramError as error:
        complaint = str(error)
        if len(hosts.names) > 1 and not any(folders[0].glob("*.parquet")):
            complaint = (
                f"The machine {hosts.current} got no file of the train part: there are fewer files than machines. "
                "Use fewer instances, or build the dataset from a longer history."
            )
    refusing = np.zeros(len(hosts.names))
    refusing[hosts.rank] = bool(complaint)
    figures = [own.rows, own.frauds, own.weight, own.fraud_weight] if own else [0.0] * 4
    told = machines.total(np.array([*figures, *refusing]))
    if complaint:
        raise ProgramError(complaint)
    if told[4:].any():
        name = hosts.names[int(np.argmax(told[4:]))]
        raise ProgramError(f"The machine {name} cannot use its share of the dataset; its log says why.")
    rows, frauds = int(told[0]), int(told[1])
    if own is None or not 0 < frauds < rows:
        raise ProgramError(_one_class("train", frauds, rows))
    return Count(rows, frauds, float(told[2]), float(told[3]), own.first, own.last)


def _one_class(name: str, frauds: int, rows: int) -> str:
    return (
        f"The {name} part holds {frauds} frauds among {rows} rows; both classes are needed. "
        "Build the dataset from a longer history."
    )


def _write(
    contract: Contract,
    parameters: Hyperparameters,
    description: Description,
    hosts: Hosts,
    booster: xgb.Booster,
    raw: Scores,
) -> Manifest:
    """Calibrate on the validation part, and write the bundle."""
    validation = read_part(contract.channel("validation"), ())
    calibration = fit_beta(raw, validation.labels, validation.weights)
    scores = apply_calibration(raw, calibration)
    figures = summarise(validation.labels, scores, validation.cards, validation.times)
    metrics = {f"validation_{name}": value for name, value in figures.items() if value is not None}
    metrics["rounds"] = float(booster.num_boosted_rounds())
    manifest = Manifest(
        version=parameters.run_id,
        created_at=parameters.as_of or description.as_of,
        features=description.features,
        feature_set=description.feature_set,
        calibration=calibration,
        metrics=metrics,
        lineage=Lineage(
            run_id=parameters.run_id,
            dataset=description.fingerprint,
            parameters={
                **{name: str(value) for name, value in parameters.shaping().items()},
                "machines": str(len(hosts.names)),
                FITTED_UNTIL: str(int(validation.times.max())),
            },
            code_version=parameters.code_version or code_version(),
        ),
        files={},
        xgboost=xgb.__version__,
        reasons={each.name: each.reason for each in STANDARD.features if each.name in description.features},
    )
    profile = contract.channel("about") / PROFILE_FILE
    others = {PROFILE_FILE: profile.read_bytes()} if profile.is_file() else {}
    written = write_bundle(contract.model, booster, manifest, others=others)
    say(
        f"done rounds={booster.num_boosted_rounds()} "
        f"validation:aucpr={metrics['validation_average_precision']:.6f} "
        f"validation:auc={metrics['validation_auc']:.6f} validation:logloss={metrics['validation_log_loss']:.6f}"
    )
    return written


@contextmanager
def _told_to_stop() -> Iterator[list[int]]:
    """A list that is not empty once the machine is about to be taken away; the current round still ends."""
    told: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)
