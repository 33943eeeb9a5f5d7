"""One model, or two, on the same rows: figures, how sure they are, and the difference."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fraud.policy import Policy
from training.arrays import Scores
from training.bootstrap import Draw, Interval, draws, interval, share_above
from training.card_precision import CardDays
from training.metrics import RankedScores, figures_of, summarise
from training.money import Ledger
from training.parts import Part

__all__ = ["LOWER_IS_BETTER", "Assessment", "compare"]

LOWER_IS_BETTER = frozenset({"expected_calibration_error"})

type Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Assessment:
    """A model's scores of a part, sorted once for everything that is asked of them."""

    part: Part
    scores: Scores
    ranked: RankedScores
    days: CardDays
    ledger: Ledger

    @classmethod
    def of(cls, part: Part, scores: Scores, policy: Policy) -> "Assessment":
        """Prepare scores; the policy is what they are worth under."""
        return cls(
            part=part,
            scores=scores,
            ranked=RankedScores(part.labels, scores, part.amounts),
            days=CardDays(part.labels, scores, part.cards, part.times),
            ledger=Ledger.keep(policy, part.labels, part.amounts, scores),
        )

    def figures(self, *, weighted: bool = True) -> dict[str, float | None]:
        """All figures, of the rows with their weights or of each row once; None where they cannot tell."""
        part = self.part
        weights = part.weights if weighted else None
        told = summarise(part.labels, self.scores, part.cards, part.times, amounts=part.amounts, weights=weights)
        return {**told, "saved_per_1000": self.ledger.saved_per_1000(weights)}

    def resampled(self, draw: Draw) -> dict[str, float]:
        """The headline figures of a resample; nan where it cannot tell."""
        weights = draw.rows * self.part.weights
        return {
            **figures_of(self.ranked.under(weights)),
            "card_precision_at_100": self.days.precision(100, draw.cards),
            "saved_per_1000": self.ledger.saved_per_1000(weights),
        }


def compare(
    candidate: Assessment, champion: Assessment | None, *, resamples: int, seed: int
) -> tuple[dict[str, Document], Document | None]:
    """Intervals of both models, and of their difference, by bootstrap over the cards of the same rows.

    Returns
    -------
    intervals : dict
        For each role, name of a figure to its 95 % interval, or None.
    difference : dict or None
        Name of a figure to ``value`` (the candidate's less the champion's), ``low``, ``high``, and ``confidence``,
        the share of resamples in which the candidate is the better one; None without a champion.
    """
    roles = {"candidate": candidate} | ({} if champion is None else {"champion": champion})
    found: list[dict[str, dict[str, float]]] = [
        {role: one.resampled(draw) for role, one in roles.items()}
        for draw in draws(candidate.part.cards, resamples=resamples, seed=seed)
    ]
    values = {
        role: {name: np.array([each[role][name] for each in found]) for name in (found[0][role] if found else ())}
        for role in roles
    }
    intervals = {
        role: {name: _pair(interval(each)) for name, each in told.items()} for role, told in values.items()
    }
    if champion is None:
        return intervals, None
    mine, theirs = candidate.figures(), champion.figures()
    difference: Document = {"resamples": len(found)}
    for name, each in values["candidate"].items():
        gained = each - values["champion"][name]
        first, second = mine[name], theirs[name]
        reach = _pair(interval(gained)) or (None, None)
        sure = share_above(-gained if name in LOWER_IS_BETTER else gained)
        difference[name] = {
            "value": None if first is None or second is None else first - second,
            "low": reach[0],
            "high": reach[1],
            "confidence": sure if np.isfinite(sure) else None,
        }
    return intervals, difference


def _pair(reach: Interval | None) -> tuple[float, float] | None:
    return None if reach is None else (reach.low, reach.high)
