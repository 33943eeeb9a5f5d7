"""What goes wrong when people are erased."""

__all__ = ["ErasureError"]


class ErasureError(Exception):
    """People cannot be erased like this, or not yet; the message says what to do. Nothing was changed."""
