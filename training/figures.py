"""The figures of a consistency report, as consistency.json holds them."""

from collections.abc import Iterable

import msgspec

__all__ = ["AGES", "LAG", "Consistency", "Day", "FeatureConsistency"]


AGES = (1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000)
"""Upper bounds of the classes of staleness, in ms."""

LAG = 60_000
"""How old an event may be, in ms, and not yet be folded in without anything being wrong."""


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
    lagging : int
        Differing rows in which that event was younger than `LAG`, so that a short lag may be all there is to it.
    """

    name: str
    entity: str
    exact: int
    mismatched: int
    missing: int
    extra: int
    largest_difference: float | None
    median_staleness: float | None
    lagging: int

    @property
    def differing(self) -> int:
        return self.mismatched + self.missing + self.extra

    @property
    def share(self) -> float:
        """Differing rows over all rows; 0 without rows."""
        return self.differing / max(self.exact + self.differing, 1)


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

    def worst(self, among: Iterable[str] | None = None) -> FeatureConsistency | None:
        """The feature that differs in most rows, of some features or of all; None where none differs."""
        names = None if among is None else set(among)
        found = [each for each in self.features if each.differing and (names is None or each.name in names)]
        return max(found, key=lambda each: each.differing, default=None)

    @property
    def sentence(self) -> str:
        """The report in a sentence."""
        if not self.rows:
            return "consistency: there are no decisions to compare with what serving should have seen"
        worst = self.worst()
        if worst is None:
            return f"consistency: all features of all {self.rows:,} decisions are as they should have been"
        return (
            f"consistency: {self.identical:,} of {self.rows:,} decisions saw exactly what they should have seen; "
            f"{worst.name} differs most often, in {worst.share:.2%} of them"
        )
