"""Two generations of states, compared while live traffic goes on: byte for byte, where they have one packed form.

A state that differs is read once more: an event may have been folded between the reads of both sides, which one
transaction writes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fraud.codec import CorruptStateError, decode
from ops import scanning
from ops.deployment import Deployment
from ops.scanning import SEGMENTS
from runtime.stores.batches import batch_get

__all__ = ["Comparison", "compare", "forget", "key_of", "pages"]

_PAIRS: Final = 50
"""Keys of which both states are read in one BatchGetItem of 100 items."""

MOST_NAMED: Final = 20


@dataclass(slots=True)
class Comparison:
    """How the states of a generation compare with those that serve.

    Attributes
    ----------
    equal, different : int
    new : int
        There, and not among those that serve.
    gone : int
        Served, and not there: nothing in history is about them within what windows look back.
    entities : Counter of str
        Of the keys that differ, are new or gone, by entity.
    keys : list of str
        Some of those that differ, by their names.
    unreadable : list of str
        Keys whose state that serves is no state at all: nothing can be folded into it.
    """

    equal: int = 0
    different: int = 0
    new: int = 0
    gone: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    keys: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def changes(self) -> int:
        """Keys whose state will be another one after a switch."""
        return self.different + self.new + self.gone


def compare(
    deployment: Deployment,
    *,
    serving: int,
    built: int,
    progress: Callable[[int], None] = lambda _seen: None,
) -> Comparison:
    """Compare every state of a generation with the one that serves under its key.

    Parameters
    ----------
    serving, built : int
        Numbers of generations.
    progress : callable
        Called with how many states were looked at.
    """
    table, client = deployment["FeaturesTable"], deployment.client("dynamodb")
    found = Comparison()
    seen = 0
    for items in pages(client, table):
        keys = {key_of(item["key"]["S"]) for item in items}
        here = sorted({key for number, key in keys if number == built})
        # Those of the other side are looked at here only if they have no counterpart.
        there = sorted({key for number, key in keys if number == serving})
        for key, (old, new) in _pairs(client, table, here, serving=serving, built=built):
            if old is not None and old != new and not _readable(old):
                found.unreadable.append(key)
            if old is None:
                found.new += 1
            elif _alike(old, new):
                found.equal += 1
                continue
            else:
                found.different += 1
            _note(found, key)
        for key, (old, new) in _pairs(client, table, there, serving=serving, built=built):
            if old is not None and new is None:
                if not _readable(old):
                    found.unreadable.append(key)
                found.gone += 1
                _note(found, key)
        seen += len(here) + len(there)
        progress(seen)
    return found


def pages(
    client: Any, table: str, *, segments: Sequence[int] = range(SEGMENTS), total: int = SEGMENTS
) -> Iterator[Any]:
    """The names of all items of the feature table that hold states, a page of each segment at a time."""
    return scanning.pages(
        client,
        segments=segments,
        total=total,
        TableName=table,
        FilterExpression="attribute_exists(#s)",
        ProjectionExpression="#k",
        ExpressionAttributeNames={"#k": "key", "#s": "state"},
    )


def key_of(name: str) -> tuple[int, str]:
    """Number of the generation and key, of a state's name in the table such as ``s1#card#token#0``."""
    generation, _, key = name.partition("#")
    return int(generation[1:]), key


def _pairs(
    client: Any, table: str, keys: Sequence[str], *, serving: int, built: int
) -> Iterator[tuple[str, tuple[bytes | None, bytes | None]]]:
    """Both states of each key: that which serves, and that which was built."""
    for start in range(0, len(keys), _PAIRS):
        chunk = keys[start : start + _PAIRS]
        states = _states(client, table, chunk, serving=serving, built=built)
        unlike = [key for key, (old, new) in states.items() if old != new]
        if unlike:
            states |= _states(client, table, unlike, serving=serving, built=built)
        yield from states.items()


def _states(
    client: Any, table: str, keys: Sequence[str], *, serving: int, built: int
) -> dict[str, tuple[bytes | None, bytes | None]]:
    names = [f"s{number}#{key}" for key in keys for number in (serving, built)]
    wanted: Mapping[str, Any] = {
        "Keys": [{"key": {"S": name}} for name in names],
        "ConsistentRead": True,
        "ProjectionExpression": "#k, #s",
        "ExpressionAttributeNames": {"#k": "key", "#s": "state"},
    }
    found = {item["key"]["S"]: item["state"]["B"] for item in batch_get(client, {table: wanted})[table]}
    return {key: (found.get(f"s{serving}#{key}"), found.get(f"s{built}#{key}")) for key in keys}


def forget(deployment: Deployment, keys: Iterable[str], *, generation: int) -> int:
    """Delete states that cannot be read, of a generation that no longer serves; how many were deleted.

    It is still written for a while, and an event that cannot be folded into all generations is folded into none.
    """
    client, table = deployment.client("dynamodb"), deployment["FeaturesTable"]
    deleted = 0
    for key in keys:
        name = {"key": {"S": f"s{generation}#{key}"}}
        item = client.get_item(TableName=table, Key=name, ConsistentRead=True).get("Item")
        # What can be read by now was written anew meanwhile.
        if item is not None and not _readable(item["state"]["B"]):
            client.delete_item(TableName=table, Key=name)
            deleted += 1
    return deleted


def _alike(old: bytes, new: bytes | None) -> bool:
    """Whether two packed states say the same: while states are migrated, perhaps in two forms."""
    if old == new:
        return True
    if new is None or old[:1] == new[:1] or not (_readable(old) and _readable(new)):
        return False
    return decode(old) == decode(new)


def _readable(content: bytes) -> bool:
    try:
        decode(content)
    except CorruptStateError:
        return False
    return True


def _note(found: Comparison, key: str) -> None:
    found.entities[key.partition("#")[0]] += 1
    if len(found.keys) < MOST_NAMED:
        found.keys.append(key)
