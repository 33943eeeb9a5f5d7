"""The merchant's API: what is checked before anything else looks at a request."""

import hmac
import json
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import msgspec

from fraud.cards import card_number_at
from fraud.currency import CURRENCIES
from fraud.events import LATEST_TIME
from runtime.contract.requests import (
    MOST_IN_BATCH,
    DecisionRequest,
    LabelRequest,
    OutcomeRequest,
    PathId,
)
from runtime.http import Problem

__all__ = [
    "DecisionRequest",
    "LabelRequest",
    "OutcomeRequest",
    "body_digest",
    "check",
    "check_currency",
    "check_occurred_at",
    "parameters",
    "parse",
    "parse_batch",
    "receipt_time",
    "transaction_in_path",
]

REPLAY_HEADER = "paywarden-replay-time"
MOST_BYTES = 65_536
MOST_BATCH_BYTES = 8 * MOST_BYTES
MOST_AHEAD = timedelta(minutes=2)
MOST_BEHIND = timedelta(hours=24)

_NO_OFFSET = "Write the time with its offset from UTC, such as 2026-01-31T12:00:00Z."


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch whose payments nobody has looked at yet."""

    decisions: list[msgspec.Raw]


def parse[T](body: bytes, model: type[T]) -> T:
    """Read and check a request's body.

    Raises
    ------
    Problem
        400, with the field at fault. A raw card number is found before anything else is looked at.
    """
    if len(body) > MOST_BYTES:
        detail = f"The body has more than {MOST_BYTES} bytes. Send less in one request."
        raise Problem(413, "body-too-large", "Body too large", detail)
    return _checked(_read(body), model)


def parse_batch(body: bytes) -> list[bytes]:
    """The bodies of a batch's payments, each as it was sent, for `parse` to check on its own.

    Raises
    ------
    Problem
        413 or 400, if the batch as a whole is none.
    """
    if len(body) > MOST_BATCH_BYTES:
        detail = f"The batch has more than {MOST_BATCH_BYTES} bytes. Send it in parts."
        raise Problem(413, "body-too-large", "Body too large", detail)
    given = _read(body)
    _refuse_card_number(
        {name: each for name, each in given.items() if name != "decisions"} if isinstance(given, dict) else given
    )
    try:
        payments = msgspec.json.decode(body, type=_Envelope).decisions
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    if not 1 <= len(payments) <= MOST_IN_BATCH:
        detail = f"A batch has 1 to {MOST_IN_BATCH} payments. Send a longer one in parts."
        raise Problem(400, "invalid-field", "Invalid field", detail, "decisions")
    return [bytes(each) for each in payments]


def transaction_in_path(path: Mapping[str, str]) -> str:
    """The id of the transaction that a path names, under the rules that it has in a body.

    Parameters
    ----------
    path : mapping of str to str
        The path's parameters.

    Raises
    ------
    Problem
        400, if it is no id that a transaction can have.
    """
    # An id has no percent sign, so one that was decoded before stays as it is.
    return _checked({name: unquote(text) for name, text in path.items()}, PathId).transaction_id


def parameters[T](given: Mapping[str, str], model: type[T]) -> T:
    """Check what stands in a query or, decoded, in a path; numbers are read from their digits.

    Raises
    ------
    Problem
        400, with the parameter at fault.
    """
    _refuse_card_number(given)
    for name, text in given.items():
        if text.lower() == "null":  # which the reader would take for a parameter that was not sent
            raise Problem(400, "invalid-field", "Invalid field", "The value is none that this takes.", name)
    try:
        return msgspec.convert(given, model, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _read(body: bytes) -> Any:
    try:
        given = msgspec.json.decode(body)
        # Read again for names that stand twice: of those the strict reader keeps the last, unseen by any check.
        json.loads(body, object_pairs_hook=_once)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        detail = "The body is no JSON document in UTF-8, or is nested too deeply."
        raise Problem(400, "invalid-body", "Invalid body", detail) from None
    return given


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        detail = "A field stands twice in the same object. Send each field once."
        raise Problem(400, "invalid-body", "Invalid body", detail)
    return found


def _checked[T](given: object, model: type[T]) -> T:
    _refuse_card_number(given)
    try:
        return msgspec.convert(given, model)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _refuse_card_number(given: object) -> None:
    hidden = card_number_at(given)
    if hidden:
        detail = "A raw card number is in this field. Send a network token or a fingerprint of the card instead."
        raise Problem(400, "card-number", "Raw card number", detail, hidden)


def _invalid(error: msgspec.ValidationError) -> Problem:
    detail, field = _told(str(error))
    return Problem(400, "invalid-field", "Invalid field", detail, field)


def body_digest(body: bytes, secret: bytes = b"") -> str:
    """A digest that tells two requests apart, but not two spellings of the same JSON.

    Parameters
    ----------
    secret : bytes, optional
        Of the people in it (see `Sealed`), so that nobody who reads the digest can try what it was made of.
    """
    canonical = msgspec.json.encode(msgspec.json.decode(body), order="deterministic")
    return hmac.digest(secret, canonical, "sha256").hex()


def receipt_time(headers: Mapping[str, str], clock: int, *, replay: bool) -> int:
    """When a request counts as received, in ms.

    Where `replay` is allowed (never in production), the header ``Paywarden-Replay-Time`` sets it, so that
    history can be played at any speed with the times it had.

    Raises
    ------
    Problem
        400, if the header is refused here or is no time.
    """
    text = headers.get(REPLAY_HEADER)
    if text is None:
        return clock
    if not replay:
        detail = "This environment does not replay history. Leave the header out."
        raise Problem(400, "replay-refused", "Replay refused", detail, "Paywarden-Replay-Time")
    if not re.fullmatch(r"[0-9]{12,14}", text) or int(text) >= LATEST_TIME:
        detail = "The header holds milliseconds since 1970-01-01 UTC, such as 1700000000000."
        raise Problem(400, "invalid-field", "Invalid field", detail, "Paywarden-Replay-Time")
    return int(text)


def check(request: DecisionRequest, received_at: int) -> None:
    """Refuse what a request's model cannot: an unknown currency, an impossible time, what is no IP address.

    Parameters
    ----------
    received_at : int
        The receipt, in ms.

    Raises
    ------
    Problem
        400, with the field at fault.
    """
    check_currency(request.currency)
    check_occurred_at(request.occurred_at, received_at)
    _check_created_at(request.customer.created_at, received_at)
    if request.ip is not None and not _is_address(request.ip):
        detail = "Write an IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1, or leave the field out."
        raise Problem(400, "invalid-field", "Invalid field", detail, "ip")


def check_currency(currency: str) -> None:
    """Refuse three letters that are no currency: an amount in minor units of nothing has no meaning.

    Raises
    ------
    Problem
        400, if the code is not an active one of ISO 4217.
    """
    if currency not in CURRENCIES:
        detail = "This is no ISO 4217 currency code. Write one such as EUR, USD or JPY."
        raise Problem(400, "invalid-field", "Invalid field", detail, "currency")


def check_occurred_at(occurred_at: datetime | None, received_at: int) -> None:
    """Refuse a time that no honest clock would send.

    Raises
    ------
    Problem
        400, if it is more than 2 minutes ahead of the receipt or 24 hours behind it, or has no offset.
    """
    if occurred_at is None:
        return
    detail = ""
    if occurred_at.tzinfo is None:
        detail = _NO_OFFSET
    else:
        behind = datetime.fromtimestamp(received_at / 1_000, UTC) - occurred_at
        if behind < -MOST_AHEAD:
            detail = "The time is more than 2 minutes in the future. Check the sending clock."
        elif behind > MOST_BEHIND:
            detail = "The time is more than 24 hours in the past. Import history instead of sending it."
    if detail:
        raise Problem(400, "invalid-field", "Invalid field", detail, "occurred_at")


def _check_created_at(created_at: datetime | None, received_at: int) -> None:
    if created_at is None:
        return
    detail = ""
    if created_at.tzinfo is None:
        detail = _NO_OFFSET
    elif created_at - datetime.fromtimestamp(received_at / 1_000, UTC) > MOST_AHEAD:
        detail = "No account is opened in the future. Check the time, or leave the field out."
    if detail:
        raise Problem(400, "invalid-field", "Invalid field", detail, "customer.created_at")


def _is_address(text: str) -> bool:
    # A tenth of the time that `ipaddress` takes to be imported and to parse.
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):  # ValueError: a null byte, or what is no UTF-8
            continue
        return True
    return False


def _told(message: str) -> tuple[str, str | None]:
    """A validation message of msgspec's, split into a sentence and the path of the field."""
    # Looked for from the front: the name of an unknown field is the client's, and may hold anything.
    named = re.match(
        r"Object (missing required|contains unknown) field `(.*?)`(?: - at `\$(.*)`)?\Z", message, re.S
    )
    if named:
        kind = "is missing" if named[1] == "missing required" else "is not known; remove it or check its spelling"
        return f"The field {kind}.", f"{named[3] or ''}.{named[2]}".removeprefix(".") or None
    sentence, _, path = message.partition(" - at `")
    where = path.removeprefix("key` in `").removesuffix("`").removeprefix("$").removeprefix(".")
    if sentence.startswith("Invalid enum value"):
        # The library's own sentence repeats the value.
        sentence = "The value is none of those that this field takes"
    return f"{sentence.rstrip('.')}.", where or None
