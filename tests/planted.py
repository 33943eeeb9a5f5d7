"""What requests of the tests hold and no log may: people's identifiers, a card number, and keys.

The bodies in `tests/events` hold them, so that every test of a function sends some; what is made in a run, such
as the keys of a deployment, is planted as it is made. `tests.leaks` looks for all of it in whatever is written.
"""

import json
import re
from pathlib import Path

__all__ = ["CARD_NUMBER", "CARD_TOKEN", "CUSTOMER", "DEVICE", "EMAIL", "IP", "KEY", "PHONE", "found_in", "plant"]

_SENT = json.loads((Path(__file__).parent / "events" / "decision_request.json").read_text(encoding="utf-8"))
_BODY = json.loads(_SENT["body"])

CARD_TOKEN: str = _BODY["card"]["token"]
CUSTOMER: str = _BODY["customer"]["id"]
EMAIL: str = _BODY["customer"]["email"]
PHONE: str = _BODY["customer"]["phone"]
DEVICE: str = _BODY["device"]["id"]
IP: str = _BODY["ip"]
KEY: str = _SENT["headers"]["Authorization"].removeprefix("Bearer ")
# The network's number for tests, built so that no number stands in a file.
CARD_NUMBER = "4" + "1" * 15

_planted: dict[str, "re.Pattern[str]"] = {}


def plant(name: str, value: str) -> None:
    """From now on nothing written may hold a value.

    Parameters
    ----------
    name : str
        What a report calls it: the value itself is in none.
    """
    _planted[name] = re.compile(re.escape(value), re.IGNORECASE)


def found_in(text: str) -> list[str]:
    """The names of the planted values that a text holds."""
    return [name for name, pattern in _planted.items() if pattern.search(text)]


for _name, _value in {
    "card token": CARD_TOKEN,
    "customer": CUSTOMER,
    "email": EMAIL,
    "telephone number": PHONE,
    "device": DEVICE,
    "address": IP,
    "merchant key": KEY,
}.items():
    plant(_name, _value)
# However it is spaced.
_planted["card number"] = re.compile(r"[\W_]*".join(CARD_NUMBER))
