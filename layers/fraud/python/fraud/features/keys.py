"""Keys of states, and the hashes that every engine shares."""

import hashlib
from dataclasses import dataclass

__all__ = ["Key", "hash40", "hash64", "shard_of"]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The key of one shard of one entity's state."""

    entity: str
    token: str
    shard: int = 0

    def __str__(self) -> str:
        return f"{self.entity}#{self.token}#{self.shard}"


def hash64(value: str) -> int:
    """A stable 64-bit hash, the same on every machine and in every engine (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little")


def hash40(value: str) -> int:
    """A stable 40-bit hash for distinct values.

    Two of the 64 values that a state keeps share one with a probability of 2e-9 (n^2 / 2^41).
    """
    return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=5).digest(), "little")


def shard_of(event_id: str, shards: int) -> int:
    """The shard that an event is folded into; a duplicate lands in the same one."""
    return hash64(event_id) % shards if shards > 1 else 0
