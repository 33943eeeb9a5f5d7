"""Fit, stop, calibrate and write a model."""

import sys

import numpy as np
import xgboost as xgb

from fraud.bundle import Lineage, Manifest
from fraud.features import STANDARD
from training.bundles import write_bundle
from training.calibrate import apply_calibration, fit_beta
from training.contract import Contract, ProgramError
from training.metrics import summarise
from training.parameters import Hyperparameters
from training.parts import Part, read_description, read_part
from training.source import code_version

__all__ = ["FITTED_UNTIL", "fit", "train"]

# Key in the lineage's parameters: time of the last row that the model has seen in any way.
FITTED_UNTIL = "dataset.fitted_until"


class _Progress(xgb.callback.TrainingCallback):
    """One line for each tenth round, in the form that the job's metric definitions look for."""

    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:  # noqa: ARG002
        if epoch % 10 == 0 and isinstance(evals_log, dict):
            figures = evals_log["validation"]
            line = " ".join(f"validation:{name}={values[-1]:.6f}" for name, values in figures.items())
            _say(f"round={epoch} {line}")
        return False


def train(contract: Contract) -> Manifest:
    """Run a training job: read the channel `dataset` and the hyperparameters, write the bundle.

    Raises
    ------
    ProgramError
        A parameter or the dataset cannot be used, its parts overlap in time, or the model is worse than none.
    """
    parameters = Hyperparameters.parse(contract.read_hyperparameters()).with_run(job_name=contract.job_name)
    folder = contract.channel("dataset")
    description = read_description(folder)
    parts = {name: read_part(folder, name, description.features) for name in ("train", "validation")}
    for name, part in parts.items():
        if not 0 < int(part.labels.sum()) < len(part.labels):
            raise ProgramError(
                f"The {name} part holds {int(part.labels.sum())} frauds among {len(part.labels)} rows; "
                "both classes are needed. Build the dataset from a longer history."
            )
    _refuse_overlap(parts["train"], parts["validation"])
    threads = parameters.nthread or contract.cpus
    booster = fit(parts["train"], parts["validation"], description.features, parameters, threads)
    validation = parts["validation"]
    matrix = xgb.DMatrix(validation.vectors, missing=np.nan, feature_names=list(description.features))
    raw = booster.predict(matrix).astype(np.float64)
    calibration = fit_beta(raw, validation.labels)
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
                **{name: str(value) for name, value in parameters.as_document().items()},
                "nthread": str(threads),
                FITTED_UNTIL: str(int(validation.times.max())),
            },
            code_version=parameters.code_version or code_version(),
        ),
        files={},
        xgboost=xgb.__version__,
        reasons={each.name: each.reason for each in STANDARD.features if each.name in description.features},
    )
    written = write_bundle(contract.model, booster, manifest)
    _say(
        f"done rounds={booster.num_boosted_rounds()} "
        f"validation:aucpr={metrics['validation_average_precision']:.6f} "
        f"validation:auc={metrics['validation_auc']:.6f} validation:logloss={metrics['validation_log_loss']:.6f}"
    )
    return written


def fit(
    train_part: Part, validation: Part, names: tuple[str, ...], parameters: Hyperparameters, threads: int
) -> xgb.Booster:
    """Boost until the log loss on the validation part stops falling; keep the best rounds only.

    Average precision would be nearer to what a model is judged by, but on the few dozen frauds of a
    validation part it jumps: it stopped a run of the demo after 3 trees, at 0.52 on later rows, where
    log loss went on to 87 trees and 0.68.

    `base_score`, the probability that boosting starts from, is set to the fraud rate of the rows it is fitted to:
    left alone, XGBoost estimates it by a Newton step whose result depends on the version.
    """
    training = xgb.DMatrix(train_part.vectors, train_part.labels, missing=np.nan, feature_names=list(names))
    watched = xgb.DMatrix(validation.vectors, validation.labels, missing=np.nan, feature_names=list(names))
    booster = xgb.train(
        {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "device": parameters.device,
            "eval_metric": ["logloss", "aucpr"],
            "base_score": float(train_part.labels.mean()),
            "max_depth": parameters.max_depth,
            "min_child_weight": parameters.min_child_weight,
            "eta": parameters.eta,
            "subsample": parameters.subsample,
            "colsample_bytree": parameters.colsample_bytree,
            "lambda": parameters.reg_lambda,
            "scale_pos_weight": parameters.scale_pos_weight,
            "max_bin": parameters.max_bin,
            "seed": parameters.seed,
            "nthread": threads,
            "verbosity": 1,
        },
        training,
        num_boost_round=parameters.rounds,
        evals=[(watched, "validation")],
        callbacks=[
            xgb.callback.EarlyStopping(
                rounds=parameters.early_stopping_rounds,
                metric_name="logloss",
                data_name="validation",
                maximize=False,
                save_best=True,
            ),
            _Progress(),
        ],
        verbose_eval=False,
    )
    # The stopping's notes would be the only thing in the file that scoring does not need.
    booster.set_attr(best_iteration=None, best_score=None)
    return booster


def _refuse_overlap(train_part: Part, validation: Part) -> None:
    """What stops and calibrates a model must be later than what it learned from, as what it will score is.

    Raises
    ------
    ProgramError
        If a row of the validation part is not later than all of the train part.
    """
    if validation.times.min() <= train_part.times.max():
        raise ProgramError(
            "The validation part begins before the train part ends, so a calibration fitted to it would flatter "
            "the model; build the dataset again, which cuts it by time."
        )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
