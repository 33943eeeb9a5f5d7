"""Turning what identifies people into tokens that only this deployment can link, under keys that change.

The keys are puncturable: what one person's tokens are made with can be deleted, and everybody else's stay.
"""

import hashlib
import hmac
from collections.abc import Callable, Hashable, Iterable, Mapping
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from fraud.events import Transaction
from fraud.puncturable import PuncturableKey

__all__ = [
    "IDENTIFIERS",
    "KeyTrees",
    "Keyring",
    "KeyringError",
    "Sealed",
    "Tokeniser",
    "changed",
    "digest_of",
    "identified",
    "of_both",
]

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
        By name; each of at least 32 bytes, or empty if its trees are an object of their own. One or two of them.
    activates_at : int
        Milliseconds since the epoch, UTC. What was received earlier gets tokens under the key before, whichever
        process looks at it and whenever it learnt of the new key.
    until : int
        Milliseconds since the epoch, UTC: the end of the overlap. What is received from then on is not looked up
        under the key before any more.
    trees : str
        The SHA-256 of the object that holds the trees of the keys that are empty here; see `KeyTrees`.
    erased : str
        The SHA-256 of the object that names the tokens whose traces are still to be deleted; empty without one.
    erased_at : int
        Milliseconds since the epoch, UTC: when these tokens were made impossible.
    """

    current: str
    keys: dict[str, str]
    activates_at: int = 0
    until: int = 0
    trees: str = ""
    erased: str = ""
    erased_at: int = 0

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
        if any(key and len(key.encode()) < _SHORTEST for key in self.keys.values()):
            raise KeyringError(f"token key: at least {_SHORTEST} bytes are needed; let the deployment generate it")
        if len(self.keys) == 2 and self.activates_at >= self.until:
            raise KeyringError("token secret: the overlap of its keys ends before it begins")
        if not self.trees and not all(self.keys.values()):
            raise KeyringError("token secret: a key is empty, and no object is named that holds it")

    def __repr__(self) -> str:
        return f"Keyring(current={self.current!r}, activates_at={self.activates_at}, until={self.until})"

    @property
    def before(self) -> str:
        """The name of the key before the current one; empty if that one is gone."""
        return next((name for name in self.keys if name != self.current), "")

    def text(self) -> str:
        """The ring as the secret holds it."""
        return msgspec.json.encode(self).decode()


class KeyTrees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys that are too large for the secret, or were never to be in it: an object, named by its digest.

    Attributes
    ----------
    keys : dict of str to PuncturableKey
        By the names that they have in the ring.
    """

    keys: dict[str, PuncturableKey]

    @classmethod
    def parse(cls, content: bytes, digest: str) -> "KeyTrees":
        """Read an object that a ring names.

        Raises
        ------
        KeyringError
            If it is not the one that the ring means.
        """
        if not hmac.compare_digest(digest_of(content), digest):
            raise KeyringError("token keys: the object of the trees is not the one that the secret names")
        try:
            return msgspec.msgpack.decode(content, type=cls)
        except msgspec.MsgspecError:
            raise KeyringError("token keys: the object that the secret names holds no trees") from None

    def content(self) -> bytes:
        """The object's bytes."""
        return msgspec.msgpack.encode(self)


def digest_of(content: bytes) -> str:
    """The name of an object in a ring: its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


class Sealed(NamedTuple):
    """A transaction under tokens, and a secret of all who are identified in it.

    Attributes
    ----------
    secret : bytes
        32 bytes that nobody can make any more once one of these identifiers is erased. A digest of raw values is
        made under it; the secret itself is stored nowhere. Without an identifier it is the same for every
        transaction: there is nobody to hide.
    """

    transaction: Transaction
    secret: bytes


class Tokeniser:
    """Keyed tokens (128 bits) of cards, customers, devices, addresses, emails and telephones.

    Parameters
    ----------
    keys : Keyring or bytes
        The deployment's keys, or the only one.
    trees : KeyTrees, optional
        Those that the ring names.

    Raises
    ------
    KeyringError
        If a key is too short, or neither in the ring nor among the trees.
    """

    def __init__(self, keys: Keyring | bytes, trees: KeyTrees | None = None) -> None:
        self.keyring = keys if isinstance(keys, Keyring) else Keyring.parse(keys.decode())
        kept = {} if trees is None else trees.keys
        if missing := [name for name, text in self.keyring.keys.items() if not text and name not in kept]:
            raise KeyringError(f"token keys: the object that the secret names has no trees of key {missing[0]}")
        self.keys: Mapping[str, PuncturableKey] = {
            name: PuncturableKey.of(text) if text else kept[name] for name, text in self.keyring.keys.items()
        }
        """Every key of the ring, by name."""
        self._current = self.keys[self.keyring.current]
        self._before = self.keys.get(self.keyring.before)

    def apply(self, raw: Transaction, *, at: int | None = None) -> Transaction:
        """A transaction as merchants send it, with every identifier replaced by its token.

        A customer's id is the merchant's own, so its token is the merchant's own too; cards, devices,
        addresses, emails and telephones are the same thing at every merchant.

        Parameters
        ----------
        at : int, optional
            The moment whose key counts, in ms; that of the transaction's receipt by default.
        """
        return _sealed(self._key(raw.event_time if at is None else at), raw).transaction

    def previous(self, raw: Transaction, *, at: int | None = None) -> Transaction | None:
        """The same under the key before, while the keys overlap; None at any other time."""
        if self._before is None or not self.overlaps(raw.event_time if at is None else at):
            return None
        return _sealed(self._before, raw).transaction

    def sealed(self, raw: Transaction) -> tuple[Sealed, ...]:
        """What `apply` gives, and the same under the other key of the ring if there is one, each with its secret.

        Whatever the time: who repeats a request may have been received under the other one.
        """
        first = self._key(raw.event_time)
        others = [each for each in self.keys.values() if each is not first]
        return tuple(_sealed(each, raw) for each in (first, *others))

    def overlaps(self, moment: int) -> bool:
        """Whether what is received at a moment is looked up under the key before as well."""
        return self._before is not None and self.keyring.activates_at <= moment < self.keyring.until

    def token(self, kind: str, value: str) -> str:
        """The token of one value under the current key; empty for an empty value."""
        return _token(self._current, kind, value)

    def tokens(self, values: Iterable[tuple[str, str]]) -> list[str]:
        """The tokens that values have under any of the keys, whatever the time.

        Parameters
        ----------
        values : iterable of tuple of str and str
            Kinds and what the tokens are made of, as `identified` gives both.
        """
        pairs = list(values)
        return list(dict.fromkeys(_token(key, *each) for each in pairs for key in self.keys.values()))

    def punctured(self, values: Iterable[tuple[str, str]], fresh: Callable[[], bytes]) -> KeyTrees:
        """The keys without what the tokens of values are made with; see `PuncturableKey.punctured`."""
        gone = [_message(*each) for each in values]
        return KeyTrees({name: key.punctured(gone, fresh) for name, key in self.keys.items()})

    def _key(self, moment: int) -> PuncturableKey:
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


def identified(raw: Transaction) -> dict[str, tuple[str, str]]:
    """What identifies people in a transaction, by field: the kind of its token, and what the token is made of."""
    values = {
        "card": raw.card,
        "customer": f"{raw.merchant_id}\0{raw.customer}" if raw.customer else "",
        "device": raw.device,
        "ip": _one_spelling(raw.ip),
        "email": raw.email.strip().lower(),
        "phone": raw.phone,
    }
    return {name: (IDENTIFIERS[name], value) for name, value in values.items()}


def _sealed(key: PuncturableKey, raw: Transaction) -> Sealed:
    tokens, secrets = dict.fromkeys(IDENTIFIERS, ""), []
    for name, (kind, value) in identified(raw).items():
        if value:
            tag, secret = key.tag_and_secret(_message(kind, value))
            tokens[name] = f"{kind}_{tag}"
            secrets.append(secret)
    secret = hashlib.blake2b(b"".join(secrets), digest_size=32).digest()
    return Sealed(msgspec.structs.replace(raw, **tokens), secret)


def _one_spelling(ip: str) -> str:
    """An address as everybody would write it: IPv6 has many spellings of one."""
    try:
        return str(IPv6Address(ip)) if ":" in ip else ip
    except ValueError:
        return ip


def _message(kind: str, value: str) -> bytes:
    return f"{kind}\0{value}".encode()


def _token(key: PuncturableKey, kind: str, value: str) -> str:
    return f"{kind}_{key.tag(_message(kind, value))}" if value else ""
