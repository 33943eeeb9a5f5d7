"""What merchants send to change their settings, beside `fraud.rules.Rules`, and what they are answered."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from fraud.lists import ListAction, ListDefinition, ListField
from fraud.passing import PassThrough
from fraud.policy import Costs, Thresholds
from fraud.rules import Rule
from fraud.rules.documents import Mode
from runtime.contract.settings import PolicyRequest

__all__ = [
    "EntriesAnswer",
    "EntriesRequest",
    "EntryAnswer",
    "ListAnswer",
    "ListPath",
    "ListQuery",
    "ListRequest",
    "ListSummary",
    "ListsAnswer",
    "NewEntry",
    "PolicyAnswer",
    "PolicyRequest",
    "RuleAnswer",
    "RulesAnswer",
    "VersionAnswer",
    "VersionQuery",
    "VersionsAnswer",
    "VersionsQuery",
]

MOST_IN_REQUEST = 50

type _Version = Annotated[int, Meta(ge=1, le=10**11, description="Counted from 1, by one with every change.")]
type _Value = Annotated[str, Meta(min_length=1, max_length=256)]
type _Moment = Annotated[str, Meta(description="RFC 3339, in UTC.")]
type _Author = Annotated[
    str, Meta(description="`key:` and the id of a merchant's key, or `operator:` and a name.")
]


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    pass


class VersionQuery(_Request, frozen=True):
    """Which version to show; the current one by default."""

    version: _Version | None = None


class VersionsQuery(_Request, frozen=True):
    """A page of versions, the newest first."""

    before: Annotated[int, Meta(ge=1, le=10**11, description="Only versions before this one.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class ListQuery(_Request, frozen=True):
    """A page of a list's entries."""

    cursor: Annotated[str, Meta(min_length=1, max_length=64, description="From the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class ListPath(_Request, frozen=True):
    """A list's name."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]


class ListRequest(_Request, frozen=True):
    """What a list is; its entries are sent by themselves."""

    field: ListField
    action: ListAction
    enabled: bool = True
    description: Annotated[str, Meta(max_length=500)] = ""

    def definition(self, name: str) -> ListDefinition:
        """The list that this asks for."""
        return ListDefinition(name=name, **{each: getattr(self, each) for each in self.__struct_fields__})


class NewEntry(_Request, frozen=True):
    """A value to put on a list; one that is on it gets this end and this note."""

    value: Annotated[
        _Value, Meta(description="As the list's field is sent with payments; people's identifiers become tokens.")
    ]
    expires_at: Annotated[datetime, Meta(description="RFC 3339 with an offset, later than now.")] | None = None
    note: Annotated[str, Meta(max_length=200, description="Shown to everybody who may read the list.")] = ""


class EntriesRequest(_Request, frozen=True):
    """Values to put on a list, and others to take off it."""

    add: Annotated[tuple[NewEntry, ...], Meta(max_length=MOST_IN_REQUEST)] = ()
    remove: Annotated[
        tuple[
            Annotated[_Value, Meta(description="As it was added, or as the list shows it.")],
            ...,
        ],
        Meta(max_length=MOST_IN_REQUEST),
    ] = ()


class VersionAnswer(_Answer, frozen=True):
    """One change."""

    version: int
    changed_at: _Moment
    changed_by: _Author


class VersionsAnswer(_Answer, frozen=True):
    """The changes, the newest first."""

    versions: list[VersionAnswer]
    before: Annotated[int | None, Meta(description="What to ask for to see older ones; null if there are none.")]


class _Document(_Answer, frozen=True):
    version: Annotated[int, Meta(description="0 for what was never set.")]
    changed_at: _Moment | None
    changed_by: _Author | None


class RuleAnswer(Rule, frozen=True, kw_only=True):
    """A rule, and what it was understood to mean."""

    explained: Annotated[str, Meta(description="The condition in English.")]
    needs: Annotated[list[str], Meta(description="The variables that it looks at.")]


class RulesAnswer(_Document, frozen=True):
    """A version of the merchant's rules."""

    mode: Mode
    rules: list[RuleAnswer]


class PolicyAnswer(_Document, frozen=True):
    """A version of the merchant's policy, or the platform's."""

    own: Annotated[bool, Meta(description="Whether it is the merchant's own; the platform's counts otherwise.")]
    policy: Annotated[str, Meta(description="What decisions name as their policy's version.")]
    thresholds: Thresholds | None
    costs: Costs | None
    unscored_limit: int
    most_declined: float | None
    most_reviewed: float | None
    pass_through: PassThrough | None


class ListSummary(_Answer, frozen=True):
    """A list without its entries."""

    name: str
    field: ListField
    action: ListAction
    enabled: bool
    description: str

    @classmethod
    def of(cls, definition: ListDefinition) -> "ListSummary":
        """What merchants are told of a list."""
        return cls(**{name: getattr(definition, name) for name in cls.__struct_fields__})


class ListsAnswer(_Document, frozen=True):
    """The merchant's lists; all of them share one version."""

    lists: list[ListSummary]


class EntryAnswer(_Answer, frozen=True):
    """An entry of a list."""

    value: Annotated[str, Meta(description="A token, where the list's field identifies people.")]
    expires_at: _Moment | None
    note: str
    added_at: _Moment
    added_by: _Author


class ListAnswer(_Document, frozen=True):
    """A list and a page of its entries; its version is that of all lists."""

    name: str
    field: ListField
    action: ListAction
    enabled: bool
    description: str
    entries: Annotated[list[EntryAnswer], Meta(description="Those that have not expired.")]
    cursor: Annotated[str | None, Meta(description="What to ask for next; null after the last page.")]


class EntriesAnswer(_Answer, frozen=True):
    """What became of the entries."""

    added: Annotated[int, Meta(description="New, or with another end or note than before.")]
    removed: int
    unchanged: Annotated[int, Meta(description="They were as they were to be.")]
