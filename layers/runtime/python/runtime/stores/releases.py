"""What became of models: the lineage of each run, who is asked about it, and everything that ever served.

============ ================== ==========================================================================
id           part               holds
============ ================== ==========================================================================
``run#RUN``  ``record``         `Lineage`: where the model comes from, and what happened to it when
``run#RUN``  ``approval``       `Waiting`: the token of an execution that waits for somebody's word
``serving``  ``000000000012``   `Served`: the twelfth serving document, written once and before it serves
============ ================== ==========================================================================
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from runtime.auditing import PLATFORM, AuditTrail, Entry, state
from runtime.stores.items import DynamoItems, Item, Items, MemoryItems, Write
from runtime.stores.lineages import Event, Lineage, Served, UnreadableRecordError, Waiting
from runtime.stores.transactions import ConflictError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["DynamoReleaseStore", "MemoryReleaseStore", "ReleaseStore"]

_ATTEMPTS = 6
_PAGE = 50
_LAST = 10**12 - 1


class ReleaseStore:
    """Releases by run and by time; `DynamoReleaseStore` and `MemoryReleaseStore` say where they are."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def lineage(self, run: str) -> Lineage | None:
        """What is known of a run's model; None if it was never registered."""
        item = self._item(run, "record")
        return None if item is None else _decoded(item, Lineage)

    def register(self, lineage: Lineage) -> Lineage:
        """Write down a new model; what was written before about its run is kept, and returned."""
        key = (f"run#{lineage.version}", "record")
        try:
            self._items.write([Write(key, _record(lineage, 1), guard="revision")], *_told(lineage))
        except ConflictError:
            return self.lineage(lineage.version) or lineage
        return lineage

    def happened(self, run: str, event: Event, *, anew: bool = False) -> Lineage | None:
        """Add to what happened to a run's model; None if it was never registered.

        Parameters
        ----------
        anew : bool
            See `Lineage.then`.

        Raises
        ------
        ConflictError
            If others went on adding to it.
        """
        for _ in range(_ATTEMPTS):
            item = self._item(run, "record")
            if item is None:
                return None
            before = _decoded(item, Lineage)
            after = before.then(event, anew=anew)
            if after is before:
                return before
            changed = _record(after, int(item["revision"]["N"]) + 1)
            try:
                self._items.write(
                    [Write((f"run#{run}", "record"), changed, "revision", item)],
                    _entry(after, event, before.state),
                )
            except ConflictError:
                continue
            return after
        raise ConflictError(f"run {run}: others write about it; try again")

    def wait(self, run: str, waiting: Waiting) -> None:
        """Keep an execution's token, in the place of one that was kept before."""
        self._items.write([Write((f"run#{run}", "approval"), {"document": _text(waiting)})])

    def waiting(self, run: str) -> Waiting | None:
        """The token of the execution that waits; None if none does."""
        item = self._item(run, "approval")
        return None if item is None else _decoded(item, Waiting)

    def answered(self, run: str, token: str) -> None:
        """Forget a token; one that was kept in its place meanwhile stays."""
        item = self._item(run, "approval")
        if item is None or _decoded(item, Waiting).token != token:
            return
        with contextlib.suppress(ConflictError):
            self._items.write([Write((f"run#{run}", "approval"), None, "document", item)])

    def serves(self, served: Served) -> None:
        """Add a document to the history.

        Raises
        ------
        ConflictError
            If there is one with its number: someone else changed what serves. Read, and change that.
        """
        item = {"number": {"N": str(served.number)}, "document": _text(served)}
        before = self.last_served()
        entry: Entry = Entry(
            at=served.at,
            who=served.by,
            kind="serving",
            subject=PLATFORM,
            action="deploy",
            of=str(served.number),
            before=state(before and before.document),
            after=state(served.document),
            reason=served.reason,
        )
        self._items.write([Write(("serving", f"{served.number:012d}"), item, guard="number")], entry)

    def last_served(self) -> Served | None:
        """The last document of the history; None before the first."""
        return next(self.history(limit=1), None)

    def history(self, *, limit: int | None = None) -> Iterator[Served]:
        """The documents that served, the newest first.

        Parameters
        ----------
        limit : int, optional
            How many at most; all by default.
        """
        high, left = _LAST, _LAST if limit is None else limit
        while left > 0 and high > 0:
            size = min(_PAGE, left)
            page = self._items.page("serving", f"{0:012d}", f"{high:012d}", limit=size, backwards=True)
            found = [_decoded(item, Served) for item in page]
            yield from found
            if len(found) < size:
                return
            left, high = left - size, found[-1].number - 1

    def served_at(self, moment: int) -> Served | None:
        """The document that was the newest at a moment, in ms; None before the first."""
        return next((each for each in self.history() if each.at <= moment), None)

    def _item(self, run: str, part: str) -> Item | None:
        key = (f"run#{run}", part)
        return self._items.get([key]).get(key)


class DynamoReleaseStore(ReleaseStore):
    """In a table of DynamoDB with the keys id and part."""

    def __init__(self, client: "DynamoDBClient", table: str, trail: AuditTrail | None = None) -> None:
        super().__init__(DynamoItems(client, table, trail))


class MemoryReleaseStore(ReleaseStore):
    """In this process."""

    def __init__(self) -> None:
        items = MemoryItems()
        super().__init__(items)
        self.trail = items.trail


def _told(lineage: Lineage) -> list[Entry]:
    """What the audit trail says of a new model."""
    return [_entry(lineage, event, "") for event in lineage.events[:1]]


def _entry(lineage: Lineage, event: Event, before: str) -> Entry:
    return Entry(
        at=event.at,
        who=event.by,
        kind="model",
        subject=PLATFORM,
        action=event.what,
        of=lineage.version,
        before=before or None,
        after=lineage.state,
        reason=event.reason,
    )


def _text(document: msgspec.Struct) -> dict[str, str]:
    return {"S": msgspec.json.encode(document).decode()}


def _record(lineage: Lineage, revision: int) -> Item:
    return {"revision": {"N": str(revision)}, "document": _text(lineage)}


def _decoded[T: Lineage | Waiting | Served](item: Item, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(item["document"]["S"], type=kind)
    except (msgspec.MsgspecError, KeyError) as error:
        place = f"{item['id']['S']}, {item['part']['S']}"
        raise UnreadableRecordError(f"releases: {place}: {error}; deploy the version that wrote it") from error
