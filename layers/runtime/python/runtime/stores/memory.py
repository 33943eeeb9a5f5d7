"""The feature store in this process: what tests hold against the table."""

import threading
from collections.abc import Iterable, Sequence

import msgspec

from fraud.codec import decode, encode
from fraud.features import Key
from runtime.stores.generations import Generations
from runtime.stores.states import ByGeneration, FeatureStore, Marker, Versioned
from runtime.stores.transactions import MOST_ITEMS, ConflictError

__all__ = ["MemoryFeatureStore"]


class MemoryFeatureStore(FeatureStore):
    """States are kept packed, as in the table."""

    def __init__(self) -> None:
        self._states: dict[tuple[int, Key], tuple[bytes, int]] = {}
        self._markers: dict[str, Marker] = {}
        self._generations = Generations()
        self._lock = threading.Lock()

    def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
        with self._lock:
            number = self._generations.serving.number if generation is None else generation
            found = {key: self._states[number, key] for key in keys if (number, key) in self._states}
        return {key: Versioned(decode(packed), version) for key, (packed, version) in found.items()}

    def look(self, event_ids: Iterable[str]) -> tuple[Generations, dict[str, str]]:
        with self._lock:
            digests = {name: self._markers[name].digest for name in event_ids if name in self._markers}
            return self._generations, digests

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        del expires_at  # memory forgets everything when the process ends
        flat = {(number, key): each for number, several in states.items() for key, each in several.items()}
        if len(markers) + len(flat) > MOST_ITEMS:
            raise ValueError(f"a transaction carries at most {MOST_ITEMS} items; commit in smaller chunks")
        if len({marker.event_id for marker in markers}) < len(markers) or not (markers or flat):
            raise ValueError("a transaction carries at least one item, and each of them once")
        # Packed before anything is written: what cannot be packed must leave nothing behind.
        form = self._generations.form
        packed = {place: (encode(each.state, form), each.version + 1) for place, each in flat.items()}
        with self._lock:
            for marker in markers:
                if marker.event_id in self._markers:
                    raise ConflictError(f"event {marker.event_id} was applied before")
            for place, each in flat.items():
                if self._states.get(place, (b"", 0))[1] != each.version:
                    raise ConflictError(f"state {place[1]} moved")
            self._markers.update({marker.event_id: marker for marker in markers})
            self._states.update(packed)

    def change(self, before: Generations, after: Generations) -> Generations:
        with self._lock:
            if self._generations.revision != before.revision:
                raise ConflictError("the generations were changed by someone else; read them again")
            self._generations = msgspec.structs.replace(after, revision=before.revision + 1)
            return self._generations
