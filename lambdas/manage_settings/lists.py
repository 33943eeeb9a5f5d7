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
from .models import EntriesRequest, ListAnswer, ListPath, ListQuery, ListRequest, ListsAnswer, ListSummary
from .values import Values

__all__ = ["ListCalls", "defined", "replaced", "without"]


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
        return self._shown_all(self.store.get(request.merchant_id, StoredLists))

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
        lists = replaced(current, definition, self.store.get(request.merchant_id, StoredRules))
        stored = self._put(request, current, lists)
        return self._shown(request, stored, defined(stored, name), ListQuery())

    def remove(self, request: Request) -> Answer:
        """Remove a list. Its entries count for nothing from then on, whatever is made under its name."""
        name = _name(request)
        current = self.store.get(request.merchant_id, StoredLists)
        expected(request, current.version if current else 0)
        lists = without(current, name, self.store.get(request.merchant_id, StoredRules))
        return self._shown_all(self._put(request, current, lists))

    def change_entries(self, request: Request) -> Answer:
        """Put values on a list and take others off it."""
        now = self.clock()
        given = parse(request.body, EntriesRequest)
        definition = defined(self.store.get(request.merchant_id, StoredLists), _name(request))
        values = Values(self.tokeniser(), request.merchant_id, definition.field, now)
        done = change_entries(self.store, definition, given, values, now=now, changed_by=self.author(request))
        return Answer(msgspec.json.encode(done).decode())

    def _put(
        self, request: Request, current: StoredLists | None, lists: tuple[ListDefinition, ...]
    ) -> StoredLists:
        document = StoredLists(
            version=_next(current), lists=lists, changed_at=self.clock(), changed_by=self.author(request)
        )
        return put(self.store, request.merchant_id, document)

    @staticmethod
    def _shown_all(stored: StoredLists | None) -> Answer:
        lists = ListsAnswer(
            version=stored.version if stored else 0,
            changed_at=moment(stored.changed_at) if stored else None,
            changed_by=stored.changed_by if stored else None,
            lists=[ListSummary.of(each) for each in (stored.lists if stored else ())],
        )
        return shown(lists, lists.version)

    def _shown(
        self, request: Request, stored: StoredLists | None, definition: ListDefinition, query: ListQuery
    ) -> Answer:
        entries, cursor = self.store.entries(
            request.merchant_id, definition.key, now=self.clock(), limit=query.limit, after=query.cursor or ""
        )
        found = ListAnswer(
            version=stored.version if stored else 0,
            changed_at=moment(stored.changed_at) if stored else None,
            changed_by=stored.changed_by if stored else None,
            **msgspec.structs.asdict(ListSummary.of(definition)),
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
    lists[definition.name] = msgspec.structs.replace(
        definition, generation=held.generation if held else _next(stored)
    )
    try:
        check_lists(lists.values())
    except ListError as error:
        detail = f"{error.message[:1].upper()}{error.message[1:]}."
        raise Problem(409, "too-many-lists", "Too many lists", detail) from None
    if held is not None and held.field != definition.field:
        detail = "A list keeps its field, which its entries are values of. Make a list of another name."
        raise Problem(409, "list-field-fixed", "Field is fixed", detail, "field")
    if not definition.enabled:
        _refuse_in_use(definition.name, rules, "enabled")
    return tuple(lists.values())


def without(stored: StoredLists | None, name: str, rules: StoredRules | None) -> tuple[ListDefinition, ...]:
    """The lists without one of them.

    Raises
    ------
    Problem
        404 if there is no such list, 409 if a rule asks for it.
    """
    gone = defined(stored, name)
    _refuse_in_use(name, rules, "name")
    return tuple(each for each in (stored.lists if stored else ()) if each != gone)


def _refuse_in_use(name: str, rules: StoredRules | None, field: str) -> None:
    asking = [rule.id for rule in (rules.rules if rules else ()) if name in lists_named(rule)]
    if asking:
        detail = f"Rules that are enabled ask for this list: {', '.join(asking)}. Change them first."
        raise Problem(409, "list-in-use", "List in use", detail, field)


def _next(stored: StoredLists | None) -> int:
    return stored.version + 1 if stored else 1


def _name(request: Request) -> str:
    return parameters({key: unquote(text) for key, text in request.path.items()}, ListPath).name
