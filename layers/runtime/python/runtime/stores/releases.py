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
from typing import TYPE_CHECKING, Literal

import msgspec

from fraud.serving import Serving
from runtime.auditing import PLATFORM, AuditTrail, Entry, state
from runtime.stores.items import DynamoItems, Item, Items, MemoryItems, Write
from runtime.stores.transactions import ConflictError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = [
    "DynamoReleaseStore",
    "Event",
    "Happened",
    "Lineage",
    "MemoryReleaseStore",
    "ReleaseStore",
    "Served",
    "UnreadableRecordError",
    "Waiting",
]

type Happened = Literal[
    "registered",
    "rejected",
    "shadow",
    "asked",
    "approved",
    "declined",
    "canary",
    "champion",
    "confirmed",
    "withdrawn",
]

_ATTEMPTS = 6
_PAGE = 50
_LAST = 10**12 - 1
_OUT: tuple[Happened, ...] = ("rejected", "declined", "withdrawn")
_IN: tuple[Happened, ...] = ("shadow", "canary", "champion")
_WORDS: tuple[Happened, ...] = ("approved", "declined")


class UnreadableRecordError(RuntimeError):
    """An item of the table is none that this version can read."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a model.

    Attributes
    ----------
    at : int
        Milliseconds since the epoch, UTC.
    by : str
        A person's ARN or name, or the function or run that did it.
    """

    what: Happened
    at: int
    by: str
    reason: str = ""


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from, and what happened to it.

    Attributes
    ----------
    version : str
        Of its bundle, which is the id of its run too.
    dataset : str
        The fingerprint of the data that it learned from.
    code_version : str
        Of the training program.
    metrics : dict of str to float
        As the manifest has them.
    package : str
        The ARN of its model package, whose approval state is the approval.
    artifact, evaluation : str
        Where the run left its model and its report, in S3.
    execution : str
        The ARN of the run's execution; empty where it was not told.
    events : tuple of Event
        In the order in which they happened.
    """

    version: str
    created_at: int
    dataset: str
    code_version: str
    parameters: dict[str, str]
    metrics: dict[str, float]
    package: str
    artifact: str
    evaluation: str
    execution: str = ""
    reason: str = ""
    events: tuple[Event, ...] = ()

    @property
    def state(self) -> str:
        """What happened last; that one that was withdrawn is then declined as well tells less than that it was."""
        last = [event.what for event in self.events[-2:]]
        return "withdrawn" if last == ["withdrawn", "declined"] else last[-1] if last else ""

    @property
    def released(self) -> bool:
        """Whether it was ever named in a serving document."""
        return any(event.what in _IN for event in self.events)

    @property
    def withdrawn(self) -> bool:
        """Whether it was turned away, and not released again since."""
        moved = self.moved
        return moved is not None and moved.what in _OUT

    @property
    def moved(self) -> Event | None:
        """The last time that it was let in, or turned away."""
        return next((event for event in reversed(self.events) if event.what in (*_OUT, *_IN)), None)

    def last(self, what: Happened) -> Event | None:
        """The last time that something happened."""
        return next((event for event in reversed(self.events) if event.what == what), None)

    def then(self, event: Event, *, anew: bool = False) -> "Lineage":
        """With one more event; unchanged if it only repeats the last of its kind.

        A step may be taken twice, and the registry may tell the same word late, after further steps.

        Parameters
        ----------
        anew : bool
            Whether a repetition counts too: a stage that is entered again begins again.
        """
        said = event.what in _WORDS
        last = next((each for each in reversed(self.events) if (each.what in _WORDS) == said), None)
        if last is not None and last.what == event.what and not anew:
            return self
        return msgspec.structs.replace(self, events=(*self.events, event))


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that waits for somebody's word on its model."""

    token: str
    asked_at: int
    sentence: str = ""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A serving document, from when it was deployed until the next one was.

    Attributes
    ----------
    number : int
        From 1 on, without gaps.
    document : Serving
    at : int
        Milliseconds since the epoch, UTC; 0 for what served when this history began.
    configuration : str
        The version of it that AppConfig has.
    run : str
        The run, or version, that it was made for; empty if for none.
    """

    number: int
    document: Serving
    at: int
    by: str
    reason: str
    configuration: str
    run: str = ""


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
