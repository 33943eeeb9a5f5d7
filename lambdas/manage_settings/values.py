"""Values of lists, checked and turned into tokens by the very code that payments go through."""

import re
from typing import Any

import msgspec

from fraud.events import Transaction
from fraud.lists import ListField
from fraud.tokens import IDENTIFIERS, Tokeniser
from runtime.api import DecisionRequest, check, parse
from runtime.http import Problem

__all__ = ["Values"]

_PATHS: dict[ListField, tuple[str, ...]] = {
    "card": ("card", "token"),
    "customer": ("customer", "id"),
    "device": ("device", "id"),
    "ip": ("ip",),
    "email": ("customer", "email"),
    "phone": ("customer", "phone"),
    "bin": ("card", "bin"),
    "issuer_country": ("card", "issuer_country"),
    "billing_country": ("billing", "country"),
    "shipping_country": ("shipping", "country"),
}


class Values:
    """What values of a field are stored as, for one merchant.

    Parameters
    ----------
    now : int
        Milliseconds since the epoch: the moment that decides under which key tokens are made.
    """

    def __init__(self, tokeniser: Tokeniser, merchant_id: str, field: ListField, now: int) -> None:
        self._tokeniser = tokeniser
        self.merchant_id = merchant_id
        self._field: ListField = field
        self._now = now

    def stored(self, value: str, place: str) -> list[str]:
        """What a payment with the value has in its place once its identifiers are tokens.

        Parameters
        ----------
        place : str
            Where the value stands in the request, for the error.

        Returns
        -------
        list of str
            What it is stored as now; after it, while the keys of tokens overlap, what it was stored as before.

        Raises
        ------
        Problem
            400, if no payment can have the value.
        """
        payment = self.payment(value, place)
        before = self._tokeniser.previous(payment)
        found = [self._tokeniser.apply(payment), *([before] if before else [])]
        return list(dict.fromkeys(getattr(each, self._field) for each in found))

    def named(self, value: str, place: str) -> list[str]:
        """All that a value to be removed may be stored as; a token, which is what a list shows, is itself too."""
        itself = [value] if self._is_token(value) else []
        try:
            return [*self.stored(value, place), *itself]
        except Problem:
            if itself:
                return itself
            raise

    def _is_token(self, value: str) -> bool:
        kind = IDENTIFIERS.get(self._field)
        return kind is not None and re.fullmatch(rf"{kind}_[0-9a-f]{{32}}", value) is not None

    def payment(self, value: str, place: str) -> Transaction:
        """A payment with nothing but this value, not tokenised yet; raises `Problem` as `stored` does."""
        body: dict[str, Any] = {
            "transaction_id": "-",
            "amount": 0,
            "currency": "EUR",
            "card": {"token": "-"},
            "customer": {"id": "-"},
            "device": {"id": "-"},
        }
        *outer, last = _PATHS[self._field]
        (body.setdefault(outer[0], {}) if outer else body)[last] = value
        try:
            request = parse(msgspec.json.encode(body), DecisionRequest)
            check(request, self._now)
        except Problem as problem:
            problem.body["field"] = place
            raise
        return request.transaction(self.merchant_id, self._now)
