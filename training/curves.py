"""What the reports draw, small enough to travel in a JSON document."""

from typing import TypedDict

import numpy as np
from sklearn import metrics as sk

from fraud.figures import wilson
from training.arrays import Labels, Scores
from training.metrics import CALIBRATION_BINS

__all__ = ["Curves", "curves"]

_CURVE_POINTS = 200
_HISTOGRAM_BINS = 20
_BANDS = 10


class Bin(TypedDict):
    """Rows of similar score: their mean score, and how many truly were fraud."""

    rows: int
    mean_score: float
    fraud_rate: float


class Band(Bin):
    """The same for a tenth of the range of scores, with the 95 % interval of the share of fraud."""

    low: float
    high: float


class Curves(TypedDict):
    """Series for plots; `score_histogram` counts rows by score in equal steps from 0 to 1.

    ``reliability`` has equally many rows in each bin, which is what the calibration error averages over; ``bands``
    are tenths of the range of scores, those with any rows, which is where a threshold is set.
    """

    precision_recall: dict[str, list[float]]
    roc: dict[str, list[float]]
    reliability: list[Bin]
    bands: list[Band]
    score_histogram: dict[str, list[float] | list[int]]


def curves(labels: Labels, scores: Scores) -> Curves:
    """Downsampled precision-recall and ROC curves, reliability and score histograms."""
    precision, recall, _ = sk.precision_recall_curve(labels, scores, drop_intermediate=True)
    wanted = np.linspace(0.0, 1.0, min(_CURVE_POINTS, len(recall)))
    # Recall falls along the arrays; the last place whose recall is at least the wanted one.
    places = np.unique(len(recall) - 1 - np.searchsorted(recall[::-1], wanted, side="left"))[::-1]
    edges = np.linspace(0.0, 1.0, _HISTOGRAM_BINS + 1)
    order = np.argsort(scores, kind="stable")
    return {
        "precision_recall": {
            "recall": [round(float(value), 6) for value in recall[places]],
            "precision": [round(float(value), 6) for value in precision[places]],
        },
        "roc": _roc(labels, scores),
        "bands": _bands(labels, scores),
        "reliability": [
            {
                "rows": len(part),
                "mean_score": float(scores[part].mean()),
                "fraud_rate": float(labels[part].mean()),
            }
            for part in np.array_split(order, min(CALIBRATION_BINS, len(order)))
        ],
        "score_histogram": {
            "edges": [round(float(edge), 6) for edge in edges],
            "genuine": [int(count) for count in np.histogram(scores[labels == 0], edges)[0]],
            "fraud": [int(count) for count in np.histogram(scores[labels == 1], edges)[0]],
        },
    }


def _roc(labels: Labels, scores: Scores) -> dict[str, list[float]]:
    if not 0 < int(labels.sum()) < len(labels):
        return {"false_positive_rate": [], "recall": []}
    false_positive, recall, _ = sk.roc_curve(labels, scores, drop_intermediate=True)
    # Half of the points at rates of up to a hundredth, where thresholds are.
    low = np.linspace(0.0, 0.01, _CURVE_POINTS // 2)
    wanted = np.concatenate([low, np.linspace(0.01, 1.0, _CURVE_POINTS // 2)])
    places = np.unique(np.searchsorted(false_positive, wanted, side="right") - 1)
    return {
        "false_positive_rate": [round(float(value), 6) for value in false_positive[places]],
        "recall": [round(float(value), 6) for value in recall[places]],
    }


def _bands(labels: Labels, scores: Scores) -> list[Band]:
    place = np.minimum((scores * _BANDS).astype(np.int64), _BANDS - 1)
    found: list[Band] = []
    for band in np.unique(place):
        rows = place == band
        share = wilson(int(labels[rows].sum()), int(rows.sum()))
        if share is not None:
            found.append(
                {
                    "rows": int(rows.sum()),
                    "mean_score": float(scores[rows].mean()),
                    "fraud_rate": share.value,
                    "low": share.low,
                    "high": share.high,
                }
            )
    return found
