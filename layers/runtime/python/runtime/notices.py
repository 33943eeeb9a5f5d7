"""What people are told through a topic."""

from typing import Final

__all__ = ["subject"]

_SHORTER_THAN: Final = 100


def subject(text: str) -> str:
    """The subject of a message, as SNS takes it: ASCII, and shorter than 100 characters.

    Examples
    --------
    >>> subject("Paywarden: run größer ended badly")
    'Paywarden: run gr??er ended badly'
    """
    return text[: _SHORTER_THAN - 1].encode("ascii", "replace").decode()
