"""Seeded randomness: independent streams, opaque tokens, weighted choice."""

from random import Random
from string import ascii_lowercase

__all__ = ["stream", "token"]


def stream(seed: int, *names: object) -> Random:
    """Return the stream of random numbers that belongs to `names` under `seed`.

    A stream per purpose keeps worlds comparable: adding a campaign does not reshuffle the customers.
    Seeding with text is the same on every platform (Python hashes it with SHA-512).
    """
    return Random(":".join(map(str, (seed, *names))))  # noqa: S311 - a simulation, not a secret


def token(rng: Random, prefix: str, length: int = 14) -> str:
    """Return an opaque identifier made of letters, so that none can ever read as a card number."""
    return prefix + "".join(rng.choices(ascii_lowercase, k=length))
