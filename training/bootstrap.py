"""How sure a difference of average precision is, when the rows of one card belong together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.arrays import Labels, Scores
from training.metrics import RankedScores

__all__ = ["Interval", "difference_interval"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % percentile interval; `resamples` is the number that had at least one fraud."""

    low: float
    high: float
    resamples: int


def difference_interval(
    labels: Labels,
    candidate: Scores,
    champion: Scores,
    cards: npt.NDArray[np.int64],
    *,
    resamples: int = 200,
    seed: int = 17,
) -> Interval | None:
    """Interval of AP(candidate) - AP(champion), by resampling cards with replacement.

    Whole cards are drawn, since a stolen card brings its frauds in a group: resampling rows would take
    them for independent and give an interval that is too narrow.

    Returns
    -------
    Interval or None
        None if no resample holds a fraud.
    """
    _, position = np.unique(cards, return_inverse=True)
    count = int(position.max()) + 1 if len(position) else 0
    ranked = RankedScores(labels, candidate), RankedScores(labels, champion)
    generator = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples if count else 0):
        drawn = np.bincount(generator.integers(0, count, count), minlength=count).astype(np.float64)
        weights = drawn[position]
        difference = ranked[0].average_precision(weights) - ranked[1].average_precision(weights)
        if np.isfinite(difference):
            differences.append(difference)
    if not differences:
        return None
    low, high = np.quantile(differences, (0.025, 0.975))
    return Interval(low=float(low), high=float(high), resamples=len(differences))
