"""What can go wrong when a decision is explained."""

__all__ = ["ExplainError"]


class ExplainError(ValueError):
    """A decision cannot be explained; the message says why, and what to do."""
