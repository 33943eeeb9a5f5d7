"""Lists: values that a merchant always declines, always approves or always reviews, or asks for in rules.

The entries are not here: they are looked up one by one, however many there are. Here is what a list is, and what
follows from a look-up's answer.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from fraud.policy import Action

__all__ = [
    "LISTED_FIELDS",
    "MOST_LISTS",
    "ListAction",
    "ListDefinition",
    "ListError",
    "ListField",
    "StoredLists",
    "check_lists",
    "covered",
    "matched",
    "verdict",
]

MOST_LISTS = 20
"""So many lists may one merchant have."""

ListField = Literal[
    "card",
    "customer",
    "device",
    "ip",
    "email",
    "phone",
    "bin",
    "issuer_country",
    "billing_country",
    "shipping_country",
]
"""The transaction's field whose values are on a list."""

LISTED_FIELDS: tuple[ListField, ...] = get_args(ListField)

ListAction = Literal["block", "allow", "review", "none"]
"""What being on a list does by itself; ``none`` is for lists that only rules ask for."""

_DOES: tuple[tuple[ListAction, Action], ...] = (("block", "decline"), ("allow", "approve"), ("review", "review"))


class ListError(ValueError):
    """Lists cannot be as they are given.

    Attributes
    ----------
    field : str
        Where in the document, such as ``lists[2].name``.
    """

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(f"{field}: {message}")
        self.message, self.field = message, field


class ListDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list without its entries.

    Attributes
    ----------
    generation : int
        The version of the lists that it was made in, which tells it from another one that had its name and was
        removed: the entries of that one are not its own. 0 where none was noted.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]
    field: ListField
    action: ListAction
    enabled: bool = True
    description: Annotated[str, Meta(max_length=500)] = ""
    generation: int = 0

    @property
    def key(self) -> str:
        """What its entries are stored under."""
        return f"{self.name}#{self.generation}" if self.generation else self.name


class StoredLists(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A merchant's lists: one version of their definitions.

    Attributes
    ----------
    changed_at : int
        Milliseconds since the epoch, UTC.
    changed_by : str
        Who changed them, such as ``key:k1`` or ``operator:jane``.
    """

    version: int
    lists: tuple[ListDefinition, ...]
    changed_at: int
    changed_by: str


def check_lists(lists: Iterable[ListDefinition]) -> None:
    """Refuse definitions that do not go together.

    Raises
    ------
    ListError
        If two lists have one name, or there are too many.
    """
    seen: set[str] = set()
    for index, each in enumerate(lists):
        if index >= MOST_LISTS:
            raise ListError(f"there are more than {MOST_LISTS} lists; join or remove some", field="lists")
        if each.name in seen:
            raise ListError("another list has this name; give each its own", field=f"lists[{index}].name")
        seen.add(each.name)


def covered(lists: Iterable[ListDefinition]) -> tuple[ListField, ...]:
    """The fields that have to be looked up for a payment: those of enabled lists, each once."""
    return tuple(dict.fromkeys(each.field for each in lists if each.enabled))


def matched(
    lists: Iterable[ListDefinition], looked_up: Mapping[str, Mapping[str, int]], now: int
) -> tuple[str, ...]:
    """The names of the enabled lists that a payment is on, in the order of their definitions.

    Parameters
    ----------
    looked_up : mapping of field to mapping of list's key to int
        For each field of the payment that was found on any list: when it leaves each list, in ms since the epoch;
        0 for never.
    now : int
        Milliseconds since the epoch. An entry that ends at this very moment has ended.
    """
    return tuple(
        each.name
        for each in lists
        if each.enabled and (ends := looked_up.get(each.field, {}).get(each.key)) is not None and _lasts(ends, now)
    )


def verdict(lists: Iterable[ListDefinition], names: Iterable[str]) -> Action | None:
    """What the lists that a payment is on say by themselves; None if nothing.

    Block beats allow, and allow beats review: who is trusted is not asked again, unless known as fraud.
    """
    on = set(names)
    actions = {each.action for each in lists if each.enabled and each.name in on}
    return next((action for word, action in _DOES if word in actions), None)


def _lasts(ends: int, now: int) -> bool:
    return ends == 0 or ends > now
