"""Generations: complete sets of states side by side in one table, of which one serves.

A new generation is built from history while live traffic goes on, and then switched to. Which side an event
belongs to depends on nothing but the moment it was recorded: a generation with a watermark was built from all that
was recorded up to it, so live traffic folds only later events into it.
"""

import msgspec

from fraud.codec import VERSION

__all__ = ["FIRST", "LEASE", "Generation", "Generations"]

FIRST = 1
"""The generation of a table that was never rebuilt."""

LEASE = 60_000
"""How long anybody may act on the generations that they read, in ms: twice what update_features may run for.

A watermark is announced this long before it takes effect, so whoever folds an event recorded after it has read the
announcement.
"""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One set of states.

    Attributes
    ----------
    watermark : int
        Wall-clock ms: it was built from what was recorded up to then; -1 for one that was never built.
    feature_set : str
        Version of the features that it is built for.
    imports : tuple of str or None
        Names of the imports that it was built from; None while they are not listed yet.
    buckets : int
        In how many parts its keys are built.
    built : bool
        Whether all of history is in it.
    mixed : bool
        Whether live traffic was folded into it with other features than it is built for: it must not serve.
    """

    number: int = FIRST
    watermark: int = -1
    feature_set: str = ""
    imports: tuple[str, ...] | None = None
    buckets: int = 0
    started_at: int = 0
    built: bool = False
    mixed: bool = False


class Generations(msgspec.Struct, frozen=True, kw_only=True):
    """What there is, and what each part of the platform does with it.

    Attributes
    ----------
    serving : Generation
        What decisions read.
    building : Generation or None
        What live traffic is folded into as well, beside the history that fills it.
    retiring : Generation or None
        What served before; still written until `retire_at`, for those who have not seen the switch.
    latest : int
        The highest number ever given: numbers are not used again.
    revision : int
        Counts the changes; each is written only if none came between.
    form : int
        The version of the packed form (`fraud.codec`) that whoever writes a state writes, in every generation.
    form_since : int
        Wall-clock ms at which that was decided; a lease later nobody writes another one.
    """

    serving: Generation = Generation()
    building: Generation | None = None
    retiring: Generation | None = None
    retire_at: int = 0
    latest: int = FIRST
    revision: int = 0
    form: int = VERSION
    form_since: int = 0

    def takers(self, recorded_at: int, now: int) -> tuple[int, ...]:
        """Numbers of the generations that an event is to be folded into.

        Parameters
        ----------
        recorded_at, now : int
            Wall-clock ms at which the event was recorded, and at which it is folded.
        """
        written = [self.serving, self.building, self.retiring if now < self.retire_at else None]
        return tuple(each.number for each in written if each is not None and recorded_at > each.watermark)
