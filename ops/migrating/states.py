"""All states into another form of `fraud.codec`, while events are folded into them.

First the form is announced, in the item that whoever writes a state has read a lease ago at most. A lease later
nobody writes another form, so that what is left to rewrite only gets less. A state is rewritten if it is still at
the version that it was read at, and keeps that version: it says the same as before, so that an event that is being
folded into it loses no race. Markers are not touched.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from fraud.codec import FORMS, CorruptStateError, decode, encode
from ops import scanning
from ops.migrating.errors import MigrationError
from runtime.stores.batches import is_throttling
from runtime.stores.features import ConflictError, FeatureStore
from runtime.stores.generations import LEASE, Generations

__all__ = ["Migrated", "count", "migrate"]

_WRITERS: Final = 8
_ATTEMPTS: Final = 5
_LOOKS: Final = 8
"""At the table: the first rewrites nearly all, the last finds nothing, those between what was busy before."""

_LATER = ("TransactionConflictException", "TransactionInProgressException")
"""A transaction of live traffic has the item in hand: the next look finds it, if it still has to be rewritten."""

type Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Migrated:
    """What became of the states.

    Attributes
    ----------
    rewritten : int
    overtaken : int
        Written by live traffic between the look at them and the rewriting, in the new form by then; or deleted.
    later : int
        Found busy or throttled, and looked at again.
    unreadable : set of str
        Names of the items that are no state in any form that this code reads. They are left as they are.
    """

    rewritten: int
    overtaken: int
    later: int
    unreadable: set[str]


def count(client: Any, table: str, *, progress: Progress) -> Mapping[int, int]:
    """How many states there are, by the version of their form."""
    found: Counter[int] = Counter()
    for items in scanning.pages(client, **_states(table)):
        found.update(map(_form, items))
        progress("count", found.total(), 0)
    return dict(sorted(found.items()))


def migrate(
    store: FeatureStore,
    client: Any,
    table: str,
    form: int,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
    progress: Progress = lambda _what, _done, _all: None,
    lease: int = LEASE,
) -> Migrated:
    """Have all states written in a form, and rewrite those that are not; run it again to go on after a kill.

    Parameters
    ----------
    store
        Over `table`.
    client
        Of DynamoDB.
    clock : callable
        Wall-clock ms.
    sleep : callable
        Waits for so many seconds.
    lease : int
        How long whoever writes may act on what they read before, in ms.

    Raises
    ------
    MigrationError
        If this code does not know the form, or somebody goes on writing another one.
    """
    if form not in FORMS:
        known = " and ".join(map(str, sorted(FORMS)))
        raise MigrationError(f"this code does not know form {form}; it knows {known}")
    since = _announce(store, form, clock).form_since
    while (left := since + lease - clock()) > 0:
        progress("wait", lease - left, lease)
        sleep(min(1.0, left / 1_000))
    done = Migrated(0, 0, 0, set())
    for look in range(_LOOKS):
        if store.look(())[0].form != form:
            raise MigrationError(
                f"another form than {form} was announced meanwhile; run this again for one of them"
            )
        if not _pass(client, table, form, done, progress):
            return done
        sleep(0.05 * 2**look)
    raise MigrationError(
        f"states in another form than {form} are still there after {_LOOKS} looks: if it is not that DynamoDB "
        "throttles, find out which code writes them; then run this again"
    )


def _announce(store: FeatureStore, form: int, clock: Callable[[], int]) -> Generations:
    for _ in range(_ATTEMPTS):
        now, _ = store.look(())
        if now.form == form:
            return now
        try:
            return store.change(now, msgspec.structs.replace(now, form=form, form_since=clock()))
        except ConflictError:
            continue
    raise MigrationError("the generations of states keep changing; run this again")


def _pass(client: Any, table: str, form: int, done: Migrated, progress: Progress) -> bool:
    """Rewrite every state in another form; False if there was none that can be read."""
    met = 0
    with ThreadPoolExecutor(_WRITERS) as pool:
        for items in scanning.pages(client, **_states(table)):
            others = [each for each in items if _form(each) != form and each["key"]["S"] not in done.unreadable]
            became = Counter(pool.map(lambda item: _rewrite(client, table, item, form, done), others))
            done.rewritten += became["rewritten"]
            done.overtaken += became["overtaken"]
            done.later += became["later"]
            met += len(others) - became["unreadable"]
            progress("rewrite", done.rewritten + done.overtaken, 0)
    return met > 0


def _form(item: Any) -> int:
    packed: bytes = item["state"]["B"]
    return packed[0] if packed else 0


def _rewrite(client: Any, table: str, item: Any, form: int, done: Migrated) -> str:
    try:
        state = encode(decode(item["state"]["B"]), form)
    except CorruptStateError:
        done.unreadable.add(item["key"]["S"])
        return "unreadable"
    try:
        client.update_item(
            TableName=table,
            Key={"key": item["key"]},
            UpdateExpression="SET #s = :state",
            ConditionExpression="#v = :read",
            ExpressionAttributeNames={"#s": "state", "#v": "version"},
            ExpressionAttributeValues={":state": {"B": state}, ":read": item["version"]},
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            return "overtaken"
        if code in _LATER or is_throttling(error):
            return "later"
        raise
    return "rewritten"


def _states(table: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "FilterExpression": "attribute_exists(#s)",
        "ProjectionExpression": "#k, #s, #v",
        "ExpressionAttributeNames": {"#k": "key", "#s": "state", "#v": "version"},
    }
