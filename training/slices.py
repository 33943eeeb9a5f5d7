"""The same rows in parts: by week, merchant, country, amount and age of the card."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from training.arrays import Scores
from training.bootstrap import draws, interval
from training.folds import DAY_MS
from training.metrics import RankedScores
from training.money import Ledger
from training.parts import Part

__all__ = ["REST", "Slice", "slice_figures", "slices_of", "weekly_figures"]

MOST_VALUES = 8
"""Merchants, and countries, with the most rows are slices of their own; the others are one together."""

REST = "all others"

_BANDS = (1_000, 5_000, 10_000, 25_000, 100_000)
_LEAST_FRAUDS = 5

type Rows = npt.NDArray[np.int64]
type Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the rows, by what they have in common.

    Attributes
    ----------
    dimension, value : str
        Such as ``country`` and ``FR``.
    rows : array of int64
        Their places.
    """

    dimension: str
    value: str
    rows: Rows

    @property
    def name(self) -> str:
        return f"{self.dimension} {self.value}"


def slices_of(part: Part) -> Iterator[Slice]:
    """Every slice with at least one row, dimension by dimension; each row is in one slice of each dimension."""
    yield from _by_value("merchant", part.merchants)
    yield from _by_value("country", np.where(part.countries == "", "unknown", part.countries))
    band = np.searchsorted(_BANDS, part.amounts, side="left")
    for place, name in enumerate(_band_names()):
        yield from _one("amount", name, band == place)
    yield from _one("card", "first seen", part.new_cards)
    yield from _one("card", "known", ~part.new_cards)


def _by_value(dimension: str, values: npt.NDArray[np.object_]) -> Iterator[Slice]:
    counted = Counter(values.tolist())
    largest = sorted(counted, key=lambda value: (-counted[value], value))[:MOST_VALUES]
    for value in largest:
        yield from _one(dimension, value, values == value)
    yield from _one(dimension, REST, ~np.isin(values.astype(np.str_), largest))


def _one(dimension: str, value: str, taken: npt.NDArray[np.bool_]) -> Iterator[Slice]:
    if taken.any():
        yield Slice(dimension, value, np.flatnonzero(taken))


def _band_names() -> Iterator[str]:
    """In units of 100 minor ones, which most currencies have."""
    bounds = [f"{bound // 100:,}" for bound in _BANDS]
    yield f"up to {bounds[0]}"
    yield from (f"{low} to {high}" for low, high in pairwise(bounds))
    yield f"above {bounds[-1]}"


def slice_figures(
    part: Part, candidate: Scores, champion: Scores | None, *, resamples: int = 200, seed: int = 17
) -> list[Document]:
    """Both models on every slice, with intervals of the candidate and of the difference by bootstrap over cards.

    Rows count by their weights. A slice with few frauds has no intervals, since a handful of cards tells nothing
    of others.
    """
    return [_figures(each, part, candidate, champion, resamples, seed) for each in slices_of(part)]


def _figures(
    each: Slice, part: Part, candidate: Scores, champion: Scores | None, resamples: int, seed: int
) -> Document:
    rows = each.rows
    labels, weights = part.labels[rows], part.weights[rows]
    scores = {"candidate": candidate, **({} if champion is None else {"champion": champion})}
    ranked = {role: RankedScores(labels, values[rows]) for role, values in scores.items()}
    frauds = int(labels.sum())
    document: Document = {
        "dimension": each.dimension,
        "value": each.value,
        "rows": len(rows),
        "frauds": frauds,
        **{role: _known(one.average_precision(weights)) for role, one in ranked.items()},
    }
    if champion is not None:
        told = document["candidate"] is not None
        document["difference"] = document["candidate"] - document["champion"] if told else None
    if frauds < _LEAST_FRAUDS:
        return document
    _, cards = np.unique(part.cards[rows], return_inverse=True)
    found = np.array(
        [
            [one.average_precision(draw.rows * weights) for one in ranked.values()]
            for draw in draws(cards, resamples=resamples, seed=seed)
        ]
    ).reshape(-1, len(ranked))
    measured = {"candidate": found[:, 0]}
    if champion is not None:
        measured["difference"] = found[:, 0] - found[:, 1]
    for name, values in measured.items():
        reach = interval(values)
        document[f"{name}_95"] = None if reach is None else [reach.low, reach.high]
    return document


def weekly_figures(part: Part, scores: Scores, ledger: Ledger) -> list[Document]:
    """Figures of one model by ISO week (UTC); the first and the last week may be parts of one."""
    weeks = (part.times // DAY_MS + 3) // 7  # The epoch was a Thursday: three days after a Monday.
    documents = []
    for week in np.unique(weeks):
        rows = np.flatnonzero(weeks == week)
        weights = part.weights[rows]
        tally = RankedScores(part.labels[rows], scores[rows]).under(weights)
        inside = ledger.of(rows)
        documents.append(
            {
                "week": _week_name(int(week)),
                "rows": len(rows),
                "frauds": int(part.labels[rows].sum()),
                "auc": _known(tally.auc()),
                "average_precision": _known(tally.average_precision()),
                "expected_calibration_error": _known(tally.calibration_error()),
                "mean_score": float(np.average(scores[rows], weights=weights)),
                "approve_share": float(np.average(inside.actions == 0, weights=weights)),
                "saved_per_1000": inside.saved_per_1000(weights),
            }
        )
    return documents


def _week_name(number: int) -> str:
    monday = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number * 7 - 3)
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
