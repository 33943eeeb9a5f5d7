"""Both stores of settings keep the same promises."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from fraud.lists import ListDefinition, StoredLists, matched
from fraud.policy import Policy, Thresholds
from fraud.rules import StoredRule, StoredRules
from runtime.auditing import AuditTrail
from runtime.stores.batches import batch_get
from runtime.stores.documents import (
    Change,
    Documents,
    Entry,
    ItemKey,
    MovedError,
    SettingsError,
    StoredPolicy,
    document_keys,
    listed_key,
    parse_documents,
    parse_listed,
)
from runtime.stores.entries import MOST_ENTRIES, Changed
from runtime.stores.settings import (
    LARGEST_DOCUMENT,
    DynamoSettingsStore,
    MemorySettingsStore,
    SettingsStore,
    TooLargeError,
)

NOW = 1_767_000_000_000
LISTS = StoredLists(
    version=1,
    lists=(ListDefinition(name="stolen", field="card", action="block"),),
    changed_at=NOW,
    changed_by="key:k1",
)
POLICY = Policy(version="own-1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))


class World:
    """A store, and how a decision reads the table by itself."""

    def __init__(self, store: SettingsStore, client: Any = None, table: str = "settings") -> None:
        self.store = store
        self._client = client
        self._table = table

    def items(self, *keys: ItemKey) -> list[Any]:
        if isinstance(self.store, MemorySettingsStore):
            return self.store.items(keys)
        wanted = [{"id": {"S": id_}, "part": {"S": part}} for id_, part in keys]
        return batch_get(self._client, {self._table: {"Keys": wanted}})[self._table]

    def listed(self, value: str, field: str = "card", merchant_id: str = "shop") -> dict[str, int]:
        return parse_listed(self.items(listed_key(merchant_id, field, value))).get(field, {})


@pytest.fixture(params=["memory", "dynamodb"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return World(MemorySettingsStore())
    client = request.getfixturevalue("dynamodb")
    return World(DynamoSettingsStore(client, "settings", AuditTrail(client, "audit")), client)


@pytest.fixture
def store(world: World) -> SettingsStore:
    return world.store


def rules(version: int, *names: str, changed_by: str = "key:k1", changed_at: int = NOW) -> StoredRules:
    stored = tuple(
        StoredRule(id=name, when="amount > 1", action="review", cel="amount > 1", needs=("amount",))
        for name in names
    )
    return StoredRules(
        version=version, mode="first_match", rules=stored, changed_at=changed_at, changed_by=changed_by
    )


def entry(value: str, *, expires_at: int = 0, note: str = "", added_by: str = "key:k1") -> Entry:
    return Entry(value=value, expires_at=expires_at, note=note, added_at=NOW, added_by=added_by)


def test_what_was_never_set_is_none(store: SettingsStore) -> None:
    assert store.get("shop", StoredRules) is None
    assert store.get("shop", StoredRules, 1) is None
    assert store.versions("shop", StoredRules, limit=10) == []


def test_every_version_stays_and_the_last_is_current(store: SettingsStore) -> None:
    first, second = rules(1, "a"), rules(2, "a", "b", changed_by="operator:jane", changed_at=NOW + 5)
    assert store.put("shop", first) == first
    assert store.put("shop", second) == second
    assert store.get("shop", StoredRules) == second
    assert store.get("shop", StoredRules, 1) == first
    assert store.get("shop", StoredRules, 2) == second
    assert store.get("shop", StoredRules, 3) is None
    assert store.versions("shop", StoredRules, limit=10) == [
        Change(2, NOW + 5, "operator:jane"),
        Change(1, NOW, "key:k1"),
    ]


def test_versions_come_in_pages_and_in_the_order_of_numbers(store: SettingsStore) -> None:
    for number in range(1, 13):
        store.put("shop", rules(number, f"rule-{number}"))
    newest = store.versions("shop", StoredRules, limit=5)
    assert [each.version for each in newest] == [12, 11, 10, 9, 8]
    following = store.versions("shop", StoredRules, limit=50, before=newest[-1].version)
    assert [each.version for each in following] == [7, 6, 5, 4, 3, 2, 1]
    assert store.versions("shop", StoredRules, limit=5, before=1) == []


def test_documents_and_merchants_do_not_touch_each_other(store: SettingsStore) -> None:
    store.put("shop", rules(1, "a"))
    store.put("shop", LISTS)
    assert store.get("shop-2", StoredRules) is None
    assert store.get("shop", StoredPolicy) is None
    assert store.versions("shop", StoredLists, limit=10) == [Change(1, NOW, "key:k1")]
    assert store.get("shop", StoredLists) == LISTS


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_change_of_what_is_not_current_changes_nothing(store: SettingsStore, version: int) -> None:
    store.put("shop", rules(1, "a"))
    with pytest.raises(MovedError, match="rules"):
        store.put("shop", rules(version, "b"))
    assert store.get("shop", StoredRules) == rules(1, "a")
    assert len(store.versions("shop", StoredRules, limit=10)) == 1


def test_the_same_again_makes_no_version(store: SettingsStore) -> None:
    first = rules(1, "a")
    store.put("shop", first)
    assert store.put("shop", rules(2, "a", changed_by="operator:jane", changed_at=NOW + 9)) == first
    assert store.get("shop", StoredRules) == first
    assert len(store.versions("shop", StoredRules, limit=10)) == 1


def test_of_racing_changes_of_one_version_one_wins(store: SettingsStore) -> None:
    store.put("shop", rules(1, "a"))

    def change(number: int) -> bool:
        try:
            store.put("shop", rules(2, f"rule-{number}"))
        except MovedError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = [number for number, done in enumerate(pool.map(change, range(12))) if done]
    assert len(won) == 1
    assert store.get("shop", StoredRules) == store.get("shop", StoredRules, 2) == rules(2, f"rule-{won[0]}")
    assert [each.version for each in store.versions("shop", StoredRules, limit=10)] == [2, 1]


def test_what_is_too_large_is_refused_and_not_stored(store: SettingsStore) -> None:
    large = msgspec.structs.replace(LISTS, changed_by="x" * LARGEST_DOCUMENT)
    with pytest.raises(TooLargeError, match="lists"):
        store.put("shop", large)
    assert store.get("shop", StoredLists) is None


def test_a_decision_reads_all_documents_by_their_keys(world: World) -> None:
    keys = document_keys("shop")
    assert parse_documents("shop", world.items(*keys)) == Documents()
    world.store.put("shop", rules(1, "a"))
    world.store.put("shop", LISTS)
    own = StoredPolicy(version=1, policy=POLICY, changed_at=NOW, changed_by="key:k1")
    world.store.put("shop", own)
    world.store.put("other", rules(1, "theirs"))
    world.store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1", add=[entry("card_1")])
    looked_up = listed_key("shop", "card", "card_1")
    items = world.items(*keys, looked_up, *document_keys("other"))
    assert parse_documents("shop", items) == Documents(rules(1, "a"), LISTS, POLICY)
    assert parse_listed(items) == {"card": {"stolen": 0}}
    world.store.put("shop", msgspec.structs.replace(own, version=2, policy=None))
    assert parse_documents("shop", world.items(*keys)).policy is None


def test_a_document_that_cannot_be_read_is_named_and_not_shown() -> None:
    item = {"id": {"S": "merchant#shop"}, "part": {"S": "rules"}, "document": {"S": '{"secret": 1}'}}
    with pytest.raises(SettingsError, match="merchant#shop, rules") as raised:
        parse_documents("shop", [item])
    assert "secret" not in str(raised.value)


def test_entries_are_found_by_value_and_listed_in_order(world: World) -> None:
    store = world.store
    added = [entry("card_2", expires_at=NOW + 60_000), entry("card_1", note="by phone")]
    assert store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1", add=added) == Changed(
        added=frozenset({"card_1", "card_2"})
    )
    assert world.listed("card_1") == {"stolen": 0}
    assert world.listed("card_2") == {"stolen": NOW + 60_000}
    assert world.listed("card_1", merchant_id="other") == {}
    assert world.listed("card_1", field="device") == {}
    assert store.entries("shop", "stolen", now=NOW, limit=10) == ([added[1], added[0]], "")


def test_entries_come_in_pages(store: SettingsStore) -> None:
    names = [f"card_{number:03d}" for number in range(7)]
    store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1", add=[entry(name) for name in names])
    store.change_entries("shop", "stolen-2", "card", now=NOW, by="key:k1", add=[entry("card_900")])
    seen, after, pages = [], "", 0
    while pages < 9:
        page, after = store.entries("shop", "stolen", now=NOW, limit=3, after=after)
        seen += [each.value for each in page]
        pages += 1
        if not after:
            break
    assert (seen, pages) == (names, 3)
    assert store.entries("shop", "stolen", now=NOW, limit=3, after="\U000f3f1d") == ([], "")


def test_a_value_may_be_on_several_lists_and_leaves_one(world: World) -> None:
    for name in ("stolen", "watched"):
        world.store.change_entries("shop", name, "card", now=NOW, by="key:k1", add=[entry("card_1")])
    assert world.listed("card_1") == {"stolen": 0, "watched": 0}
    changed = world.store.change_entries(
        "shop", "stolen", "card", now=NOW, by="key:k1", remove=["card_1", "card_7"]
    )
    assert changed == Changed(removed=frozenset({"card_1"}))
    assert world.listed("card_1") == {"watched": 0}
    assert world.store.entries("shop", "stolen", now=NOW, limit=9) == ([], "")
    world.store.change_entries("shop", "watched", "card", now=NOW, by="key:k1", remove=["card_1"])
    assert world.items(listed_key("shop", "card", "card_1")) == []


def test_the_same_entry_again_is_left_as_it_was_and_another_end_replaces_it(world: World) -> None:
    store = world.store
    store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1", add=[entry("card_1", note="n")])
    again = store.change_entries(
        "shop", "stolen", "card", now=NOW, by="key:k2", add=[entry("card_1", note="n", added_by="key:k2")]
    )
    assert again == Changed()
    assert store.entries("shop", "stolen", now=NOW, limit=9)[0] == [entry("card_1", note="n")]
    later = entry("card_1", note="n", expires_at=NOW + 1, added_by="key:k2")
    assert store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1", add=[later]).added == {"card_1"}
    assert store.entries("shop", "stolen", now=NOW, limit=9)[0] == [later]
    assert world.listed("card_1") == {"stolen": NOW + 1}


def test_expired_entries_do_not_count_and_dynamodb_may_delete_them(world: World) -> None:
    store = world.store
    store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1", add=[entry("card_1", expires_at=NOW + 1)])
    assert store.entries("shop", "stolen", now=NOW + 1, limit=9) == ([], "")
    assert matched(LISTS.lists, {"card": world.listed("card_1")}, NOW) == ("stolen",)
    assert matched(LISTS.lists, {"card": world.listed("card_1")}, NOW + 1) == ()
    keys = listed_key("shop", "card", "card_1"), ("list#shop#stolen", "entry#card_1")
    assert [item["expires_at"] for item in world.items(*keys)] == [{"N": str(NOW // 1_000 + 1)}] * 2
    # Another list keeps the value for good: what is looked up must then outlive the first one's end.
    store.change_entries("shop", "watched", "card", now=NOW, by="key:k1", add=[entry("card_1")])
    (item,) = world.items(keys[0])
    assert "expires_at" not in item
    store.change_entries(
        "shop", "watched", "card", now=NOW + 2, by="key:k1", add=[entry("card_1", expires_at=NOW + 9_000)]
    )
    assert world.listed("card_1") == {"watched": NOW + 9_000}


@pytest.mark.parametrize(("first", "second", "counts"), [(0, NOW, 0), (NOW, 0, 0), (NOW, NOW + 1, NOW + 1)])
def test_of_a_value_under_two_tokens_the_longer_entry_counts(
    world: World, first: int, second: int, counts: int
) -> None:
    for value, end in (("card_1", first), ("card_2", second)):
        world.store.change_entries(
            "shop", "stolen", "card", now=1, by="key:k1", add=[entry(value, expires_at=end)]
        )
    both = [listed_key("shop", "card", value) for value in ("card_1", "card_2")]
    assert parse_listed(world.items(*both)) == {"card": {"stolen": counts}}


def test_one_call_changes_a_bounded_number_of_entries_each_of_them_once(store: SettingsStore) -> None:
    most = [entry(f"card_{number:02d}") for number in range(MOST_ENTRIES)]
    assert store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1", add=most).added == {
        each.value for each in most
    }
    for add, remove in (([*most, entry("card_x")], []), ([most[0]], [most[0].value]), ([most[0], most[0]], [])):
        with pytest.raises(ValueError, match="at once"):
            store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1", add=add, remove=remove)
    assert store.change_entries("shop", "stolen", "card", now=NOW, by="key:k1") == Changed()


def test_racing_changes_of_one_value_are_all_made(world: World) -> None:
    names = [f"list-{number}" for number in range(4)]

    def change(name: str) -> None:
        while True:
            try:
                world.store.change_entries("shop", name, "card", now=NOW, by="key:k1", add=[entry("card_1")])
            except MovedError:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, names))
    assert world.listed("card_1") == dict.fromkeys(names, 0)
