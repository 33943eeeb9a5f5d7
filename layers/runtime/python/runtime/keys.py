"""Merchants' secret keys: how they are written, hashed and checked."""

import hashlib
import hmac
import re
from dataclasses import dataclass

from runtime.stores.merchants import Credential, MerchantStore

__all__ = ["KeyHash", "authenticate", "parse_key", "written_key"]

# The secret is 32 random bytes in the URL-safe alphabet. What has another form was never given to anyone.
_KEY = re.compile(r"pw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NO_KEY = "0" * 64


@dataclass(frozen=True, slots=True)
class KeyHash:
    """The keyed hash under which secrets are stored: HMAC-SHA-256 under the deployment's pepper.

    A secret has 256 random bits, which nobody can try out: a slow hash would add cost to every call and no
    safety. The pepper is kept apart from the table, so that a row somebody slips into the table admits nobody.

    Parameters
    ----------
    pepper : bytes
        The deployment's secret for this and nothing else; at least 32 bytes.
    """

    pepper: bytes

    def __post_init__(self) -> None:
        if len(self.pepper) < 32:
            raise ValueError("key secret: at least 32 bytes are needed; let the deployment generate the secret")

    def __repr__(self) -> str:
        return "KeyHash()"

    def of(self, key_id: str, secret: str) -> str:
        """The hash of a secret, in hexadecimal; it is bound to its key id and worth nothing in another row."""
        return hmac.digest(self.pepper, f"{key_id}\0{secret}".encode(), hashlib.sha256).hex()


def written_key(key_id: str, secret: str) -> str:
    """A key as merchants send it."""
    return f"pw_{key_id}_{secret}"


def parse_key(key: str) -> tuple[str, str] | None:
    """The public and the secret half of a key; None if it has another form than every key ever made."""
    match = _KEY.fullmatch(key)
    return None if match is None else (match[1], match[2])


def authenticate(key: str, merchants: MerchantStore, hashed: KeyHash, *, at: int) -> Credential | None:
    """The credential of a secret key, or None if the key admits nobody.

    An unknown key id, a wrong secret and a key that was ended go the same way, in the same time.

    Parameters
    ----------
    at : int
        Now, in ms since the epoch.
    """
    halves = parse_key(key)
    if halves is None:
        return None
    credential = merchants.get(halves[0])
    expected = _NO_KEY if credential is None else credential.secret_hash
    same = hmac.compare_digest(hashed.of(*halves), expected)
    return credential if same and credential is not None and credential.live(at) else None
