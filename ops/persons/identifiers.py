"""What identifies the people who are to be erased: from a file, checked as the API checks it, and never shown."""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from fraud.tokens import Tokeniser, identified
from lambdas.manage_settings.values import Values
from ops.persons.errors import ErasureError
from runtime.http import Problem

__all__ = ["Identifier", "read_identifiers"]


class Identifier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the file.

    Attributes
    ----------
    field : str
        Which field of a payment the value stands in.
    value : str
        As merchants send it.
    merchant : str
        Of a customer's id, whose it is; of nothing else.
    """

    field: Literal["card", "customer", "device", "ip", "email", "phone"]
    value: str
    merchant: str = ""


def read_identifiers(
    lines: Iterable[str], tokeniser: Tokeniser, *, clock: int, known: Callable[[str], bool]
) -> list[tuple[str, str]]:
    """What tokens are made of, from lines of JSON such as ``{"field": "email", "value": "..."}``.

    Parameters
    ----------
    clock : int
        Milliseconds since the epoch.
    known : callable
        Whether there is a merchant of that name.

    Returns
    -------
    list of tuple of str and str
        As `Tokeniser.tokens` takes them, each once. Empty lines count for nothing.

    Raises
    ------
    ErasureError
        If a line can be of no payment. It names the line and what is wrong with it, and does not repeat it.
    """
    found: dict[tuple[str, str], None] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        given = _parsed(line, number)
        if (given.field == "customer") != bool(given.merchant):
            raise ErasureError(f"line {number}: `merchant` goes with a customer's id, and with nothing else")
        if given.merchant and not known(given.merchant):
            raise ErasureError(f"line {number}: there is no such merchant; `paywarden merchants list` shows all")
        try:
            payment = Values(tokeniser, given.merchant, given.field, clock).payment(given.value, "value")
        except Problem as problem:
            raise ErasureError(f"line {number}: {problem.body['detail']}") from None
        found[identified(payment)[given.field]] = None
    if not found:
        raise ErasureError('nothing is given; write a line such as {"field": "email", "value": "..."}')
    return list(found)


def _parsed(line: str, number: int) -> Identifier:
    try:
        return msgspec.json.decode(line, type=Identifier)
    except msgspec.MsgspecError:
        # Its own message may repeat what is there.
        raise ErasureError(
            f"line {number}: no JSON object of `field` (card, customer, device, ip, email or phone), `value`, and "
            "`merchant` with a customer"
        ) from None
