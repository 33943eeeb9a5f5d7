"""What can be wrong with the trail, or with what is asked of it."""

__all__ = ["AuditError"]


class AuditError(Exception):
    """The trail cannot be shown as asked, or is not whole; the message says what to do."""
