"""Finding raw card numbers where none may be, before anything is logged or stored."""

import re
from collections.abc import Mapping, Sequence

__all__ = ["card_number_at", "is_card_number"]

# Groups of digits, however they are spaced or dashed.
_GROUPS = re.compile(r"\d+(?:[\s.\-\u2010-\u2015]\d+)*")
# ISO/IEC 7812 allows no other lengths in use.
_SHORTEST, _LONGEST = 13, 19
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_card_number(text: str) -> bool:
    """Whether a text holds 13 to 19 digits, in one group or in neighbouring ones, that pass the Luhn check.

    Every start and end is tried, so that an expiry or an order number beside a card number does not hide it.
    """
    return any(_held(re.findall(r"\d+", run[0])) for run in _GROUPS.finditer(text))


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


def _held(groups: list[str]) -> bool:
    for start in range(len(groups)):
        digits = ""
        for end in range(start, len(groups)):
            digits += groups[end]
            if len(digits) > _LONGEST:
                break
            if len(digits) >= _SHORTEST and _luhn(digits):
                return True
    return False


def _luhn(digits: str) -> bool:
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0
