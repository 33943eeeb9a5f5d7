"""Why something cannot be restored."""

__all__ = ["RecoveryError"]


class RecoveryError(Exception):
    """What is asked for cannot be restored, or not in this way; the message says what to do."""
