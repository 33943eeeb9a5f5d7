"""The figures of a consistency report, as consistency.json holds them."""

from collections.abc import Iterable

import msgspec

__all__ = ["AGES", "ENOUGH", "LAG", "OVERTAKING", "Consistency", "Day", "FeatureConsistency"]

AGES = (1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000)
"""Upper bounds of the classes of staleness, in ms."""

LAG = 60_000
"""How old an event may be, in ms, and not yet be folded in without anything being wrong."""

ENOUGH = 50
"""Settled rows from which on the share of those that differ says something."""

OVERTAKING = 10_000
"""How long a decision may take at most, in ms: what came later cannot be in the states that it read."""


class FeatureConsistency(msgspec.Struct, frozen=True, kw_only=True):
    """One feature over the rows compared.

    Attributes
    ----------
    entity : str
        Whose history it looks at; empty for a feature of the payment alone.
    exact : int
        Rows with the same bits, or with nothing to say in both.
    mismatched : int
        Rows with two different numbers.
    missing, extra : int
        Rows with a number in the recomputed vector only, and in the served one only.
    largest_difference : float or None
        Between two numbers, in the feature's own unit.
    median_staleness : float or None
        Over the rows that differ: how long before the payment the youngest earlier event of its key came, in ms.
        That is what serving had most likely not folded in yet. None without such events.
    settled : int
        Rows in which that event was older than `LAG`, or there was none: serving must have seen all there was.
        All rows, for a feature of the payment alone.
    settled_mismatches : int
        Settled rows that differ (mismatched, missing or extra), which no lag explains.
    """

    name: str
    entity: str
    exact: int
    mismatched: int
    missing: int
    extra: int
    largest_difference: float | None
    median_staleness: float | None
    settled: int
    settled_mismatches: int

    @property
    def differing(self) -> int:
        return self.mismatched + self.missing + self.extra

    @property
    def lagging(self) -> int:
        """Differing rows next to an event so young that a lag may be all there is to it."""
        return self.differing - self.settled_mismatches

    @property
    def share(self) -> float:
        """Differing rows over all rows; 0 without rows."""
        return self.differing / max(self.exact + self.differing, 1)

    @property
    def settled_share(self) -> float:
        """Settled rows that differ over all settled rows; 0 without any."""
        return self.settled_mismatches / max(self.settled, 1)

    @property
    def judged(self) -> bool:
        """Whether there are enough settled rows to judge the feature by them."""
        return self.settled >= ENOUGH


class Day(msgspec.Struct, frozen=True):
    """Rows of a day (UTC), and those of them in which any feature differs."""

    day: str
    rows: int
    differing: int


class Consistency(msgspec.Struct, frozen=True, kw_only=True):
    """As served against as corrected.

    Attributes
    ----------
    identical : int
        Rows in which no feature differs.
    window : (int, int) or None
        Times of the first and the last row, in ms; None without rows.
    left_out : dict of str to int
        Decisions that could not be compared, by reason.
    staleness : tuple of int
        Differing pairs of a row and an entity, by the age of the youngest earlier event; the classes are
        `AGES`, then older than all of them, then without any earlier event.
    """

    as_of: int
    feature_set: str
    rows: int
    identical: int
    window: tuple[int, int] | None
    left_out: dict[str, int]
    features: tuple[FeatureConsistency, ...]
    days: tuple[Day, ...]
    staleness: tuple[int, ...]

    def of(self, among: Iterable[str] | None = None) -> tuple[FeatureConsistency, ...]:
        """Some features, or all."""
        names = None if among is None else set(among)
        return tuple(each for each in self.features if names is None or each.name in names)

    def worst(self, among: Iterable[str] | None = None) -> FeatureConsistency | None:
        """The feature that differs in most rows, of some features or of all; None where none differs."""
        found = [each for each in self.of(among) if each.differing]
        return max(found, key=lambda each: each.differing, default=None)

    def worst_settled(self, among: Iterable[str] | None = None) -> FeatureConsistency | None:
        """The judged feature that differs in the largest share of its settled rows; None where none differs."""
        found = [each for each in self.of(among) if each.judged and each.settled_mismatches]
        return max(found, key=lambda each: each.settled_share, default=None)

    def unjudged(self, among: Iterable[str] | None = None) -> int:
        """How many features have too few settled rows, so that nobody can tell a lag from an error."""
        return sum(not each.judged for each in self.of(among))

    @property
    def sentence(self) -> str:
        """The report in a sentence."""
        if not self.rows:
            return "consistency: there are no decisions to compare with what serving should have seen"
        worst, settled, unjudged = self.worst(), self.worst_settled(), self.unjudged()
        if worst is None:
            return f"consistency: all features of all {self.rows:,} decisions are as they should have been"
        if settled is None:
            known = "a lag may explain every difference that could be judged"
        else:
            known = (
                f"where no lag explains it, {settled.name} differs most often, in {settled.settled_share:.2%} "
                f"of {settled.settled:,}"
            )
        few = f"; {unjudged} features have fewer than {ENOUGH} decisions without a lag to judge them by" * bool(
            unjudged
        )
        return (
            f"consistency: {self.identical:,} of {self.rows:,} decisions saw exactly what they should have seen; "
            f"{worst.name} differs most often, in {worst.share:.2%} of them; {known}{few}"
        )
