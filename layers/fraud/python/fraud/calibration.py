"""From a model's raw score to a probability of fraud."""

import math
from typing import Literal

import msgspec

__all__ = ["Calibration", "calibrate"]

_EDGE = 1e-6


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Platt scaling on the margin: strictly increasing, so that it never changes a ranking.

    Source: J. Platt, "Probabilistic outputs for support vector machines" (1999).
    """

    method: Literal["platt"] = "platt"
    a: float = -1.0
    b: float = 0.0


def calibrate(raw: float, calibration: Calibration) -> float:
    """The calibrated probability of a raw one, clamped away from 0 and 1.

    Parameters
    ----------
    raw : float
        The model's probability, in [0, 1].

    Returns
    -------
    float
        ``1 / (1 + exp(a * margin + b))`` with ``margin = log(raw / (1 - raw))``, in [1e-6, 1 - 1e-6].

    Examples
    --------
    >>> round(calibrate(0.25, Calibration()), 6)
    0.25
    """
    clipped = min(max(raw, _EDGE), 1 - _EDGE)
    margin = math.log(clipped / (1 - clipped))
    exponent = min(max(calibration.a * margin + calibration.b, -60.0), 60.0)
    return min(max(1 / (1 + math.exp(exponent)), _EDGE), 1 - _EDGE)
