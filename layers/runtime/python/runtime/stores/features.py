"""The online feature store, in DynamoDB and in memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError

from fraud.codec import VERSION, decode, encode
from fraud.features import Key
from fraud.state import State
from runtime.stores.batches import batch_get
from runtime.stores.generations import FIRST, Generations
from runtime.stores.memory import MemoryFeatureStore
from runtime.stores.states import ByGeneration, FeatureStore, Marker, Versioned
from runtime.stores.transactions import MOST_ITEMS, ConflictError, transact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = [
    "MOST_ITEMS",
    "ConflictError",
    "DynamoFeatureStore",
    "FeatureStore",
    "Marker",
    "MemoryFeatureStore",
    "Versioned",
]

CONTROL = "generations"
"""The key of the item that says which generations there are."""


class DynamoFeatureStore(FeatureStore):
    """One table: states under ``s<generation>#entity#token#shard``, markers under ``m#event``.

    The generations are one item. A read of the serving generation asks for that item along with the states of the
    generation that it saw last, and asks once more if another one serves by now.
    """

    def __init__(self, client: "DynamoDBClient", table: str, *, consistent: bool) -> None:
        self._client = client
        self._table = table
        self._consistent = consistent
        self._serving = FIRST
        self._form = VERSION

    def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
        if generation is not None:
            return {key: _versioned(item) for key, item in self._read(keys, generation)[0].items()}
        asked = self._serving
        items, self._serving, _ = self._read(keys, asked, control=True)
        if self._serving != asked:
            items, _, _ = self._read(keys, self._serving)
        return {key: _versioned(item) for key, item in items.items()}

    def read_beside(
        self, keys: Sequence[Key], others: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[Key, State], dict[str, list[Any]]]:
        """The states that serve, to be looked at only, and items of other tables, in the same call.

        Parameters
        ----------
        others : mapping of table to what `batch_get` wants of it

        Returns
        -------
        tuple of the states by key, and the items by table
        """
        asked = self._serving
        found, self._serving, items = self._read(keys, asked, control=True, versions=False, others=others)
        if self._serving != asked:
            found, _, _ = self._read(keys, self._serving, versions=False)
        return {key: decode(item["state"]["B"], shared=True) for key, item in found.items()}, items

    def look(self, event_ids: Iterable[str]) -> tuple[Generations, dict[str, str]]:
        names = {f"m#{event_id}": event_id for event_id in event_ids}
        wanted = self._wanted([CONTROL, *names], "#k, #d, document", {"#k": "key", "#d": "digest"})
        items = batch_get(self._client, {self._table: wanted})[self._table]
        generations = Generations()
        digests = {}
        for item in items:
            if item["key"]["S"] == CONTROL:
                generations = msgspec.json.decode(item["document"]["S"], type=Generations)
            else:
                digests[names[item["key"]["S"]]] = item["digest"]["S"]
        self._form = generations.form
        return generations, digests

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        expiry = {"N": str(expires_at)}
        puts: list[Any] = [self._put_marker(marker, expiry) for marker in markers]
        puts += [
            self._put_state(f"s{number}#{key}", versioned, expiry)
            for number, several in states.items()
            for key, versioned in several.items()
        ]
        transact(self._client, puts)

    def change(self, before: Generations, after: Generations) -> Generations:
        new = msgspec.structs.replace(after, revision=before.revision + 1)
        item = {
            "key": {"S": CONTROL},
            "serving": {"N": str(new.serving.number)},
            "version": {"N": str(new.revision)},
            "document": {"S": msgspec.json.encode(new).decode()},
        }
        try:
            self._client.put_item(**self._unmoved(item, before.revision))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise ConflictError("the generations were changed by someone else; read them again") from error
            raise
        return new

    def _read(
        self,
        keys: Sequence[Key],
        generation: int,
        *,
        control: bool = False,
        versions: bool = True,
        others: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> tuple[dict[Key, Any], int, dict[str, list[Any]]]:
        """Items of a generation, the number of the one that serves if that was asked for, and others' items."""
        names = {f"s{generation}#{key}": key for key in keys}
        asked = [*names, CONTROL] if control and names else list(names)
        aliases = {"#k": "key", "#s": "state"} | ({"#v": "version"} if versions else {})
        own = self._wanted(asked, ", ".join([*aliases, "serving"]), aliases)
        items = batch_get(self._client, {self._table: own, **(others or {})})
        serving = generation if not asked else FIRST
        found = {}
        for item in items.pop(self._table):
            if item["key"]["S"] == CONTROL:
                serving = int(item["serving"]["N"])
            else:
                found[names[item["key"]["S"]]] = item
        return found, serving, items

    def _wanted(self, names: Sequence[str], projection: str, aliases: dict[str, str]) -> dict[str, Any]:
        return {
            "Keys": [{"key": {"S": name}} for name in names],
            "ConsistentRead": self._consistent,
            "ProjectionExpression": projection,
            "ExpressionAttributeNames": aliases,
        }

    def _put_marker(self, marker: Marker, expiry: dict[str, str]) -> dict[str, Any]:
        item = {
            "key": {"S": f"m#{marker.event_id}"},
            "digest": {"S": marker.digest},
            "recorded_at": {"N": str(marker.recorded_at)},
            "applied_at": {"N": str(marker.applied_at)},
            "expires_at": expiry,
        }
        return {"Put": self._unmoved(item, 0)}

    def _put_state(self, name: str, versioned: Versioned, expiry: dict[str, str]) -> dict[str, Any]:
        item = {
            "key": {"S": name},
            "state": {"B": encode(versioned.state, self._form)},
            "version": {"N": str(versioned.version + 1)},
            "expires_at": expiry,
        }
        return {"Put": self._unmoved(item, versioned.version)}

    def _unmoved(self, item: dict[str, Any], version: int) -> dict[str, Any]:
        """A put of an item that is still at a version, or does not exist at version 0."""
        put: dict[str, Any] = {"TableName": self._table, "Item": item}
        if version:
            put["ConditionExpression"] = "#v = :read"
            put["ExpressionAttributeNames"] = {"#v": "version"}
            put["ExpressionAttributeValues"] = {":read": {"N": str(version)}}
        else:
            put["ConditionExpression"] = "attribute_not_exists(#k)"
            put["ExpressionAttributeNames"] = {"#k": "key"}
        return put


def _versioned(item: Any) -> Versioned:
    return Versioned(decode(item["state"]["B"]), int(item["version"]["N"]))
