"""The calibration, on whole arrays: its fit, and the same mapping as serving's `fraud.calibration`."""

import numpy as np
import numpy.typing as npt

from fraud.calibration import EDGE, STEEPEST, Calibration, calibrate
from training.arrays import Labels, Scores
from training.contract import ProgramError

__all__ = ["apply_calibration", "calibrated", "fit_beta"]

_ITERATIONS = 100
# Of the prior of both slopes, the inverse of its variance: a standard deviation of 3.
_PRIOR = 0.1

type _Design = npt.NDArray[np.float64]


def apply_calibration(raw: Scores, calibration: Calibration) -> Scores:
    """Calibrated probabilities of raw ones: `fraud.calibration.calibrate` for every element."""
    low, high = _logarithms(raw)
    if calibration.method == "beta":
        exponent = -calibration.b * high - calibration.a * low - calibration.c
    else:
        clipped = np.clip(raw, EDGE, 1 - EDGE)
        exponent = calibration.a * np.log(clipped / (1 - clipped)) + calibration.b
    exponent = np.clip(exponent, -STEEPEST, STEEPEST)
    return np.asarray(np.clip(1 / (1 + np.exp(exponent)), EDGE, 1 - EDGE), dtype=np.float64)


def calibrated(raw: Scores, calibration: Calibration) -> Scores:
    """What `fraud.calibration.calibrate` gives for each, to the last bit.

    NumPy's logarithm may differ from the one of serving in the last bit, which can be on the other side of a
    threshold. So each different value goes through serving's own function once.
    """
    different, places = np.unique(raw, return_inverse=True)
    return np.array([calibrate(each, calibration) for each in different.tolist()], np.float64)[places]


def fit_beta(raw: Scores, labels: Labels, weights: Scores | None = None) -> Calibration:
    """Fit p = 1 / (1 + exp(-(a ln s - b ln(1 - s) + c))), with a and b not negative.

    That is a logistic regression on ``ln s`` and ``-ln(1 - s)`` (Kull, Silva Filho and Flach, 2017), here with
    two precautions for few frauds. The slopes have a wide normal prior around 1, where nothing changes: it decides
    only what the rows leave open, such as the slope at scores that none of them has. The targets are drawn in
    from 0 and 1 as Platt (1999) proposes, so that scores which separate the classes are not taken for certainties.
    The loss is convex, so that the best with signs is the best of those with both slopes free or one of them zero.

    Parameters
    ----------
    raw : array of float64, shape (rows,)
        The model's probabilities of rows that it was not fitted to.
    weights : array of float64, shape (rows,), optional
        What each row counts for; 1 by default.

    Raises
    ------
    ProgramError
        One class is missing, or higher scores go with fewer frauds, so the model is worse than none.
    """
    frauds = int(labels.sum())
    genuine = len(labels) - frauds
    if frauds == 0 or genuine == 0:
        raise ProgramError(
            f"The validation part holds {frauds} frauds and {genuine} genuine rows; calibration needs both. "
            "Import a longer history or wait until more labels are known."
        )
    design = np.column_stack([*_logarithms(raw), np.ones(len(labels))])
    counts = np.ones(len(labels)) if weights is None else weights
    weighed = float(counts[labels == 1].sum())
    other = float(counts.sum()) - weighed
    targets = np.where(labels == 1, (weighed + 1) / (weighed + 2), 1 / (other + 2))
    fits = [_newton(design, targets, counts, free) for free in ([0, 1, 2], [0, 2], [1, 2])]
    monotone = [fit for fit in fits if fit[:2].min() >= 0 and fit[:2].max() > 0]
    if not monotone:
        raise ProgramError(
            "Higher scores go with fewer frauds on the validation part, so the model is worse than none; "
            "check that labels and features of the dataset belong to the same period."
        )
    a, b, c = min(monotone, key=lambda fit: _loss(design, targets, counts, fit)).tolist()
    return Calibration(method="beta", a=a, b=b, c=c)


def _logarithms(raw: Scores) -> tuple[Scores, Scores]:
    """``ln s`` and ``-ln(1 - s)``, of probabilities clipped exactly as serving clips them."""
    clipped = np.clip(raw, EDGE, 1 - EDGE)
    return np.log(clipped), -np.log(1 - clipped)


def _loss(design: _Design, targets: Scores, counts: Scores, weights: Scores) -> float:
    z = design @ weights
    return float(
        np.sum(counts * (np.logaddexp(0.0, z) - targets * z)) + _PRIOR / 2 * np.sum((weights[:2] - 1) ** 2)
    )


def _newton(design: _Design, targets: Scores, counts: Scores, free: list[int]) -> Scores:
    """The weights (a, b, c) of least loss, those that are not free being 0: Newton's method with a halved step."""
    weights = np.zeros(3)
    weights[[each for each in free if each < 2]] = 1.0
    prior = np.diag([_PRIOR, _PRIOR, 0.0])
    loss = _loss(design, targets, counts, weights)
    for _ in range(_ITERATIONS):
        p = 0.5 * (1 + np.tanh(0.5 * (design @ weights)))
        gradient = (design.T @ (counts * (p - targets)) + prior @ (weights - 1))[free]
        if np.abs(gradient).max() < 1e-9 * counts.sum():
            break
        hessian = ((design.T * (counts * p * (1 - p))) @ design + prior)[np.ix_(free, free)]
        step = np.zeros(3)
        step[free] = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10:
            trial = _loss(design, targets, counts, weights - size * step)
            if trial < loss:
                weights, loss = weights - size * step, trial
                break
            size /= 2
        else:
            break
    return weights
