"""Turning what identifies people into tokens that only this deployment can link, under keys that change."""

import hmac
from collections.abc import Callable, Hashable, Mapping
from ipaddress import IPv6Address
from types import MappingProxyType

import msgspec

from fraud.events import Transaction

__all__ = ["IDENTIFIERS", "Keyring", "KeyringError", "Tokeniser", "changed", "of_both"]

IDENTIFIERS: Mapping[str, str] = MappingProxyType(
    {"card": "card", "customer": "cust", "device": "dev", "ip": "ip", "email": "mail", "phone": "tel"}
)
"""The fields of a transaction that are stored as tokens only, and how the tokens of each begin."""

_SHORTEST = 32
_FIRST = "1"


class KeyringError(ValueError):
    """The token secret holds no usable keys; the message never repeats one."""


class Keyring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys that tokens are made under: the current one and, while it is changed, the one before.

    Attributes
    ----------
    current : str
        The name of the key that counts from `activates_at` on.
    keys : dict of str to str
        By name; each of at least 32 bytes. One or two of them.
    activates_at : int
        Milliseconds since the epoch, UTC. What was received earlier gets tokens under the key before, whichever
        process looks at it and whenever it learnt of the new key.
    until : int
        Milliseconds since the epoch, UTC: the end of the overlap. What is received from then on is not looked up
        under the key before any more.
    """

    current: str
    keys: dict[str, str]
    activates_at: int = 0
    until: int = 0

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read the token secret: a ring as JSON, or the one key that a first deployment generates.

        Raises
        ------
        KeyringError
            If it is neither.
        """
        if not text.lstrip().startswith("{"):
            return cls(current=_FIRST, keys={_FIRST: text})
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError:
            # The library's own message is not told: it may repeat what is there.
            raise KeyringError(
                "token secret: no key ring; restore the version before with Secrets Manager"
            ) from None

    def __post_init__(self) -> None:
        if self.current not in self.keys or len(self.keys) > 2:
            raise KeyringError("token secret: it holds the current key and at most one before it")
        if any(len(key.encode()) < _SHORTEST for key in self.keys.values()):
            raise KeyringError(f"token key: at least {_SHORTEST} bytes are needed; let the deployment generate it")
        if len(self.keys) == 2 and self.activates_at >= self.until:
            raise KeyringError("token secret: the overlap of its keys ends before it begins")

    def __repr__(self) -> str:
        return f"Keyring(current={self.current!r}, activates_at={self.activates_at}, until={self.until})"

    @property
    def before(self) -> str:
        """The name of the key before the current one; empty if that one is gone."""
        return next((name for name in self.keys if name != self.current), "")

    def text(self) -> str:
        """The ring as the secret holds it."""
        return msgspec.json.encode(self).decode()


class Tokeniser:
    """Keyed tokens (HMAC-SHA-256, 128 bits kept) of cards, customers, devices, addresses, emails and telephones.

    Parameters
    ----------
    keys : Keyring or bytes
        The deployment's keys, or the only one.

    Raises
    ------
    KeyringError
        If a key is too short.
    """

    def __init__(self, keys: Keyring | bytes) -> None:
        self.keyring = keys if isinstance(keys, Keyring) else Keyring.parse(keys.decode())
        # A copy of one that has taken in its key costs half as much as a new one for each token.
        made = {name: hmac.new(key.encode(), digestmod="sha256") for name, key in self.keyring.keys.items()}
        self._current = made[self.keyring.current]
        self._before = made.get(self.keyring.before)

    def apply(self, raw: Transaction, *, at: int | None = None) -> Transaction:
        """A transaction as merchants send it, with every identifier replaced by its token.

        A customer's id is the merchant's own, so its token is the merchant's own too; cards, devices,
        addresses, emails and telephones are the same thing at every merchant.

        Parameters
        ----------
        at : int, optional
            The moment whose key counts, in ms; that of the transaction's receipt by default.
        """
        return _applied(self._key(raw.event_time if at is None else at), raw)

    def previous(self, raw: Transaction, *, at: int | None = None) -> Transaction | None:
        """The same under the key before, while the keys overlap; None at any other time."""
        moment = raw.event_time if at is None else at
        if self._before is None or not self.keyring.activates_at <= moment < self.keyring.until:
            return None
        return _applied(self._before, raw)

    def token(self, kind: str, value: str) -> str:
        """The token of one value under the current key; empty for an empty value."""
        return _token(self._current, kind, value)

    def _key(self, moment: int) -> hmac.HMAC:
        return self._before if self._before and moment < self.keyring.activates_at else self._current


def changed(now: Transaction, before: Transaction) -> dict[str, str]:
    """The tokens that a transaction had under the key before, by field: what links them to those of now."""
    return {name: token for name in IDENTIFIERS if (token := getattr(before, name)) != getattr(now, name)}


def of_both[K: Hashable](
    keys: Callable[[Transaction], list[K]], now: Transaction, before: Transaction | None
) -> list[K]:
    """The keys of states to read for a transaction, under its tokens of now and under those before.

    Read together they are merged as the shards of one state are, so that what was counted under the key before
    goes on counting. What has no token in it, such as a merchant's state, is in the list once.

    Parameters
    ----------
    keys : callable
        What to read for a transaction, such as ``FeatureSet.keys_read``.
    """
    found = keys(now)
    return found if before is None else list(dict.fromkeys([*found, *keys(before)]))


def _applied(key: hmac.HMAC, raw: Transaction) -> Transaction:
    return msgspec.structs.replace(
        raw,
        card=_token(key, "card", raw.card),
        customer=_token(key, "cust", f"{raw.merchant_id}\0{raw.customer}" if raw.customer else ""),
        device=_token(key, "dev", raw.device),
        ip=_token(key, "ip", _one_spelling(raw.ip)),
        email=_token(key, "mail", raw.email.strip().lower()),
        phone=_token(key, "tel", raw.phone),
    )


def _one_spelling(ip: str) -> str:
    """An address as everybody would write it: IPv6 has many spellings of one."""
    try:
        return str(IPv6Address(ip)) if ":" in ip else ip
    except ValueError:
        return ip


def _token(key: hmac.HMAC, kind: str, value: str) -> str:
    if not value:
        return ""
    mac = key.copy()
    mac.update(f"{kind}\0{value}".encode())
    return f"{kind}_{mac.hexdigest()[:32]}"
