"""What every feature store is: packed states by generation, and the markers of the events folded into them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fraud.features import Key
from fraud.state import State
from runtime.stores.generations import FIRST, Generations

__all__ = ["ByGeneration", "FeatureStore", "Marker", "Versioned"]

type ByGeneration = Mapping[int, Mapping[Key, "Versioned"]]
"""States by the number of their generation."""


@dataclass(frozen=True, slots=True)
class Marker:
    """That an event was applied, and which payload it had.

    Attributes
    ----------
    recorded_at, applied_at : int
        Wall-clock milliseconds at which the event was recorded, and folded into the states.
    """

    event_id: str
    digest: str
    recorded_at: int
    applied_at: int


@dataclass(frozen=True, slots=True)
class Versioned:
    """A state and the version it was read at; 0 for one that does not exist yet."""

    state: State
    version: int = 0


class FeatureStore(Protocol):
    """States by key, read in one round trip and written all or nothing with the markers of their events.

    Everything that talks to DynamoDB may raise `ThrottledError`.
    """

    def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
        """The states of those keys that have one, in a generation; by default in the one that serves."""
        ...

    def look(self, event_ids: Iterable[str]) -> tuple[Generations, dict[str, str]]:
        """The generations, and the payload digests of those events that were applied."""
        ...

    def digests(self, event_ids: Iterable[str]) -> dict[str, str]:
        """The payload digests of those events that were applied."""
        return self.look(event_ids)[1]

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        """Write new states and markers together, or nothing; packed as the last `look` said.

        Parameters
        ----------
        markers : sequence of Marker
            Of events that were not applied before.
        states : mapping of generation to mapping of Key to Versioned
            The new states, with the versions that the old ones were read at.
        expires_at : int
            Epoch seconds after which nothing here can be read by any window.

        Raises
        ------
        ConflictError
            If a marker exists or a state's version moved; nothing was written.
        RefusedError
            If the store will never take one of the items; nothing was written.
        """
        ...

    def commit(
        self,
        markers: Sequence[Marker],
        states: Mapping[Key, Versioned],
        *,
        expires_at: int,
        generation: int = FIRST,
    ) -> None:
        """Write states of one generation, and markers; as `write`."""
        self.write(markers, {generation: states}, expires_at=expires_at)

    def change(self, before: Generations, after: Generations) -> Generations:
        """Write the generations anew, and return them as they stand then.

        Raises
        ------
        ConflictError
            If they are no longer what they were; nothing was written.
        """
        ...
