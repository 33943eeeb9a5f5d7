"""How sure a figure is, when the rows of one card belong together.

Whole cards are drawn with replacement, since a stolen card brings its frauds in a group: resampling rows would
take them for independent and give intervals that are too narrow.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Draw", "Interval", "draws", "interval", "share_above"]

type Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % percentile interval; `resamples` is the number of them in which there was a figure."""

    low: float
    high: float
    resamples: int


@dataclass(frozen=True, slots=True)
class Draw:
    """One resample.

    Attributes
    ----------
    cards : array of float64, shape (cards,)
        How often each card was drawn.
    rows : array of float64, shape (rows,)
        The same for each row, by its card.
    """

    cards: Values
    rows: Values


def draws(cards: npt.NDArray[np.int64], *, resamples: int, seed: int) -> Iterator[Draw]:
    """Resamples of the cards, one after the other; the same seed gives the same ones.

    Parameters
    ----------
    cards : array of int64, shape (rows,)
        A number per card, from 0 up.
    """
    present = np.unique(cards)
    generator = np.random.default_rng(seed)
    for _ in range(resamples if len(present) else 0):
        times = np.zeros(int(present[-1]) + 1)
        times[present] = np.bincount(generator.integers(0, len(present), len(present)), minlength=len(present))
        yield Draw(times, times[cards])


def interval(values: Values) -> Interval | None:
    """The middle 95 % of the resamples that could tell; None if none could."""
    told = values[np.isfinite(values)]
    if not len(told):
        return None
    low, high = np.quantile(told, (0.025, 0.975))
    return Interval(low=float(low), high=float(high), resamples=len(told))


def share_above(values: Values, bound: float = 0.0) -> float:
    """Share of the resamples that could tell whose value is above a bound; nan if none could."""
    told = values[np.isfinite(values)]
    return float(np.mean(told > bound)) if len(told) else float("nan")
