"""What merchants may expect, as numbers, and how quickly using up the allowance wakes somebody.

An objective leaves an allowance: of 10,000 calls a month 5 may fail at 99.95 %. A burn rate is how many times
faster than evenly the allowance is being used up. An alarm looks at a long window, so that a blip wakes nobody,
and at a short one, so that it ends soon after the trouble does (Google, *The Site Reliability Workbook*,
chapter 5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["BURNS", "SLOS", "Burn", "Slo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """How quickly an allowance goes.

    Attributes
    ----------
    name : str
        An alarm of an objective is of the kind ``<objective>-<name>``, see `infra.alarms`.
    rate : float
        Times as quickly as evenly over 30 days.
    long, short : int
        Windows in seconds: both have to burn.
    """

    name: Literal["fast", "slow", "steady"]
    rate: float
    long: int
    short: int


BURNS = (
    Burn(name="fast", rate=14.4, long=3_600, short=300),
    Burn(name="slow", rate=6, long=6 * 3_600, short=1_800),
    Burn(name="steady", rate=3, long=24 * 3_600, short=2 * 3_600),
)
"""2 % of a month's allowance in an hour, 5 % in six hours, 10 % in a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """An objective over 30 days.

    Attributes
    ----------
    objective : float
        The share that has to be good.
    within : float or None
        What good is, in `unit`, where it is a duration.
    pages : bool
        Whether it wakes people; otherwise only the burn ``steady`` is watched.
    least : int
        How many have to be bad in the long window: one failed call of three at night wakes nobody.
    """

    name: str
    objective: float
    means: str
    within: float | None = None
    unit: Literal["ms", "s", ""] = ""
    pages: bool = True
    least: int = 10

    @property
    def allowance(self) -> float:
        """The share that may be bad."""
        # 1 - 0.99 is not 0.01 to the last bit.
        return round(1 - self.objective, 9)

    @property
    def burns(self) -> tuple[Burn, ...]:
        """Those that are watched."""
        return BURNS if self.pages else BURNS[-1:]


_ALL = (
    Slo(
        name="decision-availability",
        objective=0.9995,
        means="Payments that are sent for a decision, alone or in a batch, and do not fail on our side.",
    ),
    Slo(
        name="decision-latency",
        objective=0.99,
        within=300,
        unit="ms",
        means="Decisions on single payments that are answered in time, measured at API Gateway.",
    ),
    Slo(
        name="feature-freshness",
        objective=0.99,
        within=60_000,
        unit="ms",
        means="Events whose features are there in time, from the ledger's write on.",
    ),
    Slo(
        name="label-lag",
        objective=0.95,
        within=24 * 3_600,
        unit="s",
        pages=False,
        means="Labels that are recorded in time after they became known.",
    ),
)

SLOS: Mapping[str, Slo] = MappingProxyType({each.name: each for each in _ALL})
"""By name."""
