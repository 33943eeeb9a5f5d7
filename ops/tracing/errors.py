"""What can go wrong when a request is followed."""

__all__ = ["TraceError"]


class TraceError(ValueError):
    """A request cannot be followed; the message says why, and what to do."""
