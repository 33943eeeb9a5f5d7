"""What can be wrong with a table's rows; apart, since whoever only names it needs no pandas."""

__all__ = ["RowError"]


class RowError(ValueError):
    """A row of the input cannot be used."""
