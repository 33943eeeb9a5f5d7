"""What can go wrong when the time until frauds are known is told; whoever names it needs no pandas."""

__all__ = ["MaturityError"]


class MaturityError(Exception):
    """No run measured it, or this one did not; the message says what to do."""
