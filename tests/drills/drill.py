"""What a drill is, and what comes of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from tests.load.report import Finding

if TYPE_CHECKING:
    from tests.drills.judging import Seen
    from tests.drills.stage import Stage

__all__ = ["Drill", "Result", "Sign"]


@dataclass(frozen=True)
class Sign:
    """An alarm; what it looks at has to rise while something is broken.

    Attributes
    ----------
    alarm : str
        A kind of `infra.alarms`.
    of : str
        What it is about, where there are several of the kind: the end of its name.
    """

    alarm: str
    of: str = ""

    def __str__(self) -> str:
        return f"{self.alarm}-{self.of}" if self.of else self.alarm


class Drill:
    """Something that breaks, and what has to hold all the same.

    A drill is made once and carried out once; what `broken` found out, `check` may look at.

    Attributes
    ----------
    name, fault, holds : str
        For the table: what is broken, and what must hold beside what holds in every drill.
    signs : sequence of Sign
        What tells the operators.
    cut_off : bool
        Whether calls may end without an answer of ours, since a process was killed or could not start.
    dead : int
        How many messages end among the dead letters of update_features.
    fresh : bool
        Whether it begins with a minute: what its alarm compares must not hold anything of before.
    within : float
        Seconds from the end of the fault in which everything has to be well again.
    seconds : float
        How long payments are sent while it is broken; a short drill takes a third.
    """

    name: ClassVar[str]
    fault: ClassVar[str]
    holds: ClassVar[str]
    signs: ClassVar[Sequence[Sign]] = ()
    cut_off: ClassVar[bool] = False
    dead: ClassVar[int] = 0
    fresh: ClassVar[bool] = False
    within: ClassVar[float] = 60.0
    seconds: ClassVar[float] = 9.0

    @contextmanager
    def broken(self, stage: "Stage") -> Iterator[None]:
        """Break it, and mend it when the block ends; payments are sent meanwhile."""
        del stage
        raise NotImplementedError
        yield

    def busy(self) -> bool:
        """Whether payments have to go on, since it is not broken in every way yet."""
        return False

    def well(self, stage: "Stage") -> bool:
        """Whether it is well again, beside what is waited for in every drill."""
        del stage
        return True

    def check(self, stage: "Stage", seen: "Seen") -> Iterator[Finding]:
        """What has to hold in this drill beside what holds in all."""
        del stage, seen
        yield from ()


@dataclass(frozen=True)
class Result:
    """What came of a drill.

    Attributes
    ----------
    lost, doubled : int
        Payments that were answered and not kept, or never decided on; and that were decided on twice.
    seconds : float
        From the end of the fault until all was well: every payment decided on, every event folded.
    payments, unavailable, degraded : int
        How often a payment was sent, refused with 503 or cut off at first, and decided on without state or model.
    findings : list of Finding
        Everything that was looked at.
    told : list of str
        The alarms that would have told, with what they look at.
    """

    name: str
    fault: str
    holds: str
    lost: int
    doubled: int
    seconds: float
    payments: int
    unavailable: int
    degraded: int
    findings: list[Finding] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not self.broken

    @property
    def broken(self) -> list[Finding]:
        """What did not hold."""
        return [each for each in self.findings if not each.held]
