"""What goes wrong with a replay."""

__all__ = ["ReplayError"]


class ReplayError(ValueError):
    """A stretch cannot be replayed; the message says why, and what to do."""
