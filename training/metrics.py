"""How good a set of scores is. Every function takes aligned one-dimensional arrays.

`labels` are 0 or 1, `scores` are calibrated probabilities (any monotone score will do for the rank
metrics). A metric that the rows cannot tell (one class only) is nan, never a made-up number.
"""

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from training.arrays import Labels, Scores

__all__ = [
    "RankedScores",
    "card_precision_at_k",
    "expected_calibration_error",
    "recall_at_false_positive_rate",
    "summarise",
]

_DAY_MS = 86_400_000
CALIBRATION_BINS = 15


class RankedScores:
    """Average precision of one score under many row weights; the sort is paid once.

    Parameters
    ----------
    labels : array of int8, shape (rows,)
    scores : array of float64, shape (rows,)
    """

    def __init__(self, labels: Labels, scores: Scores) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        # A threshold cannot cut through equal scores, so only the last row of each tie is a point.
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._positive = labels[self._order].astype(np.float64)

    def average_precision(self, weights: npt.NDArray[np.float64] | None = None) -> float:
        """Sum of precision times gain in recall, over falling thresholds (no interpolation)."""
        ordered = np.ones_like(self._positive) if weights is None else weights[self._order]
        found = np.cumsum(ordered * self._positive)[self._ends]
        flagged = np.cumsum(ordered)[self._ends]
        if found[-1] <= 0:
            return float("nan")
        precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
        return float(np.sum(precision * np.diff(found, prepend=0.0)) / found[-1])


def recall_at_false_positive_rate(labels: Labels, scores: Scores, rate: float) -> float:
    """Largest recall among thresholds whose false positive rate is at most `rate`."""
    if not 0 < int(labels.sum()) < len(labels):
        return float("nan")
    false_positive, true_positive, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    return float(true_positive[false_positive <= rate].max())


def expected_calibration_error(labels: Labels, scores: Scores, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance of predicted and observed fraud rate over bins of equally many rows, by score.

    Bins of equal width would put nearly all rows of a rare class into one bin, and hide the errors.
    """
    order = np.argsort(scores, kind="stable")
    total = 0.0
    for part in np.array_split(order, min(bins, len(order))):
        total += len(part) * abs(float(scores[part].mean()) - float(labels[part].mean()))
    return total / len(order)


def card_precision_at_k(
    labels: Labels, scores: Scores, cards: npt.NDArray[np.int64], times: npt.NDArray[np.int64], k: int = 100
) -> float:
    """Share of truly compromised cards among the k that look worst each day, averaged over days.

    A card's day score is its largest; a card is compromised on a day when it has a fraud that day. Days
    (UTC) with fewer than k cards say nothing about the k worst and are left out. nan if none is left.

    Parameters
    ----------
    cards : array of int64
        A number per card.
    times : array of int64
        Milliseconds since the epoch, UTC.
    """
    days = times // _DAY_MS
    precisions = []
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        names, position = np.unique(cards[rows], return_inverse=True)
        if len(names) < k:
            continue
        worst = np.full(len(names), -np.inf)
        np.maximum.at(worst, position, scores[rows])
        compromised = np.zeros(len(names), dtype=np.int8)
        np.maximum.at(compromised, position, labels[rows])
        top = np.argsort(-worst, kind="stable")[:k]
        precisions.append(float(compromised[top].mean()))
    return float(np.mean(precisions)) if precisions else float("nan")


def summarise(
    labels: Labels, scores: Scores, cards: npt.NDArray[np.int64], times: npt.NDArray[np.int64]
) -> dict[str, float | None]:
    """All figures of one model on one set of rows; None where the rows cannot tell."""
    both = 0 < int(labels.sum()) < len(labels)
    figures = {
        "auc": float(sk.roc_auc_score(labels, scores)) if both else float("nan"),
        "average_precision": RankedScores(labels, scores).average_precision(),
        "recall_at_1_percent_fpr": recall_at_false_positive_rate(labels, scores, 0.01),
        "brier": float(np.mean((scores - labels) ** 2)),
        "expected_calibration_error": expected_calibration_error(labels, scores),
        "log_loss": float(sk.log_loss(labels, scores, labels=[0, 1])),
        "card_precision_at_100": card_precision_at_k(labels, scores, cards, times),
        "mean_score": float(scores.mean()),
    }
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}
