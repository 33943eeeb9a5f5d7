"""The champion on what became of the payments that it scored, and the parts of them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from training.arrays import Labels
from training.bootstrap import draws, interval
from training.contract import ProgramError
from training.metrics import RankedScores
from training.monitoring_document import Quality, SliceTold
from training.monitoring_lake import DIMENSIONS, Watched
from training.monitoring_plan import MonitoringPlan
from training.outcomes import YOUNG, first_reports, labels_of, never_made, unsure, verdicts
from training.slices import REST
from training.sources import Sources

__all__ = ["ACTIONS", "Evaluated", "known_labels", "quality", "read_evaluated", "shares", "slices"]

ACTIONS = ("approve", "challenge", "review", "decline")

MOST_VALUES = 6
"""Of each dimension, so many values with the most decisions are slices; the others are one together."""

type Flags = npt.NDArray[np.bool_]
type Numbers = npt.NDArray[np.float64]


class _Histogram(msgspec.Struct, frozen=True):
    edges: tuple[float, ...]
    genuine: tuple[int, ...]
    fraud: tuple[int, ...]


class _Plots(msgspec.Struct, frozen=True):
    score_histogram: _Histogram


class _Candidate(msgspec.Struct, frozen=True):
    auc: float | None = None
    average_precision: float | None = None


class Evaluated(msgspec.Struct, frozen=True):
    """Of evaluation.json, what monitoring compares with."""

    candidate: _Candidate
    plots: dict[str, _Plots | None]

    @property
    def histogram(self) -> tuple[tuple[float, ...], list[int]]:
        """Edges of steps of the score, and how many payments fell into each."""
        plots = self.plots["candidate"]
        if plots is None:
            return (), []
        told = plots.score_histogram
        return told.edges, [sum(both) for both in zip(told.genuine, told.fraud, strict=True)]


def read_evaluated(folder: Path) -> Evaluated | None:
    """The evaluation that let the champion in; None where there is none.

    Raises
    ------
    ProgramError
        It is not one that this program writes.
    """
    path = folder / "evaluation.json"
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Evaluated)
    except msgspec.MsgspecError as error:
        raise ProgramError(f"{path} is not usable ({error}); restore it from the models bucket.") from error


def known_labels(sources: Sources, watched: Watched, plan: MonitoringPlan) -> Labels:
    """1 fraud, 0 genuine, -1 for what cannot be told: young, never made, or told of with too little confidence."""
    as_of, data = plan.as_of, plan.policy.data
    told = sources.labels
    labels, labelled = labels_of(
        verdicts(told, as_of, data.minimum_confidence),
        watched.names,
        watched.times,
        as_of=as_of,
        maturity=data.maturity,
        keep_young_labelled=False,
    )
    outcomes = first_reports(sources.outcomes, as_of).events
    blocked = never_made(watched.names, watched.decisions == "decline", outcomes)
    doubtful = np.isin(watched.names, unsure(told, as_of, data.minimum_confidence).to_numpy())
    labels[(blocked | doubtful) & ~labelled] = YOUNG
    labels[(watched.recorded <= plan.labelled_from) | np.isnan(watched.scores)] = YOUNG
    return labels


def quality(
    watched: Watched, labels: Labels, evaluated: Evaluated | None, *, resamples: int, seed: int
) -> Quality | None:
    """Figures on the matured labels, with intervals by bootstrap over the cards; None without any such payment."""
    rows = np.flatnonzero(labels != YOUNG)
    if not len(rows):
        return None
    truth, scores, weights = labels[rows], watched.scores[rows], watched.weights[rows]
    ranked = RankedScores(truth, scores)
    _, cards = np.unique(watched.cards[rows], return_inverse=True)

    def measured(under: Numbers) -> dict[str, float]:
        tally = ranked.under(under)
        expected = float(tally.expected[-1])
        return {
            "auc": tally.auc(),
            "average_precision": tally.average_precision(),
            "calibration_error": tally.calibration_error(),
            "factor": float(tally.found[-1]) / expected if expected > 0 else float("nan"),
        }

    drawn = [measured(draw.rows * weights) for draw in draws(cards, resamples=resamples, seed=seed)]
    reaches = {name: interval(np.array([each[name] for each in drawn])) for name in measured(weights)}
    told, whole = measured(weights), ranked.under(weights)
    promised, observed = whole.reliability()
    return Quality(
        rows=len(rows),
        frauds=int(truth.sum()),
        expected=float(whole.expected[-1]),
        known=float(whole.found[-1]),
        calibration_error=_known(told["calibration_error"]),
        auc=_known(told["auc"]),
        average_precision=_known(told["average_precision"]),
        intervals={name: None if reach is None else (reach.low, reach.high) for name, reach in reaches.items()},
        auc_evaluated=evaluated.candidate.auc if evaluated else None,
        average_precision_evaluated=evaluated.candidate.average_precision if evaluated else None,
        promised=tuple(float(each) for each in promised),
        observed=tuple(float(each) for each in observed),
    )


def shares(decisions: npt.NDArray[np.object_]) -> dict[str, float]:
    """Share of each action; empty without decisions."""
    if not len(decisions):
        return {}
    return {action: float(np.mean(decisions == action)) for action in ACTIONS}


def slices(watched: Watched, labels: Labels, now: Flags, before: Flags) -> tuple[SliceTold, ...]:
    """The decisions of the window by what they have in common, dimension by dimension."""
    return tuple(
        _slice(dimension, value, taken, watched, labels, now, before)
        for dimension in DIMENSIONS
        for value, taken in _values(watched.slices[dimension], now)
    )


def _values(values: npt.NDArray[np.object_], now: Flags) -> Iterator[tuple[str, Flags]]:
    counted = Counter(values[now].tolist())
    largest = sorted(counted, key=lambda value: (-counted[value], value))[:MOST_VALUES]
    for value in largest:
        yield value or "unknown", values == value
    if len(counted) > len(largest):
        yield REST, ~np.isin(values.astype(np.str_), largest)


def _slice(
    dimension: str, value: str, taken: Flags, watched: Watched, labels: Labels, now: Flags, before: Flags
) -> SliceTold:
    here = taken & now
    old = taken & (labels != YOUNG)
    truth, scores, weights = labels[old], watched.scores[old], watched.weights[old]
    tally: Any = RankedScores(truth, scores).under(weights) if len(truth) else None
    return SliceTold(
        dimension=dimension.removesuffix("_id"),
        value=value,
        decisions=int(here.sum()),
        actions=shares(watched.decisions[here]),
        score=_mean(watched.scores[here]),
        score_before=_mean(watched.scores[taken & before]),
        matured=len(truth),
        frauds=int(truth.sum()),
        expected=None if tally is None else float(tally.expected[-1]),
        auc=None if tally is None else _known(tally.auc()),
    )


def _mean(scores: Numbers) -> float | None:
    told = scores[~np.isnan(scores)]
    return float(told.mean()) if len(told) else None


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
