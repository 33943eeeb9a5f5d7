"""What drives a model: its features by gain, and by how far they move scores (exact SHAP values, in log-odds)."""

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from fraud.features import STANDARD
from fraud.features.definitions import Reason
from training.bundles import Model
from training.parts import Part

__all__ = ["drivers", "gain"]

MOST_FEATURES = 20
_MOST_OF_A_CLASS = 500
_STEPS = 10

type Matrix = npt.NDArray[np.float64]
type Document = dict[str, Any]


def gain(booster: xgb.Booster, top: int = MOST_FEATURES) -> list[dict[str, str | float]]:
    """Features by their share of the total gain of all splits, largest first."""
    found: dict[str, float] = {}
    for name, value in booster.get_score(importance_type="total_gain").items():
        found[name] = float(value) if isinstance(value, int | float) else float(np.sum(value))
    total = sum(found.values()) or 1.0
    ranked = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:top]
    return [{"feature": name, "share": round(value / total, 6)} for name, value in ranked]


def drivers(model: Model, part: Part, names: tuple[str, ...], *, seed: int = 17) -> Document:
    """Exact contributions on a sample of rows: by feature, and summed by the codes of the reason catalogue.

    Half of the sample are frauds, as far as there are so many, or there would be hardly any. A mean over all
    payments weights both halves back to their shares.

    Returns
    -------
    dict
        ``sample`` (rows, frauds), ``features`` and ``reasons``, both by ``mean_absolute``, largest first: how far
        a score is moved on average, in log-odds. ``on_frauds``: how far, and which way, those of frauds are moved.
        A feature's ``steps`` are the mean contributions in tenths of the sample, from its smallest values to its
        largest, and ``missing`` where there is no value; ``direction`` is 1 where larger values always raise the
        score, -1 where they always lower it (the rank correlation of value and contribution).
    """
    rows, weights = _sample(part, seed)
    values = model.aligned(part.vectors[rows], names)
    matrix = xgb.DMatrix(values, missing=np.nan, feature_names=list(model.manifest.features))
    moved = np.asarray(model.booster.predict(matrix, pred_contribs=True), dtype=np.float64)[:, :-1]
    frauds = part.labels[rows] == 1
    reasons = _reasons(model)
    features = [
        {
            "feature": name,
            "reason": reasons[name].code,
            **_strength(moved[:, place], weights, frauds),
            **_shape(values[:, place], moved[:, place]),
        }
        for place, name in enumerate(model.manifest.features)
    ]
    columns: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(model.manifest.features):
        columns[reasons[name].code].append(place)
    texts = {each.code: each.text for each in reasons.values()}
    grouped = [
        {"code": code, "text": texts[code], **_strength(moved[:, places].sum(axis=1), weights, frauds)}
        for code, places in columns.items()
    ]
    return {
        "sample": {"rows": len(rows), "frauds": int(frauds.sum())},
        "features": sorted(features, key=_by_strength)[:MOST_FEATURES],
        "reasons": sorted(grouped, key=_by_strength),
    }


def _sample(part: Part, seed: int) -> tuple[npt.NDArray[np.int64], Matrix]:
    generator = np.random.default_rng(seed)
    rows, weights = [], []
    for label in (0, 1):
        of_class = np.flatnonzero(part.labels == label)
        taken = generator.permutation(of_class)[:_MOST_OF_A_CLASS]
        rows.append(taken)
        weights.append(np.full(len(taken), len(of_class) / max(len(taken), 1)))
    return np.concatenate(rows), np.concatenate(weights)


def _strength(moved: Matrix, weights: Matrix, frauds: npt.NDArray[np.bool_]) -> dict[str, float | None]:
    return {
        "mean_absolute": float(np.average(np.abs(moved), weights=weights)),
        "on_frauds": float(moved[frauds].mean()) if frauds.any() else None,
    }


def _shape(values: Matrix, moved: Matrix) -> dict[str, Any]:
    known = np.isfinite(values)
    missing = None if known.all() else float(moved[~known].mean())
    values, moved = values[known], moved[known]
    order = np.argsort(values, kind="stable")
    steps = (
        [
            {"value": float(np.median(values[each])), "moved": float(moved[each].mean())}
            for each in np.array_split(order, min(_STEPS, len(order)))
        ]
        if len(order)
        else []
    )
    return {"direction": _rank_correlation(values, moved), "missing": missing, "steps": steps}


def _rank_correlation(first: Matrix, second: Matrix) -> float | None:
    """Spearman's; None where either never changes."""
    ranks = [_ranks(each) for each in (first, second)]
    if any(np.ptp(each) == 0 if len(each) else True for each in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Matrix) -> Matrix:
    """Ranks with ties at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: Matrix = (ends - (counts - 1) / 2)[place]
    return means


def _reasons(model: Model) -> dict[str, Reason]:
    """By feature, in the words that the bundle brought, else today's, else the feature's own name."""
    today = {each.name: each.reason for each in STANDARD.features}
    return {
        name: model.manifest.reasons.get(name) or today.get(name) or Reason(name, name)
        for name in model.manifest.features
    }


def _by_strength(entry: Document) -> tuple[float, str]:
    return -entry["mean_absolute"], str(entry.get("feature") or entry.get("code"))
