"""Card precision: of the cards that look worst on a day, how many truly were compromised.

That is what a team sees that can look at so many cards a day, whatever the scores are.
"""

import numpy as np
import numpy.typing as npt

from training.arrays import Labels, Scores
from training.folds import DAY_MS

__all__ = ["CardDays", "card_precision_at_k"]

type Numbers = npt.NDArray[np.int64]


class CardDays:
    """The cards of each day (UTC), worst first; the sort is paid once.

    A card's day score is its largest; a card is compromised on a day when it has a fraud that day.

    Parameters
    ----------
    labels : array of int8, shape (rows,)
    scores : array of float64, shape (rows,)
    cards : array of int64, shape (rows,)
        A number per card, from 0 up.
    times : array of int64, shape (rows,)
        Milliseconds since the epoch, UTC.
    """

    def __init__(self, labels: Labels, scores: Scores, cards: Numbers, times: Numbers) -> None:
        days = times // DAY_MS
        order = np.lexsort((-scores, cards, days))
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (days[order][1:] != days[order][:-1]) | (cards[order][1:] != cards[order][:-1])
        first = np.flatnonzero(fresh)
        worst, compromised = scores[order[first]], np.zeros(len(first))
        np.maximum.at(compromised, np.cumsum(fresh) - 1, labels[order])
        by_day = np.lexsort((-worst, days[order[first]]))
        self._cards = cards[order[first]][by_day]
        self._days = days[order[first]][by_day]
        self._compromised = compromised[by_day]

    def precision(self, k: int, drawn: npt.NDArray[np.float64] | None = None) -> float:
        """Share of compromised cards among the k worst of each day, averaged over days.

        Days with fewer than k cards say nothing about the k worst and are left out; nan if none is left.

        Parameters
        ----------
        drawn : array of float64, shape (cards,), optional
            How often each card counts.
        """
        if not len(self._days):
            return float("nan")
        counts = np.ones(len(self._cards)) if drawn is None else drawn[self._cards]
        starts = np.flatnonzero(np.append(True, self._days[1:] != self._days[:-1]))
        running = np.cumsum(counts)
        before = np.repeat(running[starts] - counts[starts], np.diff(np.append(starts, len(counts))))
        # Of each card-day, the part that lies among the first k.
        taken = np.clip(k - (running - counts - before), 0.0, counts)
        looked, found = (np.add.reduceat(each, starts) for each in (taken, taken * self._compromised))
        full = looked >= k
        return float(np.mean(found[full] / k)) if full.any() else float("nan")

    def precision_found_once(self, k: int) -> float:
        """The same, but a compromised card that was found on a day is not looked at on later days.

        As in Y.-A. Le Borgne et al., "Reproducible machine learning for credit card fraud detection: practical
        handbook" (2022), section 4.4. The cards that are known before the first day are the caller's to leave out.
        A day with fewer than k cards counts as one on which the rest of the looks found nothing.
        """
        found: set[int] = set()
        shares = []
        for day in np.unique(self._days):
            rows = np.flatnonzero(self._days == day)
            unknown = [row for row in rows if int(self._cards[row]) not in found][:k]
            caught = [int(self._cards[row]) for row in unknown if self._compromised[row]]
            shares.append(len(caught) / k)
            found.update(caught)
        return float(np.mean(shares)) if shares else float("nan")


def card_precision_at_k(
    labels: Labels, scores: Scores, cards: Numbers, times: Numbers, k: int = 100, *, found_once: bool = False
) -> float:
    """Card precision at k; see `CardDays.precision`, and with `found_once` `CardDays.precision_found_once`."""
    days = CardDays(labels, scores, cards, times)
    return days.precision_found_once(k) if found_once else days.precision(k)
