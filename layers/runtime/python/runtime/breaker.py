"""A circuit breaker: what failed again and again is left alone for a while, instead of being waited for."""

__all__ = ["Breaker"]


class Breaker:
    """Opens after some failures in a row; then lets one call through each `rest` to see whether it is over.

    Parameters
    ----------
    tolerated : int
        How many failures in a row open it.
    rest : float
        Seconds that it stays open before a call may try again.
    """

    def __init__(self, *, tolerated: int = 3, rest: float = 2.0) -> None:
        self._tolerated = tolerated
        self._rest = rest
        self._failures = 0
        self._closed_from = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are kept back, but for one now and then."""
        return self._failures >= self._tolerated

    def admits(self, now: float) -> bool:
        """Whether a call may be made at `now` (seconds); while open, that call is the one that tries."""
        if not self.is_open:
            return True
        if now < self._closed_from:
            return False
        # Whoever comes while this one tries is kept back, however long it takes.
        self._closed_from = now + self._rest
        return True

    def succeeded(self) -> None:
        """Note that a call went well: the breaker closes."""
        self._failures = 0

    def failed(self, now: float) -> None:
        """Note that a call failed at `now` (seconds)."""
        self._failures += 1
        self._closed_from = now + self._rest
