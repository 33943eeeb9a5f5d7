"""What the reports draw, small enough to travel in a JSON document."""

from typing import TypedDict

import numpy as np
import xgboost as xgb
from sklearn import metrics as sk

from training.arrays import Labels, Scores
from training.metrics import CALIBRATION_BINS

__all__ = ["Curves", "curves", "gain"]

_CURVE_POINTS = 200
_HISTOGRAM_BINS = 20


class Bin(TypedDict):
    """Rows of similar score: their mean score, and how many truly were fraud."""

    rows: int
    mean_score: float
    fraud_rate: float


class Curves(TypedDict):
    """Series for plots; `score_histogram` counts rows by score in equal steps from 0 to 1."""

    precision_recall: dict[str, list[float]]
    reliability: list[Bin]
    score_histogram: dict[str, list[float] | list[int]]


def curves(labels: Labels, scores: Scores) -> Curves:
    """Downsampled precision-recall curve, reliability bins (equally many rows each) and score histograms."""
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


def gain(booster: xgb.Booster, top: int = 20) -> list[dict[str, str | float]]:
    """Features by their share of the total gain of all splits, largest first."""
    found: dict[str, float] = {}
    for name, value in booster.get_score(importance_type="total_gain").items():
        found[name] = float(value) if isinstance(value, int | float) else float(np.sum(value))
    total = sum(found.values()) or 1.0
    ranked = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:top]
    return [{"feature": name, "share": round(value / total, 6)} for name, value in ranked]
