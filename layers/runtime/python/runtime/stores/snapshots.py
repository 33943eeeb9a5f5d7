"""What a decision looks at, read in one call: the states of its keys, and its merchant's settings beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fraud.features import Key
from fraud.state import State
from runtime.stores.documents import ItemKey
from runtime.stores.features import DynamoFeatureStore, FeatureStore
from runtime.stores.settings import MemorySettingsStore

__all__ = ["DynamoSnapshots", "MemorySnapshots", "Snapshot", "Snapshots"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was found.

    Attributes
    ----------
    states : dict of Key to State
        Of those keys that have one; not to be changed.
    settings : dict of ItemKey to DynamoDB item
        Those that exist.
    """

    states: dict[Key, State]
    settings: dict[ItemKey, Any]


class Snapshots(Protocol):
    """Reads states and settings together."""

    def read(self, keys: Sequence[Key], settings: Sequence[ItemKey] = ()) -> Snapshot: ...


class DynamoSnapshots:
    """One BatchGetItem over both tables."""

    def __init__(self, features: DynamoFeatureStore, settings_table: str) -> None:
        self._features = features
        self._table = settings_table

    def read(self, keys: Sequence[Key], settings: Sequence[ItemKey] = ()) -> Snapshot:
        wanted = {self._table: {"Keys": [{"id": {"S": id_}, "part": {"S": part}} for id_, part in settings]}}
        states, items = self._features.read_beside(keys, wanted if settings else {})
        return Snapshot(states, _by_key(items.get(self._table, ())))


class MemorySnapshots:
    """The same over stores in this process."""

    def __init__(self, features: FeatureStore, settings: MemorySettingsStore | None = None) -> None:
        self._features = features
        self._settings = settings if settings is not None else MemorySettingsStore()

    def read(self, keys: Sequence[Key], settings: Sequence[ItemKey] = ()) -> Snapshot:
        states = {key: versioned.state for key, versioned in self._features.read(keys).items()}
        return Snapshot(states, _by_key(self._settings.items(settings)))


def _by_key(items: Iterable[Any]) -> dict[ItemKey, Any]:
    return {(item["id"]["S"], item["part"]["S"]): item for item in items}
