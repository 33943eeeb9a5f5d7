"""How good a set of scores is. Every function takes aligned one-dimensional arrays.

`labels` are 0 or 1, `scores` are calibrated probabilities (any monotone score will do for the rank
metrics). A metric that the rows cannot tell (one class only) is nan, never a made-up number.

Rows may have weights: 1 / propensity of the payments that were let through at random, or how often a resample of
the bootstrap drew them. A weight of n is the same as the row n times.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.arrays import Labels, Scores
from training.card_precision import CardDays

__all__ = [
    "CALIBRATION_BINS",
    "FALSE_POSITIVE_RATES",
    "STOPPED_SHARES",
    "RankedScores",
    "Tally",
    "figures_of",
    "summarise",
]

CALIBRATION_BINS = 15
FALSE_POSITIVE_RATES = {
    "recall_at_0_1_percent_fpr": 0.001,
    "recall_at_0_5_percent_fpr": 0.005,
    "recall_at_1_percent_fpr": 0.01,
}
"""Name of a figure to the share of genuine payments that it stops at most."""

STOPPED_SHARES = {
    "value_detected_at_0_1_percent": 0.001,
    "value_detected_at_0_5_percent": 0.005,
    "value_detected_at_1_percent": 0.01,
}
"""Name of a figure to the share of all payments that it stops at most."""

_EDGE = 1e-15

type Weights = npt.NDArray[np.float64]
type Numbers = npt.NDArray[np.int64]


class RankedScores:
    """One score under many row weights; the sort is paid once.

    Parameters
    ----------
    labels : array of int8, shape (rows,)
    scores : array of float64, shape (rows,)
    amounts : array of int64, shape (rows,), optional
        Minor units; without them nothing can be told of value.
    """

    def __init__(self, labels: Labels, scores: Scores, amounts: Numbers | None = None) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._ranked = scores[self._order]
        # A threshold cannot cut through equal scores, so only the last row of each tie is a point.
        self._ends = np.flatnonzero(np.append(self._ranked[1:] != self._ranked[:-1], True))
        self._positive = labels[self._order].astype(np.float64)
        self._value = None if amounts is None else self._positive * amounts[self._order]

    def under(self, weights: Weights | None = None) -> "Tally":
        """What lies above each threshold, with row weights or each row once."""
        ordered = np.ones_like(self._positive) if weights is None else weights[self._order]
        return Tally(
            found=np.cumsum(ordered * self._positive)[self._ends],
            flagged=np.cumsum(ordered)[self._ends],
            expected=np.cumsum(ordered * self._ranked)[self._ends],
            value=None if self._value is None else np.cumsum(ordered * self._value)[self._ends],
        )

    def average_precision(self, weights: Weights | None = None) -> float:
        """See `Tally.average_precision`."""
        return self.under(weights).average_precision()


@dataclass(frozen=True, slots=True)
class Tally:
    """Weights above each threshold, from the highest score down; the last entry is of all rows.

    Attributes
    ----------
    found : array of float64
        Frauds.
    flagged : array of float64
        All rows.
    expected : array of float64
        Frauds as the scores promise them: their sum.
    value : array of float64 or None
        Amounts of frauds, in minor units.
    """

    found: Weights
    flagged: Weights
    expected: Weights
    value: Weights | None

    @property
    def _both(self) -> bool:
        return bool(0 < self.found[-1] < self.flagged[-1])

    def auc(self) -> float:
        """Probability that a fraud scores above a genuine row, equal scores counting half."""
        if not self._both:
            return float("nan")
        wrong = self.flagged - self.found
        before = np.concatenate([[0.0], self.found[:-1]])
        area = np.sum(np.diff(wrong, prepend=0.0) * (before + self.found)) / 2
        return float(area / (self.found[-1] * wrong[-1]))

    def average_precision(self) -> float:
        """Sum of precision times gain in recall, over falling thresholds (no interpolation)."""
        if self.found[-1] <= 0:
            return float("nan")
        precision = np.divide(self.found, self.flagged, out=np.zeros_like(self.found), where=self.flagged > 0)
        return float(np.sum(precision * np.diff(self.found, prepend=0.0)) / self.found[-1])

    def recall_at_false_positive_rate(self, rate: float) -> float:
        """Largest share of the frauds found among thresholds that stop at most `rate` of the genuine rows."""
        if not self._both:
            return float("nan")
        wrong = self.flagged - self.found
        return _largest(self.found / self.found[-1], wrong / wrong[-1], rate)

    def value_detected(self, share: float) -> float:
        """Largest share of the fraud money found among thresholds that stop at most `share` of all rows."""
        if self.value is None or self.value[-1] <= 0:
            return float("nan")
        return _largest(self.value / self.value[-1], self.flagged / self.flagged[-1], share)

    def reliability(self, bins: int = CALIBRATION_BINS) -> tuple[Weights, Weights]:
        """Promised and observed rate of fraud, by score from the lowest up, in bins of equal weight.

        Bins of equal width would put nearly all rows of a rare class into one bin, and hide the errors. A bin's
        edge may cut through a row, or through rows of equal score, and takes the part of their frauds: so the
        result does not depend on the order of rows, and a row of weight n is the row n times.

        Returns
        -------
        promised, observed : array of float64, shape (bins,)
        """
        edges = np.linspace(0.0, self.flagged[-1], bins + 1)
        at = np.concatenate([[0.0], self.flagged])
        sums = [np.interp(edges, at, np.concatenate([[0.0], each])) for each in (self.expected, self.found)]
        width = self.flagged[-1] / bins
        promised, observed = (np.diff(each)[::-1] / width for each in sums)
        return promised, observed

    def calibration_error(self, bins: int = CALIBRATION_BINS) -> float:
        """Mean distance of promised and observed fraud rate over `reliability`'s bins."""
        if self.flagged[-1] <= 0:
            return float("nan")
        promised, observed = self.reliability(bins)
        return float(np.abs(promised - observed).mean())


def _largest(reached: Weights, cost: Weights, most: float) -> float:
    """The value reached at the last threshold that costs at most so much; both rise. 0: stop nothing at all."""
    place = int(np.searchsorted(cost, most, side="right")) - 1
    return float(reached[place]) if place >= 0 else 0.0


def figures_of(tally: Tally) -> dict[str, float]:
    """The figures that only look at ranks, amounts and calibration; nan where the rows cannot tell."""
    return {
        "auc": tally.auc(),
        "average_precision": tally.average_precision(),
        **{name: tally.recall_at_false_positive_rate(rate) for name, rate in FALSE_POSITIVE_RATES.items()},
        **{name: tally.value_detected(share) for name, share in STOPPED_SHARES.items()},
        "expected_calibration_error": tally.calibration_error(),
    }


def summarise(
    labels: Labels,
    scores: Scores,
    cards: Numbers,
    times: Numbers,
    *,
    amounts: Numbers | None = None,
    weights: Weights | None = None,
) -> dict[str, float | None]:
    """All figures of one model on one set of rows; None where the rows cannot tell.

    Card precision has no weights: an analyst looks at a card once, whatever it stands for.
    """
    whole = np.ones(len(labels)) if weights is None else weights
    clipped = np.clip(scores, _EDGE, 1 - _EDGE)
    surprise = -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))
    figures = {
        **figures_of(RankedScores(labels, scores, amounts).under(weights)),
        "brier": _mean((scores - labels) ** 2, whole),
        "log_loss": _mean(surprise, whole),
        "card_precision_at_100": CardDays(labels, scores, cards, times).precision(100),
        "mean_score": _mean(scores, whole),
    }
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}


def _mean(values: Weights, weights: Weights) -> float:
    total = float(weights.sum())
    return float(np.dot(values, weights)) / total if total > 0 else float("nan")
