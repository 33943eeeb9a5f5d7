"""A value that is read again once it is old."""

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Kept"]


@dataclass(slots=True)
class Kept[T]:
    """Keeps what `read` gave.

    Parameters
    ----------
    seconds : float
        How long it is kept.
    clock : callable
        Seconds.
    """

    read: Callable[[], T]
    seconds: float
    clock: Callable[[], float]
    _held: tuple[float, T] | None = field(default=None, init=False)

    def __call__(self) -> T:
        """The value, at most so many seconds old."""
        at = self.clock()
        if self._held is None or at >= self._held[0] + self.seconds:
            self._held = (at, self.read())
        return self._held[1]
