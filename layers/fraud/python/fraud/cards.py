"""Finding raw card numbers where none may be, before anything is logged or stored."""

import re
import unicodedata
from itertools import accumulate

__all__ = ["card_number_at", "is_card_number", "is_phone_number", "may_hold", "without_card_numbers"]

# ISO/IEC 7812 allows no other lengths in use.
_SHORTEST, _LONGEST = 13, 19
# At least 13 digits with anything but letters between them: blanks, signs, line ends, characters of no width.
_RUN = re.compile(r"\d(?:[\W_]*+\d){12,}+")
_DIGITS = re.compile(r"\d+")
_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)).ljust(256, b"\0")
_NOWHERE = b"\xff"

_EXACT = 2**53
"""From here on a float stands for several whole numbers, one of which passes the Luhn check."""

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}\Z")
# American Express, Diners Club and UATP with a plus before them: in none of these zones are numbers that long.
_NO_PHONE = re.compile(r"\+(?:3[47][0-9]{13}|3[0689][0-9]{12}|1[0-9]{14})\Z")

# RFC 3339: a time with fractions of a second and an offset has up to 21 digits.
_TIME = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])\Z"
)

# `fraud.tokens.IDENTIFIERS`, which is not imported for this: about one token in 550 reads as a card number.
_TOKEN = re.compile(r"(?:card|cust|dev|ip|mail|tel)_[0-9a-f]{32}\Z")

type _Place = tuple["_Place", str | int] | None


def is_card_number(text: str) -> bool:
    """Whether a text holds 13 to 19 digits that pass the Luhn check, in one group or in neighbouring ones.

    Digits of any script count, and whatever stands between two groups but a letter. Every start and end of a group
    is tried, so that an expiry or an order number beside a card number does not hide it. In one group any such
    number counts; one that is put together from several must begin as card numbers do (3 to 9, or 22 to 27 with at
    least 16 digits), since dates, times and amounts stand side by side as well. The work grows with the length of
    the text only.
    """
    if text.isascii():
        if len(text) < _SHORTEST:
            return False
    else:
        text = unicodedata.normalize("NFKC", text)
    return any(_held(run[0]) for run in _RUN.finditer(text))


def without_card_numbers(text: str) -> str:
    """The same text with a note in place of each run of digits that holds a card number."""
    if not is_card_number(text):
        return text
    return _RUN.sub(lambda run: "[card number]" if _held(run[0]) else run[0], unicodedata.normalize("NFKC", text))


def is_phone_number(text: str) -> bool:
    """Whether a text is a telephone number as E.164 writes it, and no card number with a plus before it.

    Of 13 to 15 digits it may pass the Luhn check by chance. What begins and is as long as an American Express, a
    Diners Club or a UATP card is not taken for one: no country has such numbers.
    """
    return _PHONE.match(text) is not None and _NO_PHONE.match(text) is None


def may_hold(field: str, text: str) -> bool:
    """Whether a field may hold a text that reads as a card number, for what it says itself to be.

    A time as RFC 3339 writes it may stand anywhere.

    Parameters
    ----------
    field : str
        ``phone`` or ``ip``, or ``entry`` for a value of a list, which may be either and one of our tokens too;
        no other field may.
    """
    if _TIME.match(text):
        return True
    if field == "entry" and _TOKEN.match(text):
        return True
    if field in ("phone", "entry") and is_phone_number(text):
        return True
    return field in ("ip", "entry") and _is_address(text)


def card_number_at(body: object) -> str | None:
    """Where in a decoded JSON body a raw card number hides; None if nowhere.

    Returns
    -------
    str or None
        A path such as ``metadata.note`` or ``items[2]``; the number itself is never returned. A number
        that is used as a field's name is reported at the path of the object that holds it.
    """
    waiting: list[tuple[_Place, object]] = [(None, body)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            if is_card_number(value) and not may_hold(_field(place), value):
                return _path(place)
        elif isinstance(value, int | float):
            if _is_card_value(value):
                return _path(place)
        elif isinstance(value, dict):
            for name in value:
                if is_card_number(name):
                    return _path(place)
            waiting.extend([((place, name), each) for name, each in value.items()][::-1])
        elif isinstance(value, list):
            waiting.extend([((place, index), each) for index, each in enumerate(value)][::-1])
    return None


def _is_card_value(value: float) -> bool:
    """Whether a JSON number is a card number, whichever way it is written."""
    if isinstance(value, int):
        return is_card_number(str(value)) if abs(value) < 10**_LONGEST else False
    if not 10 ** (_SHORTEST - 1) <= abs(value) < 10**_LONGEST:
        return False
    # Beyond the exact ones it cannot be told any more, and no field takes such a number.
    return abs(value) >= _EXACT or is_card_number(str(int(value)))


def _held(run: str) -> bool:
    """Whether neighbouring groups of a run make up a card number."""
    groups = _DIGITS.findall(run)
    if not run.isascii():
        groups = [_ascii(group) for group in groups]
    sizes = list(map(len, groups))
    if max(sizes) >= _SHORTEST and any(_passes(group) for group in groups):
        return True
    if len(groups) == 1:
        return False
    digits = "".join(groups)
    values = digits.encode().translate(_VALUES)
    bounds = list(accumulate(sizes, initial=0))
    # From the last digit backwards every second one is doubled, so a number that ends before place b doubles those
    # at b-2, b-4 and so on: the places of b's own parity. Sums of both kinds over all the digits before a place
    # tell of every number at once: it passes if the sums at its end and at its start differ by a multiple of 10.
    sums = [_sums(values, parity) for parity in (0, 1)]
    ends = [bytearray(_NOWHERE * (len(digits) + _LONGEST + 1)) for _ in sums]
    (even, odd), (even_sums, odd_sums) = ends, sums
    for end in bounds[1:]:
        if end % 2:
            odd[end] = odd_sums[end]
        else:
            even[end] = even_sums[end]
    for start in bounds[:-1]:
        if values[start] > 2:
            shortest = start + _SHORTEST
        elif "22" <= digits[start : start + 2] < "28":
            shortest = start + 16
        else:
            continue
        longest = start + _LONGEST + 1
        if (
            even.find(even_sums[start], shortest, longest) >= 0
            or odd.find(odd_sums[start], shortest, longest) >= 0
        ):
            return True
    return False


def _sums(values: bytes, parity: int) -> bytes:
    """For each place the sum of the digits before it modulo 10, those at places of one parity doubled."""
    weighted = bytearray(values)
    weighted[parity::2] = values[parity::2].translate(_DOUBLED)
    return bytes([total % 10 for total in accumulate(weighted, initial=0)])


def _passes(digits: str) -> bool:
    """Whether a group of digits is as long as a card number and passes the Luhn check."""
    if not _SHORTEST <= len(digits) <= _LONGEST:
        return False
    values = digits.encode().translate(_VALUES)
    return (sum(values[::-2]) + sum(values[-2::-2].translate(_DOUBLED))) % 10 == 0


def _ascii(digits: str) -> str:
    return "".join([str(unicodedata.decimal(digit)) for digit in digits])


def _is_address(text: str) -> bool:
    # Seldom needed, and slow to import: IPv6 addresses with many digits and few letters.
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _parts(place: _Place) -> list[str | int]:
    parts: list[str | int] = []
    while place is not None:
        place, name = place
        parts.append(name)
    return parts[::-1]


def _field(place: _Place) -> str:
    """The field of a payment that a place is, be it alone in a body or one of a batch; empty for any other."""
    match _parts(place):
        case ["ip"] | [str(), int(), "ip"]:
            return "ip"
        case ["customer", "phone"] | [str(), int(), "customer", "phone"]:
            return "phone"
        case ["add", int(), "value"] | ["remove", int()] | ["cursor"]:
            # What is put on a list is looked at once more as what the list says it is; a cursor is read from one.
            return "entry"
    return ""


def _path(place: _Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in _parts(place))
    return text.removeprefix(".") or "body"
