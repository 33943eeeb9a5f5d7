"""Waiting for what comes about by itself, and giving up in time."""

import time
from collections.abc import Callable

__all__ = ["until", "waited"]


def until[Found](
    condition: Callable[[], Found | None], *, within: float = 60, pause: float = 0.1, what: str = "it"
) -> Found:
    """Look until a condition holds; what it found then.

    Parameters
    ----------
    condition
        A look; what is true or not empty ends the wait.
    within
        Seconds after which no look is taken any more.
    pause
        Seconds between two looks.
    what
        What is waited for, for whoever reads that it never came.

    Raises
    ------
    AssertionError
        The condition did not hold in time.
    """
    found = waited(condition, within=within, pause=pause)
    assert found, f"{what} did not come about within {within:g} s"
    return found


def waited[Found](condition: Callable[[], Found], *, within: float, pause: float = 0.1) -> Found:
    """Look until a condition holds or the time is over; what the last look found, whatever that is."""
    deadline = time.monotonic() + within
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(pause)
    return found
