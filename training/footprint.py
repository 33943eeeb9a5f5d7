"""What it takes to serve a model: the time of one answer, and the size of its bundle."""

import statistics
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xgboost as xgb

from training.bundles import Model
from training.parts import Part

__all__ = ["bundle_bytes", "latency_us"]

_ANSWERS = 40
_WARM = 5


def latency_us(model: Model, part: Part, names: tuple[str, ...], clock: Callable[[], float]) -> float:
    """Median time of a score and its exact contributions, row by row on one thread, in microseconds.

    Serving reaches XGBoost past its Python package, so this is an upper bound of its share of an answer. It is
    measured on the machine that judges: a bound on it keeps out models of another order of size, and no more.

    Parameters
    ----------
    clock : callable
        Seconds, such as `time.perf_counter`.
    """
    booster = model.booster.copy()
    booster.set_param({"nthread": 1})
    columns = list(model.manifest.features)
    rows = model.aligned(part.vectors[np.arange(_WARM + _ANSWERS) % len(part.vectors)], names)
    times = []
    for row in rows:
        began = clock()
        booster.inplace_predict(row[None, :], missing=np.nan)
        booster.predict(
            xgb.DMatrix(row[None, :], missing=np.nan, feature_names=columns, nthread=1), pred_contribs=True
        )
        times.append(clock() - began)
    return 1e6 * statistics.median(times[_WARM:])


def bundle_bytes(folder: Path) -> int:
    """All that the one archive under a folder unpacks to."""
    with tarfile.open(next(folder.rglob("model.tar.gz")), "r:gz") as archive:
        return sum(member.size for member in archive if member.isfile())
