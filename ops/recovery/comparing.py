"""A table compared with what it was, and what is missing put back, unless it was ended on purpose."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.exceptions import ClientError

from ops.recovery.tables import Kind

__all__ = ["Difference", "Restored", "compared", "put_back"]

type Item = Mapping[str, Any]

Verdict = Literal["same", "missing", "changed", "newer", "kept", "expired"]
"""What an item of then is now.

The same; not there (missing); other, with the same version (changed); of a later version, or a key that was ended
or may have been (newer); other, in a table whose lines are never overwritten (kept); past its time (expired).
"""

_PAGE = 100
"""Items compared at once: what one BatchGetItem takes."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The item that has the version of another one: a merchant's account, for its keys.

    Attributes
    ----------
    then, now : int
        Its version; 0 if it was not there, or is not.
    """

    key: Item
    then: int
    now: int


@dataclass(frozen=True, slots=True)
class Difference:
    """An item of then, and what there is now."""

    verdict: Verdict
    key: Item
    then: Item
    now: Item | None
    owner: Owner | None = None


@dataclass
class Restored:
    """What came of it.

    Attributes
    ----------
    counts : Counter of verdict to items
    written : int
        Items that were put back.
    raced : int
        Items that somebody else changed between the comparison and the write; they were left as they are.
    shown : list of str
        The keys of some that differ.
    seconds : float
        For comparing and writing.
    """

    counts: Counter[str] = field(default_factory=Counter)
    written: int = 0
    raced: int = 0
    shown: list[str] = field(default_factory=list)
    seconds: float = 0.0


def compared(
    client: Any, kind: Kind, table: str, side: str, *, segments: int = 1, segment: int = 0
) -> Iterator[Difference]:
    """Every item of the table beside, with what the table has under its key: one segment of several."""
    schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
    names = [each["AttributeName"] for each in schema]
    pages = client.get_paginator("scan").paginate(
        TableName=side,
        ConsistentRead=True,
        Segment=segment,
        TotalSegments=segments,
        PaginationConfig={"PageSize": _PAGE},
    )
    for page in pages:
        items = page["Items"]
        keys = [{name: item[name] for name in names} for item in items]
        present = {_name(item, names): item for item in _read(client, table, keys)}
        owners = _owners(client, kind, table, side, items, names[0])
        for key, then in zip(keys, items, strict=True):
            now, owner = present.get(_name(key, names)), owners.get(_owned_by(kind, then, names[0]))
            yield Difference(_verdict(kind, then, now, owner), key, then, now, owner)


def put_back(
    client: Any,
    kind: Kind,
    table: str,
    side: str,
    *,
    changed: bool,
    write: bool,
    threads: int = 8,
    progress: Callable[[int], None] = lambda _: None,
) -> Restored:
    """Compare two tables and write what is missing, each item only if nobody wrote it meanwhile.

    Parameters
    ----------
    changed : bool
        Also set back what is other than it was, where the table allows it.
    write : bool
        Without it nothing is written.
    progress : callable
        Told how many items were looked at.
    """
    result, lock, start = Restored(), threading.Lock(), time.monotonic()
    wanted = {"missing", "changed"} if changed else {"missing"}

    def part(segment: int) -> None:
        for each in compared(client, kind, table, side, segments=threads, segment=segment):
            done = write and each.verdict in wanted and _written(client, table, each)
            with lock:
                result.counts[each.verdict] += 1
                result.written += done
                result.raced += write and each.verdict in wanted and not done
                if each.verdict not in ("same", "expired") and len(result.shown) < 20:
                    result.shown.append(f"{each.verdict}: {'/'.join(_name(each.key, each.key))}")
                progress(result.counts.total())

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(part, segment) for segment in range(threads)]:
            future.result()
    result.seconds = time.monotonic() - start
    return result


def _verdict(kind: Kind, then: Item, now: Item | None, owner: Owner | None) -> Verdict:
    if kind.ttl and kind.ttl in then and int(then[kind.ttl]["N"]) <= time.time():
        return "expired"
    if now == then:
        return "same"
    # Whoever changed the owner since may have ended this key: one that is lost, or that differs, stays so.
    if owner is not None and owner.now > owner.then:
        return "newer"
    if now is None:
        return "missing"
    if not kind.overwrites:
        return "kept"
    # An earlier version would make the next one collide with those that are there; a key that was ended stays so.
    return "newer" if _number(now, "version") > _number(then, "version") or _ended(now, then) else "changed"


def _ended(now: Item, then: Item) -> bool:
    """Whether a key was disabled since, or rotated: whether it ends, or ends earlier than it did."""
    return any(
        0 < _number(now, name) < (_number(then, name) or float("inf")) for name in ("disabled_at", "expires_at")
    )


def _number(item: Item, name: str) -> int:
    return int(item.get(name, {}).get("N", 0))


def _owned_by(kind: Kind, item: Item, name: str) -> str:
    """The key of the item that has this one's version; empty if it has its own."""
    if not kind.owner or item[name]["S"].startswith(kind.owner):
        return ""
    return f"{kind.owner}{item['merchant_id']['S']}"


def _owners(
    client: Any, kind: Kind, table: str, side: str, items: Sequence[Item], name: str
) -> Mapping[str, Owner]:
    keys = [{name: {"S": key}} for key in sorted({_owned_by(kind, item, name) for item in items} - {""})]
    then, now = (
        {item[name]["S"]: _number(item, "version") for item in _read(client, where, keys)}
        for where in (side, table)
    )
    texts = {key[name]["S"]: key for key in keys}
    return {text: Owner(key, then.get(text, 0), now.get(text, 0)) for text, key in texts.items()}


def _written(client: Any, table: str, each: Difference) -> bool:
    """Put an item back if what is there is still what it was compared with, and its owner is no newer."""
    first = next(iter(each.key))
    names, values, terms = {}, {}, []
    if each.now is None:
        names, terms = {"#k": first}, ["attribute_not_exists(#k)"]
    else:
        for number, (name, value) in enumerate(each.now.items()):
            names[f"#n{number}"], values[f":v{number}"] = name, value
            terms.append(f"#n{number} = :v{number}")
    put: dict[str, Any] = {
        "TableName": table,
        "Item": each.then,
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeNames": names,
    }
    if values:
        put["ExpressionAttributeValues"] = values
    try:
        if each.owner is None:
            client.put_item(**put)
        else:
            unchanged = {
                "TableName": table,
                "Key": each.owner.key,
                "ConditionExpression": "attribute_not_exists(#k) OR version <= :then",
                "ExpressionAttributeNames": {"#k": first},
                "ExpressionAttributeValues": {":then": {"N": str(each.owner.then)}},
            }
            client.transact_write_items(TransactItems=[{"Put": put}, {"ConditionCheck": unchanged}])
    except ClientError as error:
        if not _beaten(error):
            raise
        return False
    return True


def _beaten(error: ClientError) -> bool:
    """Whether a write failed because somebody else wrote, and for nothing else."""
    if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
        return True
    reasons = {each.get("Code", "None") for each in error.response.get("CancellationReasons", ())} - {"None"}
    return bool(reasons) and reasons <= {"ConditionalCheckFailed", "TransactionConflict"}


def _read(client: Any, table: str, keys: Sequence[Item]) -> Iterator[Item]:
    asked: Any = {table: {"Keys": keys, "ConsistentRead": True}} if keys else {}
    while asked:
        answer = client.batch_get_item(RequestItems=asked)
        yield from answer["Responses"].get(table, ())
        asked = answer.get("UnprocessedKeys") or {}


def _name(item: Item, names: Any) -> tuple[str, ...]:
    return tuple(str(next(iter(item[name].values()))) for name in names)
