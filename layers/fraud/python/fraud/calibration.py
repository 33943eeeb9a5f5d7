"""From a model's raw score to a probability of fraud."""

import math
from typing import Literal

import msgspec

__all__ = ["EDGE", "STEEPEST", "Calibration", "calibrate"]

EDGE = 1e-6
"""How near a raw or a calibrated probability comes to 0 and 1."""
STEEPEST = 60.0
"""The largest exponent, of either sign, so that nothing overflows."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A monotone map of probabilities, fitted to payments later than those that the model learned from.

    Attributes
    ----------
    method : {"beta", "platt"}
        ``beta``: ``1 / (1 + exp(-(a ln s - b ln(1 - s) + c)))`` with a and b not negative, one of them positive,
        so that the map never changes a ranking. It bends each end of the scale by itself; with a = b = 1 and c = 0
        it changes nothing. ``platt``, of older bundles: ``1 / (1 + exp(a ln(s / (1 - s)) + b))``.

    References
    ----------
    M. Kull, T. Silva Filho and P. Flach, "Beta calibration" (2017). J. Platt, "Probabilistic outputs for
    support vector machines" (1999).
    """

    method: Literal["platt", "beta"] = "platt"
    a: float = -1.0
    b: float = 0.0
    c: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.a, self.b, self.c))):
            raise ValueError("calibration: a, b and c must be finite; train again")
        if self.method == "beta" and not (self.a >= 0 and self.b >= 0 and self.a + self.b > 0):
            raise ValueError("calibration: a and b must not be negative, nor both zero; train again")


def calibrate(raw: float, calibration: Calibration) -> float:
    """The calibrated probability of a raw one, clamped away from 0 and 1.

    Parameters
    ----------
    raw : float
        The model's probability, in [0, 1].

    Returns
    -------
    float
        In [1e-6, 1 - 1e-6].

    Examples
    --------
    >>> round(calibrate(0.25, Calibration(method="beta", a=1.0, b=1.0)), 6)
    0.25
    """
    clipped = min(max(raw, EDGE), 1 - EDGE)
    a, b = calibration.a, calibration.b
    if calibration.method == "beta":
        exponent = b * math.log(1 - clipped) - a * math.log(clipped) - calibration.c
    else:
        exponent = a * math.log(clipped / (1 - clipped)) + b
    return min(max(1 / (1 + math.exp(min(max(exponent, -STEEPEST), STEEPEST))), EDGE), 1 - EDGE)
