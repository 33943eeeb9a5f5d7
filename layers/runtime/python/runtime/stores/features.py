"""The online feature store: packed states and the markers of the events folded into them."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from fraud.codec import decode, encode
from fraud.features import Key
from fraud.state import State
from runtime.stores.batches import batch_get

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["ConflictError", "DynamoFeatureStore", "FeatureStore", "Marker", "MemoryFeatureStore", "Versioned"]

MOST_ITEMS = 100
"""How many items one DynamoDB transaction may carry."""


class ConflictError(RuntimeError):
    """Someone else wrote one of the states or markers first: read again and fold again."""


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
    """States by key, read in one round trip and written all or nothing with the markers of their events."""

    def read(self, keys: Sequence[Key]) -> dict[Key, Versioned]:
        """The states of those keys that have one."""
        ...

    def digests(self, event_ids: Iterable[str]) -> dict[str, str]:
        """The payload digests of those events that were applied."""
        ...

    def commit(self, markers: Sequence[Marker], states: Mapping[Key, Versioned], *, expires_at: int) -> None:
        """Write new states and markers together, or nothing.

        Parameters
        ----------
        markers : sequence of Marker
            Of events that were not applied before.
        states : mapping of Key to Versioned
            The new state, with the version that the old one was read at.
        expires_at : int
            Epoch seconds after which nothing here can be read by any window.

        Raises
        ------
        ConflictError
            If a marker exists or a state's version moved; nothing was written.
        """
        ...


class DynamoFeatureStore:
    """One table: states under ``s#entity#token#shard``, markers under ``m#event``."""

    def __init__(self, client: "DynamoDBClient", table: str, *, consistent: bool) -> None:
        self._client = client
        self._table = table
        self._consistent = consistent

    def read(self, keys: Sequence[Key]) -> dict[Key, Versioned]:
        names = {f"s#{key}": key for key in keys}
        items = self._get(names, "#k, #s, #v", {"#k": "key", "#s": "state", "#v": "version"})
        return {
            names[item["key"]["S"]]: Versioned(decode(item["state"]["B"]), int(item["version"]["N"]))
            for item in items
        }

    def digests(self, event_ids: Iterable[str]) -> dict[str, str]:
        names = {f"m#{event_id}": event_id for event_id in event_ids}
        items = self._get(names, "#k, #d", {"#k": "key", "#d": "digest"})
        return {names[item["key"]["S"]]: item["digest"]["S"] for item in items}

    def commit(self, markers: Sequence[Marker], states: Mapping[Key, Versioned], *, expires_at: int) -> None:
        expiry = {"N": str(expires_at)}
        puts: list[Any] = [self._put_marker(marker, expiry) for marker in markers]
        puts += [self._put_state(key, versioned, expiry) for key, versioned in states.items()]
        try:
            self._client.transact_write_items(TransactItems=puts)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("TransactionCanceledException", "TransactionInProgressException"):
                raise ConflictError(str(error)) from error
            raise

    def _get(self, names: Iterable[str], projection: str, aliases: dict[str, str]) -> list[Any]:
        return batch_get(
            self._client,
            self._table,
            [{"key": {"S": name}} for name in names],
            ConsistentRead=self._consistent,
            ProjectionExpression=projection,
            ExpressionAttributeNames=aliases,
        )

    def _put_marker(self, marker: Marker, expiry: dict[str, str]) -> dict[str, Any]:
        item = {
            "key": {"S": f"m#{marker.event_id}"},
            "digest": {"S": marker.digest},
            "recorded_at": {"N": str(marker.recorded_at)},
            "applied_at": {"N": str(marker.applied_at)},
            "expires_at": expiry,
        }
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(#k)",
                "ExpressionAttributeNames": {"#k": "key"},
            }
        }

    def _put_state(self, key: Key, versioned: Versioned, expiry: dict[str, str]) -> dict[str, Any]:
        item = {
            "key": {"S": f"s#{key}"},
            "state": {"B": encode(versioned.state)},
            "version": {"N": str(versioned.version + 1)},
            "expires_at": expiry,
        }
        put: dict[str, Any] = {"TableName": self._table, "Item": item}
        if versioned.version:
            put["ConditionExpression"] = "#v = :read"
            put["ExpressionAttributeNames"] = {"#v": "version"}
            put["ExpressionAttributeValues"] = {":read": {"N": str(versioned.version)}}
        else:
            put["ConditionExpression"] = "attribute_not_exists(#k)"
            put["ExpressionAttributeNames"] = {"#k": "key"}
        return {"Put": put}


class MemoryFeatureStore:
    """The same, in this process; states are kept packed, as in the table."""

    def __init__(self) -> None:
        self._states: dict[Key, tuple[bytes, int]] = {}
        self._markers: dict[str, Marker] = {}
        self._lock = threading.Lock()

    def read(self, keys: Sequence[Key]) -> dict[Key, Versioned]:
        with self._lock:
            found = {key: self._states[key] for key in keys if key in self._states}
        return {key: Versioned(decode(packed), version) for key, (packed, version) in found.items()}

    def digests(self, event_ids: Iterable[str]) -> dict[str, str]:
        with self._lock:
            return {name: self._markers[name].digest for name in event_ids if name in self._markers}

    def commit(self, markers: Sequence[Marker], states: Mapping[Key, Versioned], *, expires_at: int) -> None:
        del expires_at  # memory forgets everything when the process ends
        if len(markers) + len(states) > MOST_ITEMS:
            raise ValueError(f"a transaction carries at most {MOST_ITEMS} items; commit in smaller chunks")
        if len({marker.event_id for marker in markers}) < len(markers) or not (markers or states):
            raise ValueError("a transaction carries at least one item, and each of them once")
        # Packed before anything is written: what cannot be packed must leave nothing behind.
        packed = {key: (encode(versioned.state), versioned.version + 1) for key, versioned in states.items()}
        with self._lock:
            for marker in markers:
                if marker.event_id in self._markers:
                    raise ConflictError(f"event {marker.event_id} was applied before")
            for key, versioned in states.items():
                if self._states.get(key, (b"", 0))[1] != versioned.version:
                    raise ConflictError(f"state {key} moved")
            self._markers.update({marker.event_id: marker for marker in markers})
            self._states.update(packed)
