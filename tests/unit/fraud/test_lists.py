"""Lists: what a payment is on, and what follows."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.events import Transaction
from fraud.lists import (
    LISTED_FIELDS,
    MOST_LISTS,
    ListAction,
    ListDefinition,
    ListError,
    StoredLists,
    check_lists,
    covered,
    matched,
    verdict,
)
from fraud.policy import Action

NOW = 1_700_000_000_000


def listed(name: str, action: ListAction = "none", *, enabled: bool = True) -> ListDefinition:
    return ListDefinition(name=name, field="card", action=action, enabled=enabled)


def test_every_listed_field_is_one_of_a_transaction() -> None:
    assert set(LISTED_FIELDS) <= set(Transaction.__struct_fields__)


@pytest.mark.parametrize(("ends", "on"), [(0, True), (NOW + 1, True), (NOW, False), (NOW - 1, False)])
def test_an_entry_counts_until_it_ends(ends: int, on: bool) -> None:
    assert matched([listed("vip")], {"card": {"vip": ends}}, NOW) == (("vip",) if on else ())


def test_a_list_is_found_by_its_own_field_only() -> None:
    lists = (listed("vip"), ListDefinition(name="lands", field="issuer_country", action="block"))
    assert matched(lists, {"card": {"lands": 0}, "issuer_country": {"vip": 0}}, NOW) == ()
    assert matched(lists, {"card": {"vip": 0, "gone": 0}, "issuer_country": {"lands": 0}}, NOW) == ("vip", "lands")
    assert covered((*lists, listed("second"))) == ("card", "issuer_country")


def test_a_disabled_list_is_neither_looked_up_nor_matched_nor_obeyed() -> None:
    off = (listed("off", "block", enabled=False),)
    assert covered(off) == ()
    assert matched(off, {"card": {"off": 0}}, NOW) == ()
    assert verdict(off, ["off"]) is None


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (("block", "allow", "review"), "decline"),
        (("review", "allow"), "approve"),
        (("review", "none"), "review"),
        (("none",), None),
        ((), None),
    ],
)
def test_block_beats_allow_beats_review(actions: tuple[ListAction, ...], expected: Action | None) -> None:
    lists = [listed(f"l{n}", action) for n, action in enumerate(actions)]
    assert verdict(lists, [each.name for each in lists]) == expected
    assert verdict(lists[::-1], [each.name for each in lists]) == expected
    assert verdict(lists, ["another"]) is None


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2 * NOW)))
def test_only_known_lists_are_told(looked_up: dict[str, int]) -> None:
    found = matched([listed(name) for name in "abc"], {"card": looked_up}, NOW)
    assert found == tuple(n for n in "abc" if n in looked_up and (looked_up[n] == 0 or looked_up[n] > NOW))


def test_names_are_unique_and_lists_not_too_many() -> None:
    with pytest.raises(ListError, match=r"lists\[1\].name: another list has this name"):
        check_lists([listed("vip"), listed("vip")])
    many = [listed(f"l{n}") for n in range(MOST_LISTS + 1)]
    check_lists(many[:-1])
    with pytest.raises(ListError, match="more than 20 lists"):
        check_lists(many)


@pytest.mark.parametrize(
    "wrong", [{"name": "Two Words"}, {"field": "amount"}, {"action": "decline"}, {"entries": []}]
)
def test_a_definition_of_another_form_is_refused(wrong: dict[str, object]) -> None:
    sent = {"name": "vip", "field": "email", "action": "allow"}
    stored = StoredLists(
        version=1, lists=(msgspec.convert(sent, ListDefinition),), changed_at=NOW, changed_by="key:k"
    )
    assert msgspec.json.decode(msgspec.json.encode(stored), type=StoredLists) == stored
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(sent | wrong, ListDefinition)
