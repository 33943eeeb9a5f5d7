"""What keeps stored data in the form that it has."""

__all__ = ["MigrationError"]


class MigrationError(Exception):
    """Data cannot take another form now; the message says what to do."""
