"""What became of payments while a model was being released, counted in the lake."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from fraud.release import ReleasePolicy
from fraud.serving import Serving
from runtime.athena import Row, quoted

__all__ = ["BASELINE", "Change", "Counts", "Stage", "counts_of", "sql"]

BASELINE = 24 * 3_600_000
"""Milliseconds before a stage with which it is compared: a day, since nights are unlike days."""

SURE = 3.0
"""Standard errors: a release is looked at dozens of times, and 1 look in 370 is beyond this by chance."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage of a release, as the state machine has it.

    Attributes
    ----------
    champion : str
        Who was champion before the release; empty if nobody.
    since : int
        When the stage began, in ms since the epoch.
    """

    stage: Literal["shadow", "canary", "probation"]
    version: str
    since: int
    champion: str = ""
    policy: ReleasePolicy = ReleasePolicy()

    def role_in(self, document: Serving) -> bool:
        """Whether the model is in a serving document what this stage makes it."""
        if self.stage == "shadow":
            return self.version in document.challengers
        if self.stage == "canary":
            return document.canary is not None and document.canary.version == self.version
        return document.champion == self.version


@dataclass(frozen=True, slots=True)
class Change:
    """A difference to the champion before, and how far it may be off.

    Attributes
    ----------
    value, error : float
        The difference, and its standard error.
    """

    value: float
    error: float

    @property
    def certain(self) -> bool:
        """Whether it cannot well be chance."""
        return abs(self.value) > SURE * self.error


@dataclass(frozen=True, slots=True)
class Counts:
    """What the lake has of a stage.

    Attributes
    ----------
    decisions : int
        That the model scored, in shadow; that it decided on, otherwise.
    approval : Change or None
        In the share of payments approved, against those that the champion decided on; None without any.
    score : Change or None
        In the mean score, over payments that both scored.
    without : Change or None
        In the share of payments decided without any model, against the day before the stage.
    """

    decisions: int
    approval: Change | None = None
    score: Change | None = None
    without: Change | None = None


def sql(stage: Stage) -> str:
    """Decisions since the stage began, by the model that made them, and those of the day before.

    The lake may have a decision several times; rows of one event are all alike.
    """
    new, old = quoted(stage.version), quoted(stage.champion)
    since, first = stage.since, max(stage.since - BASELINE, 0)
    # The lake's days are those on which rows were written, as `recorded_at` is the time at which they were made.
    day = quoted(f"{datetime.fromtimestamp(first / 1_000, UTC):%Y-%m-%d}")
    # Every text here went through `quoted`, and every number through `:d`. TRY: a key that a map does not have.
    return (
        "SELECT during, model_version, count(*), sum(approved), count(mine), count(mine - theirs), "  # noqa: S608 - texts are `quoted`, numbers `:d`
        "avg(mine - theirs), var_samp(mine - theirs) FROM (SELECT event_id, max(model_version) AS model_version, "
        f"max(CASE WHEN recorded_at >= {since:d} THEN 1 ELSE 0 END) AS during, "
        "max(CASE WHEN decision = 'approve' THEN 1 ELSE 0 END) AS approved, "
        f"max(CASE WHEN model_version = {new} THEN score ELSE TRY(shadow[{new}]) END) AS mine, "
        f"max(CASE WHEN model_version = {old} THEN score ELSE TRY(shadow[{old}]) END) AS theirs "
        f"FROM decisions WHERE recorded_at >= {first:d} AND day >= {day} GROUP BY event_id) "
        "GROUP BY during, model_version"
    )


def counts_of(stage: Stage, rows: Iterable[Row]) -> Counts:
    """The query's rows, put together."""
    decided: dict[str, tuple[int, int]] = {}
    before: dict[str, int] = {}
    scored = 0
    pairs: list[tuple[int, float, float]] = []
    for during, version, count, approved, mine, both, mean, variance in rows:
        if during == "0":
            before[version or ""] = int(count or 0)
            continue
        decided[version or ""] = int(count or 0), int(approved or 0)
        scored += int(mine or 0)
        if mean is not None:
            pairs.append((int(both or 0), float(mean), float(variance or 0)))
    own = decided.get(stage.version, (0, 0))
    if stage.stage == "shadow":
        return Counts(decisions=scored, score=_pooled(pairs))
    theirs = decided.get(stage.champion, (0, 0)) if stage.champion else (0, 0)
    return Counts(
        decisions=own[0],
        approval=_of_shares(own, theirs),
        score=_pooled(pairs),
        without=_without({version: count for version, (count, _) in decided.items()}, before),
    )


def _without(during: dict[str, int], before: dict[str, int]) -> Change | None:
    """In the share of decisions that no model made; against none at all where nothing came before."""
    new = sum(during.values()), during.get("", 0)
    if not before and new[0]:
        share = (new[1] + 1) / (new[0] + 2)
        return Change(new[1] / new[0], math.sqrt(share * (1 - share) / (new[0] + 2)))
    return _of_shares(new, (sum(before.values()), before.get("", 0)))


def _of_shares(new: tuple[int, int], old: tuple[int, int]) -> Change | None:
    """Two independent proportions, each with one more of either kind: a share of 0 or 1 is not sure too soon.

    A. Agresti, B. Caffo: Simple and effective confidence intervals for proportions and differences of proportions
    result from adding two successes and two failures. The American Statistician 54 (2000).
    """
    if not new[0] or not old[0]:
        return None
    (n, p), (m, q) = (((count + 2), (hits + 1) / (count + 2)) for count, hits in (new, old))
    return Change(p - q, math.sqrt(p * (1 - p) / n + q * (1 - q) / m))


def _pooled(groups: list[tuple[int, float, float]]) -> Change | None:
    """The mean of all groups together, from their sizes, means and variances."""
    total = sum(size for size, _, _ in groups)
    if total < 2:
        return None
    mean = sum(size * each for size, each, _ in groups) / total
    squares = sum((size - 1) * variance + size * (each - mean) ** 2 for size, each, variance in groups)
    return Change(mean, math.sqrt(squares / (total - 1) / total))
