"""What can go wrong when a table is scored; apart, since whoever only names it needs no xgboost."""

__all__ = ["ScoringError"]


class ScoringError(ValueError):
    """A table cannot be scored; the message says why, and what to do."""
