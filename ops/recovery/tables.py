"""A table as it was: restored beside the one that serves, compared with it, and what is missing put back."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from ops.deployment import Deployment
from ops.recovery.errors import RecoveryError

__all__ = [
    "KINDS",
    "Difference",
    "Kind",
    "Restored",
    "compared",
    "exists",
    "put_back",
    "restored_aside",
    "table_of",
]

type Item = Mapping[str, Any]

Verdict = Literal["same", "missing", "changed", "newer", "kept", "expired"]
"""What an item of then is now.

The same; not there (missing); other, with the same version (changed); of a later version, or a key that was
disabled since (newer); other, in a table whose lines are never overwritten (kept); past its time (expired).
"""

_PAGE = 100
"""Items compared at once: what one BatchGetItem takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a table is restored.

    Attributes
    ----------
    output : str
        Of the data stack, which names the table.
    overwrites : bool
        Whether an item that is there may be set back at all.
    stream, ttl : str
        The view of its stream and the attribute of its expiry; empty without.
    refused : str
        Why it is not restored at all, and what to do instead.
    """

    output: str
    overwrites: bool = True
    stream: str = ""
    ttl: str = ""
    refused: str = ""


KINDS: Mapping[str, Kind] = {
    # What is there is what a merchant was told.
    "decisions": Kind(output="DecisionsTable", overwrites=False, stream="NEW_IMAGE"),
    "merchants": Kind(output="MerchantsTable"),
    "settings": Kind(output="SettingsTable", ttl="expires_at"),
    "releases": Kind(output="ReleasesTable"),
    "features": Kind(
        output="FeaturesTable",
        ttl="expires_at",
        refused=(
            "features: states are not restored but built anew from the lake, with `paywarden rebuild-state`. A "
            "state of "
            "an earlier moment lacks what was folded since, while the markers say that it was folded"
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """An item of then, and what there is now."""

    verdict: Verdict
    key: Item
    then: Item
    now: Item | None


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


def table_of(deployment: Deployment, name: str) -> tuple[Kind, str]:
    """How a table is restored, and what it is called in a deployment.

    Raises
    ------
    RecoveryError
        If there is no such table, or it is not restored.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise RecoveryError(f"table: there is no table {name!r}; give one of: {', '.join(KINDS)}")
    if kind.refused:
        raise RecoveryError(kind.refused)
    return kind, deployment[kind.output]


def exists(client: Any, table: str) -> bool:
    """Whether a table is there; one that is being deleted is not."""
    try:
        status: str = client.describe_table(TableName=table)["Table"]["TableStatus"]
    except client.exceptions.ResourceNotFoundException:
        return False
    return status != "DELETING"


def restored_aside(
    client: Any, table: str, at: datetime, *, tell: Callable[[str], None], poll: float = 10.0
) -> str:
    """Restore a table as it was at a moment under another name, and wait until it is there.

    Raises
    ------
    RecoveryError
        If the table has no point-in-time recovery, or none that reaches to this moment.
    """
    described = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    window = described.get("PointInTimeRecoveryDescription", {})
    if window.get("PointInTimeRecoveryStatus") != "ENABLED":
        raise RecoveryError(
            f"{table}: there is no point-in-time recovery here; it is on in staging and prod. "
            "A table that you restored from a backup can be named with --side"
        )
    first, last = window["EarliestRestorableDateTime"], window["LatestRestorableDateTime"]
    if not first <= at <= last:
        raise RecoveryError(f"--at: {table} can be restored from {_utc(first)} to {_utc(last)}, not to {_utc(at)}")
    side = f"{table}-at-{at.astimezone(UTC):%Y%m%dT%H%M%S}"
    if not exists(client, side):
        client.restore_table_to_point_in_time(
            SourceTableName=table, TargetTableName=side, RestoreDateTime=at, BillingModeOverride="PAY_PER_REQUEST"
        )
    start = time.monotonic()
    while client.describe_table(TableName=side)["Table"]["TableStatus"] != "ACTIVE":
        tell(f"restoring {side}: {time.monotonic() - start:,.0f} s; AWS takes some minutes for any size")
        time.sleep(poll)
    return side


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
        for key, then in zip(keys, items, strict=True):
            now = present.get(_name(key, names))
            yield Difference(_verdict(kind, then, now), key, then, now)


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


def _verdict(kind: Kind, then: Item, now: Item | None) -> Verdict:
    if kind.ttl and kind.ttl in then and int(then[kind.ttl]["N"]) <= time.time():
        return "expired"
    if now is None:
        return "missing"
    if now == then:
        return "same"
    if not kind.overwrites:
        return "kept"
    # An earlier version would make the next one collide with those that are there; a key that was disabled stays
    # so.
    return "newer" if _number(now, "version") > _number(then, "version") or _disabled(now, then) else "changed"


def _disabled(now: Item, then: Item) -> bool:
    return _number(now, "disabled_at") > 0 and _number(then, "disabled_at") == 0


def _number(item: Item, name: str) -> int:
    return int(item.get(name, {}).get("N", 0))


def _written(client: Any, table: str, each: Difference) -> bool:
    """Put an item back if what is there is still what it was compared with."""
    first = next(iter(each.key))
    names, values, terms = {}, {}, []
    if each.now is None:
        names, terms = {"#k": first}, ["attribute_not_exists(#k)"]
    else:
        for number, (name, value) in enumerate(each.now.items()):
            names[f"#n{number}"], values[f":v{number}"] = name, value
            terms.append(f"#n{number} = :v{number}")
    condition: dict[str, Any] = {"ConditionExpression": " AND ".join(terms), "ExpressionAttributeNames": names}
    if values:
        condition["ExpressionAttributeValues"] = values
    try:
        client.put_item(TableName=table, Item=each.then, **condition)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _read(client: Any, table: str, keys: list[dict[str, Any]]) -> Iterator[Item]:
    asked = {table: {"Keys": keys, "ConsistentRead": True}} if keys else {}
    while asked:
        answer = client.batch_get_item(RequestItems=asked)
        yield from answer["Responses"].get(table, ())
        asked = answer.get("UnprocessedKeys") or {}


def _name(item: Item, names: Any) -> tuple[str, ...]:
    return tuple(str(next(iter(item[name].values()))) for name in names)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
