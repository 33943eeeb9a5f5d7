"""Time for those who wait for an execution."""

import pytest

from ops import executions, retraining

__all__ = ["Clock", "stopped"]


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def stopped(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock in the place of the real one, for what follows executions and what times them."""
    made = Clock()
    for module in (executions, retraining):
        monkeypatch.setattr(module, "time", made)
    return made
