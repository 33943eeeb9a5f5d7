"""What is kept under tokens and can be deleted: the states of features, and the entries of lists."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import batched, product
from typing import Any

import msgspec

from fraud.events import Transaction
from fraud.features import STANDARD, FeatureSet, Key
from fraud.tokens import IDENTIFIERS
from ops.deployment import Deployment
from ops.persons.errors import ErasureError
from runtime.stores.batches import batch_get
from runtime.stores.entries import MOST_ENTRIES
from runtime.stores.generations import FIRST
from runtime.stores.settings import SettingsStore

__all__ = ["delete_entries", "delete_states", "keys_of"]

_AT_ONCE = 25
"""Items that DynamoDB deletes in one call."""

_ROUNDS = 8

_NOBODY = Transaction(
    transaction_id="", merchant_id="", event_time=0, amount=0, currency="", card="", customer="", channel=""
)


def keys_of(features: FeatureSet, tokens: Iterable[str], merchants: Sequence[str]) -> list[Key]:
    """The keys of every state that is about nothing but tokens: alone, with each other, or at a merchant."""
    values: dict[str, Sequence[str]] = {**_by_field(tokens), "merchant_id": merchants}
    return [
        Key(entity.name, token, shard)
        for entity in features.entities
        if not IDENTIFIERS.keys().isdisjoint(entity.fields)
        for parts in product(*(values.get(field, ()) for field in entity.fields))
        if (token := entity.token(_with(entity.fields, parts)))
        for shard in range(entity.shards)
    ]


def delete_states(deployment: Deployment, tokens: Iterable[str], merchants: Sequence[str]) -> int:
    """Delete the states of tokens in every generation; return how many there were.

    Raises
    ------
    ErasureError
        If DynamoDB leaves some undeleted; run it again.
    """
    client, table = deployment.client("dynamodb"), deployment["FeaturesTable"]
    generations, _ = deployment.features().look(())
    names = [
        f"s{number}#{key}"
        for key in keys_of(STANDARD, tokens, merchants)
        for number in range(FIRST, generations.latest + 1)
    ]
    wanted = {
        "Keys": [{"key": {"S": name}} for name in names],
        "ConsistentRead": True,
        "ProjectionExpression": "#k",
        "ExpressionAttributeNames": {"#k": "key"},
    }
    there = [item["key"] for item in batch_get(client, {table: wanted})[table]] if names else []
    for several in batched(there, _AT_ONCE, strict=False):
        _delete(client, table, several)
    return len(there)


def delete_entries(
    store: SettingsStore, tokens: Iterable[str], merchants: Iterable[str], *, now: int, by: str
) -> int:
    """Take tokens off every list of every merchant; return how many entries there were.

    The audit trail, which nobody can erase from, is told how many of each list and not which.

    Parameters
    ----------
    now : int
        Milliseconds since the epoch.
    by : str
        Who does it, for the audit trail.
    """
    by_field = _by_field(tokens)
    return sum(
        len(store.change_entries(merchant, list_key, field, now=now, by=by, remove=several, named=False).removed)
        for merchant in merchants
        for field, values in by_field.items()
        for list_key, listed in _listed(store.lists_with(merchant, field, values)).items()
        for several in batched(listed, MOST_ENTRIES, strict=False)
    )


def _listed(found: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The values that are on each list."""
    lists: dict[str, list[str]] = {}
    for value, keys in found.items():
        for key in keys:
            lists.setdefault(key, []).append(value)
    return lists


def _by_field(tokens: Iterable[str]) -> dict[str, list[str]]:
    fields = {kind: field for field, kind in IDENTIFIERS.items()}
    found: dict[str, list[str]] = {}
    for token in tokens:
        found.setdefault(fields[token.partition("_")[0]], []).append(token)
    return found


def _with(fields: Sequence[str], parts: Sequence[str]) -> Transaction:
    return msgspec.structs.replace(_NOBODY, **dict(zip(fields, parts, strict=True)))


def _delete(client: Any, table: str, keys: Iterable[Any]) -> None:
    request: Any = {table: [{"DeleteRequest": {"Key": {"key": key}}} for key in keys]}
    for _ in range(_ROUNDS):
        request = client.batch_write_item(RequestItems=request).get("UnprocessedItems")
        if not request:
            return
    raise ErasureError("DynamoDB throttles; run `paywarden erase finish` again while there is less traffic")
