"""A merchant's lists: what they are, and the way to the values that are on them."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from fraud.lists import ListDefinition, ListError, StoredLists, check_lists
from fraud.rules import StoredRules
from fraud.rules.vocabulary import nearest
from fraud.tokens import Tokeniser
from runtime.api import parameters, parse
from runtime.contract.settings import lists_named
from runtime.http import Answer, Problem, Request
from runtime.stores.settings import SettingsStore

from .documents import author, expected, moment, put, shown
from .entries import change_entries, told
from .models import EntriesRequest, ListAnswer, ListPath, ListQuery, ListRequest, ListsAnswer
from .values import Values

__all__ = ["ListCalls", "defined", "replaced"]


@dataclass(frozen=True, slots=True)
class ListCalls:
    """``/v1/lists`` and what is under it.

    Parameters
    ----------
    tokeniser : callable
        What turns identifiers into tokens at the moment.
    clock : callable
        Wall-clock milliseconds.
    author : callable
        Who asks for a change.
    """

    store: SettingsStore
    tokeniser: Callable[[], Tokeniser]
    clock: Callable[[], int]
    author: Callable[[Request], str] = author

    def show_all(self, request: Request) -> Answer:
        """Every list, without its entries."""
        stored = self.store.get(request.merchant_id, StoredLists)
        lists = ListsAnswer(
            version=stored.version if stored else 0,
            changed_at=moment(stored.changed_at) if stored else None,
            changed_by=stored.changed_by if stored else None,
            lists=list(stored.lists) if stored else [],
        )
        return shown(lists, lists.version)

    def show(self, request: Request) -> Answer:
        """One list, and a page of its entries."""
        query = parameters(request.query, ListQuery)
        stored = self.store.get(request.merchant_id, StoredLists)
        definition = defined(stored, _name(request))
        return self._shown(request, stored, definition, query)

    def change(self, request: Request) -> Answer:
        """Make a list, or change what it does."""
        name = _name(request)
        definition = parse(request.body, ListRequest).definition(name)
        current = self.store.get(request.merchant_id, StoredLists)
        expected(request, current.version if current else 0)
        document = StoredLists(
            version=current.version + 1 if current else 1,
            lists=replaced(current, definition, self.store.get(request.merchant_id, StoredRules)),
            changed_at=self.clock(),
            changed_by=self.author(request),
        )
        return self._shown(request, put(self.store, request.merchant_id, document), definition, ListQuery())

    def change_entries(self, request: Request) -> Answer:
        """Put values on a list and take others off it."""
        now = self.clock()
        given = parse(request.body, EntriesRequest)
        definition = defined(self.store.get(request.merchant_id, StoredLists), _name(request))
        values = Values(self.tokeniser(), request.merchant_id, definition.field, now)
        done = change_entries(self.store, definition, given, values, now=now, changed_by=self.author(request))
        return Answer(msgspec.json.encode(done).decode())

    def _shown(
        self, request: Request, stored: StoredLists | None, definition: ListDefinition, query: ListQuery
    ) -> Answer:
        entries, cursor = self.store.entries(
            request.merchant_id, definition.name, now=self.clock(), limit=query.limit, after=query.cursor or ""
        )
        found = ListAnswer(
            version=stored.version if stored else 0,
            changed_at=moment(stored.changed_at) if stored else None,
            changed_by=stored.changed_by if stored else None,
            **msgspec.structs.asdict(definition),
            entries=[told(each) for each in entries],
            cursor=cursor or None,
        )
        return shown(found, found.version)


def defined(stored: StoredLists | None, name: str) -> ListDefinition:
    """The list of a name.

    Raises
    ------
    Problem
        404, if there is none.
    """
    lists = {each.name: each for each in (stored.lists if stored else ())}
    if name not in lists:
        near = nearest(name, lists)
        hint = f" Did you mean {near}?" if near else ""
        detail = f"You have no list of this name; `PUT` makes one.{hint}"
        raise Problem(404, "unknown-list", "Unknown list", detail, "name")
    return lists[name]


def replaced(
    stored: StoredLists | None, definition: ListDefinition, rules: StoredRules | None
) -> tuple[ListDefinition, ...]:
    """The lists with one of them made or changed.

    Raises
    ------
    Problem
        409 if a rule asks for the list that is to be disabled, if its values are of another field, or if there are
        too many lists.
    """
    lists = {each.name: each for each in (stored.lists if stored else ())}
    held = lists.get(definition.name)
    lists[definition.name] = definition
    try:
        check_lists(lists.values())
    except ListError as error:
        detail = f"{error.message[:1].upper()}{error.message[1:]}."
        raise Problem(409, "too-many-lists", "Too many lists", detail) from None
    if held is not None and held.field != definition.field:
        detail = "A list keeps its field, which its entries are values of. Make a list of another name."
        raise Problem(409, "list-field-fixed", "Field is fixed", detail, "field")
    asking = [rule.id for rule in (rules.rules if rules else ()) if definition.name in lists_named(rule)]
    if asking and not definition.enabled:
        detail = f"Rules that are enabled ask for this list: {', '.join(asking)}. Change them first."
        raise Problem(409, "list-in-use", "List in use", detail, "enabled")
    return tuple(lists.values())


def _name(request: Request) -> str:
    return parameters({key: unquote(text) for key, text in request.path.items()}, ListPath).name
