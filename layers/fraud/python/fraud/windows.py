"""Event-time windows: a head that slides, a tail that moves in steps of `hop`.

``window(W, q) = [floor(q - W, hop), q)``; with a delay D, ``[floor(q - D - W, hop), floor(q - D, hop))``.
All times are integers in milliseconds.
"""

import re
from dataclasses import dataclass

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND", "Window", "duration", "written"]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}

# The steps keep a level under about 100 tiles and the over-inclusion under 1.7 % of the window.
_DEFAULT_HOPS = ((HOUR, MINUTE), (DAY, 15 * MINUTE), (7 * DAY, 2 * HOUR), (30 * DAY, 8 * HOUR))


def duration(text: str) -> int:
    """Milliseconds of a duration such as ``"90s"``, ``"10m"``, ``"24h"`` or ``"7d"``.

    Raises
    ------
    ValueError
        If the text is not a positive whole number followed by s, m, h or d.

    Examples
    --------
    >>> duration("10m")
    600000
    """
    match = re.fullmatch(r"([1-9][0-9]*)([smhd])", text)
    if match is None:
        raise ValueError(f"duration {text!r}: write a positive whole number and s, m, h or d, such as '24h'")
    return int(match[1]) * _UNITS[match[2]]


def written(span: int) -> str:
    """A duration of `span` ms as names and definitions have it: the inverse of `duration`.

    Examples
    --------
    >>> written(86_400_000)
    '24h'
    """
    for unit, size, limit in (("d", DAY, 2 * DAY), ("h", HOUR, HOUR), ("m", MINUTE, MINUTE)):
        if span >= limit and span % size == 0:
            return f"{span // size}{unit}"
    return f"{span // SECOND}s"


@dataclass(frozen=True, slots=True)
class Window:
    """A window of `length` ms whose tail moves in steps of `hop` ms, ending `delay` ms before the query."""

    length: int
    hop: int
    delay: int = 0

    @classmethod
    def of(cls, length: str, *, hop: str | None = None, delay: str | None = None) -> "Window":
        """Build a window from durations; the hop follows from the length unless it is given."""
        span = duration(length)
        step = duration(hop) if hop else next((h for limit, h in _DEFAULT_HOPS if span <= limit), DAY)
        return cls(span, step, duration(delay) if delay else 0)

    @property
    def retention(self) -> int:
        """How long before the newest event a tile can still be read, in ms."""
        return self.length + self.delay + self.hop

    def tiles(self, query: int) -> tuple[int, int]:
        """First and past-the-last tile index that a query at `query` (ms) reads.

        Without a delay the tile that the query falls in is read as it stands: what it holds by then
        came before the query.

        Examples
        --------
        >>> Window(length=60_000, hop=1_000).tiles(90_500)
        (30, 91)
        """
        first = (query - self.delay - self.length) // self.hop
        if self.delay:
            return first, (query - self.delay) // self.hop
        return first, query // self.hop + 1
