"""Turning what identifies people into tokens that only this deployment can link."""

import hashlib
import hmac

import msgspec

from fraud.events import Transaction

__all__ = ["Tokeniser"]


class Tokeniser:
    """Keyed tokens (HMAC-SHA-256, 128 bits kept) of cards, customers, devices, addresses and emails.

    Parameters
    ----------
    key : bytes
        The deployment's secret; at least 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("token key: at least 32 bytes are needed; let the deployment generate the secret")
        self._key = key

    def token(self, kind: str, value: str) -> str:
        """The token of one value; empty for an empty value."""
        if not value:
            return ""
        mac = hmac.new(self._key, f"{kind}\0{value}".encode(), hashlib.sha256)
        return f"{kind}_{mac.hexdigest()[:32]}"

    def apply(self, raw: Transaction) -> Transaction:
        """A transaction as merchants send it, with every identifier replaced by its token.

        A customer's id is the merchant's own, so its token is the merchant's own too; cards, devices,
        addresses and emails are the same thing at every merchant.
        """
        return msgspec.structs.replace(
            raw,
            card=self.token("card", raw.card),
            customer=self.token("cust", f"{raw.merchant_id}\0{raw.customer}" if raw.customer else ""),
            device=self.token("dev", raw.device),
            ip=self.token("ip", raw.ip),
            email=self.token("mail", raw.email.strip().lower()),
        )
