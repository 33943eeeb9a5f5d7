"""Models to compare by one protocol: ours, the handbook's, and two classics."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb
from sklearn import ensemble, linear_model, pipeline, preprocessing

from training.arrays import Labels, Scores
from training.walkforward import Matrix, Model

__all__ = ["PEERS", "Peer"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to fit a model.

    Attributes
    ----------
    parameters : dict
        What differs from the library's defaults, to be printed with the figures.
    make : callable
        Given a seed and a number of threads, the model.
    """

    parameters: Mapping[str, object]
    make: Callable[[int, int], Model]


OURS: dict[str, Any] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "rounds": 200,
    "eta": 0.05,
    "max_depth": 4,
    "min_child_weight": 0.1,
    "subsample": 0.7,
    "colsample_bynode": 0.5,
    "gamma": 0.5,
    "lambda": 5.0,
    "max_bin": 512,
    "base_score": 0.5,
}

# The handbook's figures were made with a release whose default tree method was `exact` and whose base score 0.5.
# Later releases start from the rate of fraud, at which a row's second derivative is p (1 - p), about 0.009 and not
# 0.25: the default min_child_weight of 1 then forbids leaves of fewer than about 110 rows. And `hist` cuts a
# column into 256 bins of equally many rows, of which the amounts that only frauds have share the last one.
_HANDBOOK: dict[str, Any] = {"tree_method": "exact", "base_score": 0.5}
_SELECTED: dict[str, Any] = {**_HANDBOOK, "n_estimators": 50, "learning_rate": 0.3, "max_depth": 3}


def _ours(seed: int, threads: int) -> Model:
    given = {name: value for name, value in OURS.items() if name != "rounds"}

    def score(vectors: Matrix, labels: Labels, later: Matrix) -> Scores:
        columns = _telling(vectors)
        fitted = xgb.QuantileDMatrix(
            vectors[:, columns], labels, missing=np.nan, max_bin=OURS["max_bin"], nthread=threads
        )
        booster = xgb.train({**given, "seed": seed, "nthread": threads}, fitted, OURS["rounds"])
        asked = xgb.DMatrix(later[:, columns], missing=np.nan, nthread=threads)
        found: Scores = booster.predict(asked).astype(np.float64)
        return found

    return score


def _telling(vectors: Matrix) -> list[int]:
    """The columns that are neither the same on every row nor the same as an earlier one.

    A file that has neither devices nor addresses, or in which card and customer are one, would otherwise fill the
    random draws of columns with what tells nothing.
    """
    seen: set[bytes] = set()
    found = []
    for column in range(vectors.shape[1]):
        values = np.ascontiguousarray(vectors[:, column])
        digest = hashlib.sha256(values.tobytes()).digest()
        present = values[~np.isnan(values)]
        same = len(present) == 0 or (len(present) == len(values) and present.min() == present.max())
        if not same and digest not in seen:
            seen.add(digest)
            found.append(column)
    return found or [0]


def _classifier(estimator: Callable[[int, int], Any]) -> Callable[[int, int], Model]:
    """A model of the scikit-learn kind. What is missing is 0 to it, as in the handbook's published features."""

    def make(seed: int, threads: int) -> Model:
        def score(vectors: Matrix, labels: Labels, later: Matrix) -> Scores:
            fitted = estimator(seed, threads).fit(np.nan_to_num(vectors, nan=0.0), labels)
            found: Scores = fitted.predict_proba(np.nan_to_num(later, nan=0.0))[:, 1].astype(np.float64)
            return found

        return score

    return make


def _boosted(parameters: dict[str, Any]) -> Peer:
    return Peer(
        parameters,
        _classifier(lambda seed, jobs: xgb.XGBClassifier(random_state=seed, n_jobs=jobs, **parameters)),
    )


# scikit-learn has no types.
_PIPELINE: Any = pipeline.make_pipeline
_SCALER: Any = preprocessing.StandardScaler
_LOGISTIC: Any = linear_model.LogisticRegression
_FOREST: Any = ensemble.RandomForestClassifier


def _logistic(seed: int, _threads: int) -> Any:
    return _PIPELINE(_SCALER(), _LOGISTIC(random_state=seed, max_iter=1_000))


def _forest(seed: int, threads: int) -> Any:
    return _FOREST(random_state=seed, n_jobs=threads or -1)


PEERS: dict[str, Peer] = {
    "xgboost-ours": Peer(OURS, _ours),
    "xgboost-handbook": _boosted(_HANDBOOK),
    "xgboost-handbook-selected": _boosted(_SELECTED),
    "logistic": Peer({"scaled": True, "max_iter": 1_000}, _classifier(_logistic)),
    "forest": Peer({"n_estimators": 100}, _classifier(_forest)),
}
"""Name of a model to how it is made."""
