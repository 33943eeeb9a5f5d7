"""What is written of a model and of what served: the lineage of a run, its events, and one serving document."""

from typing import Literal

import msgspec

from fraud.serving import Serving

__all__ = ["Event", "Happened", "Lineage", "Served", "UnreadableRecordError", "Waiting"]

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
