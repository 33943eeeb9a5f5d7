"""A model judged as it would have been used: fitted on a window, asked about a later one, again and again.

The protocol is that of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, Bontempi, 2022, sections 4.3,
4.4 and 5.3): a training window, the delay of labels, a test window. On each test day, the payments of cards that
were known as compromised by its beginning are left out: those cards are blocked by then, and finding them again is
no success.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt

from training.arrays import Labels, Scores
from training.card_precision import card_precision_at_k
from training.folds import DAY_MS, Fold
from training.metrics import RankedScores

__all__ = ["UNKNOWN", "Figures", "FoldResult", "History", "Model", "Rows", "judged", "mean_of", "walk"]

UNKNOWN = -1
"""The label of a payment of which nobody learnt whether it was fraud."""

CARDS_A_DAY = 100

type Matrix = npt.NDArray[np.float64]
type Places = npt.NDArray[np.intp]
type Model = Callable[[Matrix, Labels, Matrix], Scores]
"""From the vectors and labels of the training rows, and the vectors of later ones, to scores of these."""


@dataclass(frozen=True, slots=True)
class History:
    """Payments with what was computed of them; aligned arrays, in any order.

    Attributes
    ----------
    times : array of int64, shape (rows,)
        Milliseconds since the epoch, UTC.
    cards : array of int64, shape (rows,)
        A number per card.
    labels : array of int8, shape (rows,)
        1 fraud, 0 genuine, `UNKNOWN`.
    vectors : array of float64, shape (rows, features)
        Each with what was known at the time of its payment, and nothing later.
    """

    times: npt.NDArray[np.int64]
    cards: npt.NDArray[np.int64]
    labels: Labels
    vectors: Matrix


class Figures(msgspec.Struct, frozen=True):
    """How good the scores of one test window are; None where its rows cannot tell."""

    auc: float | None = None
    average_precision: float | None = None
    card_precision_at_100: float | None = None


class Rows(msgspec.Struct, frozen=True):
    """A window (UTC) and its rows whose label is known."""

    since: str
    until: str
    rows: int
    frauds: int


class FoldResult(msgspec.Struct, frozen=True, kw_only=True):
    """One fold.

    Attributes
    ----------
    left_out : int
        Labelled payments in the test window of cards that were known as compromised.
    days_below_100_cards : int
        Test days with so few cards that not all 100 looks can be used; they count as looks that found nothing.
    note : str
        Why figures are missing.
    """

    train: Rows
    test: Rows
    figures: Figures
    left_out: int
    days_below_100_cards: int
    seconds: float
    note: str = ""


def walk(history: History, folds: Sequence[Fold], known_days: int, model: Model) -> Iterator[FoldResult]:
    """Fit and judge a model on one fold after the other.

    A fold is left without figures, with a note, if its training rows are of one class only or its test rows are
    none. A payment whose label is unknown is neither learned from nor judged.

    Parameters
    ----------
    folds : sequence of Fold
        The gap between a training window and its test window is the delay of labels.
    known_days : int
        How many days before the end of the training window frauds must lie at least to be remembered: cards with a
        known fraud since then are left out of the test. The handbook remembers its training window of 7 days.
    model : callable
        Fits and scores.
    """
    for fold in folds:
        started = time.perf_counter()
        mine = _within(history.times, *fold.train)
        mine = mine[history.labels[mine] != UNKNOWN]
        rows, left_out = judged(history, fold, known_days)
        figures, below, note = Figures(), 0, _impossible(history.labels[mine], rows)
        if not note:
            scores = model(history.vectors[mine], history.labels[mine], history.vectors[rows])
            figures = _figures(history, rows, scores, fold.test[0])
            below = _small_days(history, rows, fold.test[0])
            if figures.auc is None:
                note = "the test window has rows of one class only"
        yield FoldResult(
            train=_rows(fold.train, history.labels[mine]),
            test=_rows(fold.test, history.labels[rows]),
            figures=figures,
            left_out=left_out,
            days_below_100_cards=below,
            seconds=round(time.perf_counter() - started, 3),
            note=note,
        )


def judged(history: History, fold: Fold, known_days: int) -> tuple[Places, int]:
    """The rows that a fold judges, and how many others it leaves out since their card is known.

    A card is known on a day if it has a fraud that was paid `known_days` before the end of the training window or
    later, and at least the delay before that day's beginning.
    """
    delay = fold.test[0] - fold.train[1]
    since = fold.train[1] - known_days * DAY_MS
    fraud = (history.labels == 1) & (history.times >= since)
    kept, left_out = [], 0
    for day in range(fold.test[0], fold.test[1], DAY_MS):
        rows = _within(history.times, day, min(day + DAY_MS, fold.test[1]))
        rows = rows[history.labels[rows] != UNKNOWN]
        known = np.unique(history.cards[fraud & (history.times < day - delay)])
        unknown = ~np.isin(history.cards[rows], known)
        kept.append(rows[unknown])
        left_out += int((~unknown).sum())
    return np.concatenate(kept), left_out


def mean_of(results: Sequence[FoldResult]) -> Figures:
    """Each figure's mean over the folds that have it."""

    def mean(name: str) -> float | None:
        found = [value for each in results if (value := getattr(each.figures, name)) is not None]
        return sum(found) / len(found) if found else None

    return Figures(*(mean(name) for name in Figures.__struct_fields__))


def _within(times: npt.NDArray[np.int64], since: int, until: int) -> Places:
    return np.flatnonzero((times >= since) & (times < until))


def _impossible(labels: Labels, rows: Places) -> str:
    """Why nothing can be fitted or judged, or nothing."""
    frauds = int(labels.sum())
    if not 0 < frauds < len(labels):
        return f"the training window has {frauds} frauds among {len(labels)} rows; both classes are needed"
    return "" if len(rows) else "the test window has no rows"


def _figures(history: History, rows: Places, scores: Scores, start: int) -> Figures:
    labels = history.labels[rows]
    ranked = RankedScores(labels, scores).under()
    _, cards = np.unique(history.cards[rows], return_inverse=True)
    # Days are counted from the start of the test window, so that they are its own whatever its hour.
    days = history.times[rows] - start
    found = (
        ranked.auc(),
        ranked.average_precision(),
        card_precision_at_k(labels, scores, cards.astype(np.int64), days, CARDS_A_DAY, found_once=True),
    )
    # Without a fraud there is nothing to find, and a precision of 0 would say that it was missed.
    usable = bool(labels.any())
    return Figures(*(value if usable and math.isfinite(value) else None for value in found))


def _small_days(history: History, rows: Places, start: int) -> int:
    days = (history.times[rows] - start) // DAY_MS
    cards = history.cards[rows]
    return sum(len(np.unique(cards[days == day])) < CARDS_A_DAY for day in np.unique(days))


def _rows(window: tuple[int, int], labels: Labels) -> Rows:
    since, until = (datetime.fromtimestamp(each / 1_000, UTC).strftime("%Y-%m-%dT%H:%MZ") for each in window)
    return Rows(since, until, len(labels), int(labels.sum()))
