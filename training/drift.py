"""How far the rows of now are from those of then, and how far they would be by chance.

The index is the population stability index; without drift, index / (1/n + 1/m) is distributed about as chi-square
with one degree of freedom less than there are bins, n and m being the rows of now and of then (B. Yurdakul,
J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation 14, 2020).
A fixed bound alone takes few rows for drift. Rows of one card belong together, so cards are counted instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from training.monitoring_document import Distribution, FeatureDrift, ScoreDrift
from training.profile import FeatureProfile, Profile, profile_of, stability_index

__all__ = ["Sample", "feature_drift", "in_deciles", "in_steps", "noise", "score_drift", "surely_moved"]

MOST_DRAWN = 6
"""Features whose distributions a report keeps: those of the largest index."""

_SURE = 3.0
"""Standard errors, as in the watch over a release."""

type Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """How much some rows tell.

    Attributes
    ----------
    rows, cards : int
    """

    rows: int
    cards: int

    def effective(self, rows: int) -> float:
        """What other rows count for that have as many rows to a card."""
        return rows * self.cards / max(self.rows, 1)


def noise(bins: int, now: float, before: float, chance: float) -> float:
    """The index that rows without drift stay below, but for a small chance.

    Parameters
    ----------
    now, before : float
        Independent rows on either side.
    chance : float
        Of being above.

    Examples
    --------
    >>> round(noise(11, 1_000, 1_000, 0.001), 4), round(noise(11, 100, 100, 0.001), 4)
    (0.0595, 0.5953)
    """
    if min(now, before) <= 0:
        return math.inf
    freedom = max(bins - 1, 1)
    # The quantile of chi-square by Wilson and Hilferty's cube, good to one part in a hundred.
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + NormalDist().inv_cdf(1 - chance) * math.sqrt(spread)) ** 3
    return quantile * (1 / now + 1 / before)


def surely_moved(share: float, before: float, rows: float, rows_before: float) -> bool:
    """Whether two shares differ by more than three standard errors, each with one more row of either kind.

    See `lambdas.watch_release.counting`, which judges a release so.
    """
    (n, p), (m, q) = (
        (count + 2, (part * count + 1) / (count + 2)) for count, part in ((rows, share), (rows_before, before))
    )
    return abs(p - q) > _SURE * math.sqrt(p * (1 - p) / n + q * (1 - q) / m)


def feature_drift(
    profile: Profile, names: Sequence[str], vectors: Numbers, sample: Sample, *, bound: float, chance: float
) -> tuple[FeatureDrift, ...]:
    """Every feature that both sides have, the one of the largest index first.

    Parameters
    ----------
    vectors : array of float64, shape (rows, features)
        Columns as in `names`.
    bound : float
        From which a feature counts as drifted.
    chance : float
        Of any feature that has not drifted to be above its noise; it is shared out between them.
    """
    places = [(place, name) for place, name in enumerate(names) if name in profile.features]
    now, before = float(sample.cards), sample.effective(profile.rows)
    found: list[tuple[FeatureDrift, Numbers]] = []
    for place, name in places:
        values, then = vectors[:, place], profile.features[name]
        index = stability_index(then, profile.rows, values)
        level = noise(len(then.whole), now, before, chance / len(places))
        missing = float(np.isnan(values).mean()) if len(values) else 0.0
        told = FeatureDrift(
            name=name,
            index=index,
            noise=level,
            drifted=index > max(bound, level),
            missing=missing,
            missing_before=then.missing,
            missing_moved=surely_moved(missing, then.missing, now, before),
        )
        found.append((told, values))
    found.sort(key=lambda each: (-(each[0].index > each[0].noise), -each[0].index, each[0].name))
    return tuple(
        _with_bins(told, profile.features[told.name], values) if rank < MOST_DRAWN else told
        for rank, (told, values) in enumerate(found)
    )


def score_drift(
    against: str, profile: FeatureProfile, rows_before: int, scores: Numbers, sample: Sample, *, chance: float
) -> ScoreDrift:
    """The champion's scores against earlier ones in bins."""
    return ScoreDrift(
        against=against,
        rows=len(scores),
        rows_before=rows_before,
        index=stability_index(profile, rows_before, scores),
        noise=noise(len(profile.whole), sample.cards, sample.effective(rows_before), chance),
        bins=_bins(profile, scores),
    )


def in_deciles(scores: Numbers) -> FeatureProfile:
    """Scores as a reference, in bins of about equally many."""
    return profile_of(("score",), scores.reshape(-1, 1), np.zeros(max(len(scores), 1), np.int8)).features["score"]


def in_steps(edges: Sequence[float], counts: Sequence[float]) -> FeatureProfile:
    """A histogram, as an evaluation keeps it, as a reference."""
    total = sum(counts) or 1.0
    return FeatureProfile(edges=tuple(edges[1:-1]), shares=tuple(each / total for each in counts), missing=0.0)


def _with_bins(told: FeatureDrift, profile: FeatureProfile, values: Numbers) -> FeatureDrift:
    return msgspec.structs.replace(told, bins=_bins(profile, values))


def _bins(profile: FeatureProfile, values: Numbers) -> Distribution:
    return Distribution(
        edges=profile.edges,
        before=tuple(float(each) for each in profile.whole),
        now=tuple(float(each) for each in profile.spread(values)),
    )
