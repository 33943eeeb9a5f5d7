"""Finding raw card numbers where none may be, before anything is logged or stored."""

import re
from collections.abc import Mapping, Sequence

__all__ = ["card_number_at", "is_card_number"]

# 13 to 19 digits, however they are spaced or dashed; ISO/IEC 7812 allows no other length in use.
_CANDIDATE = re.compile(r"(?<!\d)\d(?:[ .\-]?\d){12,18}(?!\d)")


def is_card_number(text: str) -> bool:
    """Whether a text holds a run of 13 to 19 digits that passes the Luhn check."""
    return any(_luhn(re.sub(r"\D", "", match[0])) for match in _CANDIDATE.finditer(text))


def card_number_at(body: object, path: str = "") -> str | None:
    """Where in a decoded JSON body a raw card number hides; None if nowhere.

    Returns
    -------
    str or None
        A path such as ``metadata.note`` or ``items[2]``; the number itself is never returned. A number
        that is used as a field's name is reported at the path of the object that holds it.
    """
    if isinstance(body, bool):
        return None
    if isinstance(body, str | int):
        return (path or "body") if is_card_number(str(body)) else None
    if isinstance(body, Mapping):
        if any(is_card_number(str(name)) for name in body):
            return path or "body"
        found = (card_number_at(value, f"{path}.{name}" if path else str(name)) for name, value in body.items())
        return next((where for where in found if where), None)
    if isinstance(body, Sequence):
        found = (card_number_at(value, f"{path}[{index}]") for index, value in enumerate(body))
        return next((where for where in found if where), None)
    return None


def _luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
