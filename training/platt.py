"""The calibration, on whole arrays: its fit, and the same mapping as serving's `fraud.calibration`."""

import math

import numpy as np

from fraud.calibration import Calibration
from training.arrays import Labels, Scores
from training.contract import ProgramError

__all__ = ["apply_platt", "fit_platt", "margins"]

_EDGE = 1e-6

_ITERATIONS = 100
_RIDGE = 1e-9


def margins(raw: Scores) -> Scores:
    """Log-odds of raw probabilities, clipped exactly as serving clips them before it calibrates."""
    clipped = np.clip(raw, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def apply_platt(raw: Scores, calibration: Calibration) -> Scores:
    """Calibrated probabilities of raw ones: `fraud.calibration.calibrate` for every element."""
    exponent = np.clip(calibration.a * margins(raw) + calibration.b, -60.0, 60.0)
    return np.asarray(np.clip(1 / (1 + np.exp(exponent)), _EDGE, 1 - _EDGE), dtype=np.float64)


def fit_platt(raw: Scores, labels: Labels) -> Calibration:
    """Fit p = 1 / (1 + exp(a * margin + b)) by maximum likelihood.

    Newton's method with a halved step, on targets drawn in from 0 and 1 as Platt (1999) proposes, in
    the numerically stable form of Lin, Lin and Weng, "A note on Platt's probabilistic outputs" (2007).

    Parameters
    ----------
    raw : array of float64, shape (rows,)
        The model's probabilities of rows that it was not fitted to.

    Raises
    ------
    ProgramError
        One class is missing, or higher margins go with fewer frauds, so the model is worse than none.
    """
    frauds = int(labels.sum())
    genuine = len(labels) - frauds
    if frauds == 0 or genuine == 0:
        raise ProgramError(
            f"The validation part holds {frauds} frauds and {genuine} genuine rows; calibration needs both. "
            "Import a longer history or wait until more labels are known."
        )
    # Work on standardised margins: the Hessian of a steep model's raw margins is close to singular.
    x = margins(raw)
    centre, scale = float(x.mean()), float(x.std())
    if scale < 1e-6:
        # A model that says the same of every row has no slope to fit; keep its scale, set its level.
        rate = (frauds + 1) / (len(labels) + 2)
        return Calibration(method="platt", a=-1.0, b=centre - math.log(rate / (1 - rate)))
    targets = np.where(labels == 1, (frauds + 1) / (frauds + 2), 1 / (genuine + 2))
    slope, level = _newton((x - centre) / scale, targets, prior=math.log((genuine + 1) / (frauds + 1)))
    if slope >= 0:
        raise ProgramError(
            "Higher scores go with fewer frauds on the validation part, so the model is worse than none; "
            "check that labels and features of the dataset belong to the same period."
        )
    return Calibration(method="platt", a=slope / scale, b=level - slope * centre / scale)


def _loss(x: Scores, targets: Scores, a: float, b: float) -> float:
    z = a * x + b
    # -log likelihood = t*z + log(1 + exp(-z)), with the exponent kept negative.
    return float(np.sum(targets * z + np.logaddexp(0.0, -z)))


def _newton(x: Scores, targets: Scores, prior: float) -> tuple[float, float]:
    a, b = 0.0, prior
    loss = _loss(x, targets, a, b)
    for _ in range(_ITERATIONS):
        p = 0.5 * (1 + np.tanh(-0.5 * (a * x + b)))
        residual, weight = targets - p, p * (1 - p)
        gradient = float(residual @ x), float(residual.sum())
        if max(abs(gradient[0]), abs(gradient[1])) < 1e-8 * len(x):
            break
        h11 = float(weight @ (x * x)) + _RIDGE
        h22 = float(weight.sum()) + _RIDGE
        h21 = float(weight @ x)
        determinant = h11 * h22 - h21 * h21
        step = (
            -(h22 * gradient[0] - h21 * gradient[1]) / determinant,
            -(h11 * gradient[1] - h21 * gradient[0]) / determinant,
        )
        size = 1.0
        while size > 1e-10:
            trial = _loss(x, targets, a + size * step[0], b + size * step[1])
            if trial < loss:
                a, b, loss = a + size * step[0], b + size * step[1], trial
                break
            size /= 2
        else:
            break
    return a, b
