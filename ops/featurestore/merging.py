"""States folded from history, merged into what live traffic wrote: each chunk once, however often it is tried."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Final, NoReturn

from fraud.bundle import digest
from fraud.codec import encode
from fraud.features import FeatureSet, Key
from fraud.state import State
from runtime.stores.batches import ThrottledError
from runtime.stores.features import MOST_ITEMS, ConflictError, FeatureStore, Marker, Versioned
from runtime.stores.generations import Generations

__all__ = ["BusyError", "OtherStatesError", "chunks", "fingerprint", "merge"]

_ATTEMPTS: Final = 40
_BUSY_CHUNK: Final = 4
"""States of busy keys in a transaction: live traffic seldom leaves more of them alone at once."""

_MARKERS: Final = 2
"""At most, of a chunk: that it was written, and that it was the last one."""


class BusyError(Exception):
    """Live traffic won every race for the states of a chunk, or DynamoDB throttled them all."""


class OtherStatesError(Exception):
    """A chunk was written before, and what was folded for it now is something else."""


def chunks(states: Mapping[Key, State], features: FeatureSet) -> Iterator[tuple[Key, ...]]:
    """Keys in the order of their names, those of busy entities (which have shards) in small chunks."""
    busy = {entity.name for entity in features.entities if entity.shards > 1}
    keys = sorted(states)
    yield from batched([key for key in keys if key.entity not in busy], MOST_ITEMS - _MARKERS, strict=False)
    yield from batched([key for key in keys if key.entity in busy], _BUSY_CHUNK, strict=False)


def merge(
    store: FeatureStore,
    markers: Sequence[Marker],
    folded: Mapping[Key, State],
    *,
    generation: int,
    features: FeatureSet,
    sleep: Callable[[float], None],
    still: Callable[[Generations], object],
) -> bool:
    """Merge a chunk of states into a generation, together with its markers.

    Parameters
    ----------
    markers : sequence of Marker
        The first names the chunk and carries its fingerprint.
    sleep : callable
        Waits for so many seconds, after a race that was lost.
    still : callable
        Given the generations at each attempt; raises if the chunk is not to be written any more.

    Returns
    -------
    bool
        False if the chunk was written before.

    Raises
    ------
    BusyError
        If every attempt lost a race or was throttled; nothing was written.
    OtherStatesError
        If other states were written under the chunk's name.
    """
    name, expected = markers[0].event_id, markers[0].digest
    for attempt in range(_ATTEMPTS):
        try:
            generations, known = store.look([name])
            still(generations)
            if name in known:
                return False if known[name] == expected else _refuse(name)
            merged = {key: Versioned(state) for key, state in folded.items()}
            for key, found in store.read(list(folded), generation=generation).items():
                found.state.merge(features.layouts[key.entity], folded[key])
                merged[key] = found
            newest = max((each.state.newest for each in merged.values()), default=0)
            expires_at = (max(newest, markers[0].applied_at) + 2 * features.retention) // 1_000
            store.commit(markers, merged, expires_at=expires_at, generation=generation)
        except (ConflictError, ThrottledError):
            sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 - spreads retries only
        else:
            return True
    raise BusyError(
        f"{name}: states kept changing, or DynamoDB throttles; run this again: it goes on where it was"
    )


def fingerprint(states: Mapping[Key, State]) -> str:
    """A digest of states: equal for equal states only."""
    return digest(b"".join(str(key).encode() + encode(state) for key, state in sorted(states.items())))[:32]


def _refuse(name: str) -> NoReturn:
    raise OtherStatesError(f"{name} was applied with other states, by another version of this code")
