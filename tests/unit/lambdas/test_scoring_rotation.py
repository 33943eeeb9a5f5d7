"""A change of the token key, seen by decisions: history and lists go on, and the row links old tokens to new."""

import msgspec
import pytest

from fraud.features import STANDARD
from fraud.features.definitions import Aggregation, WindowFeature
from fraud.lists import ListDefinition, StoredLists
from fraud.tokens import IDENTIFIERS, Keyring, KeyTrees, Tokeniser, digest_of, identified
from runtime.api import Problem, body_digest, parse
from runtime.contract.requests import DecisionRequest
from runtime.stores.decisions import DECISION, MemoryDecisionStore
from runtime.stores.documents import Entry
from runtime.stores.settings import MemorySettingsStore
from tests.unit.lambdas.deciding import NOW, TOKENS, body, decide, history, row, scorer, served
from tests.unit.lambdas.support import TOKEN_KEY

RING = Keyring(
    current="2",
    keys={"1": TOKEN_KEY, "2": "the key that comes after it, for the tests"},
    activates_at=NOW - 60_000,
    until=NOW + 60_000,
)


def decided(tokens: Tokeniser, settings: MemorySettingsStore | None = None) -> dict[str, object]:
    ledger = MemoryDecisionStore()
    decide(scorer(history(), ledger, model=served(), tokens=tokens, settings=settings))
    return row(ledger)


def test_the_vector_is_that_of_the_unbroken_history_but_for_distinct_values() -> None:
    before, after = decided(TOKENS)["features"], decided(Tokeniser(RING))["features"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert before["card_count_7d"] > 3
    distinct = {
        each.name
        for each in STANDARD.features
        if isinstance(each, WindowFeature) and each.aggregation is Aggregation.DISTINCT
    }
    assert {name: after.get(name) for name in before if name not in distinct} == {
        name: value for name, value in before.items() if name not in distinct
    }


def test_the_row_tells_what_the_tokens_were() -> None:
    old, new = decided(TOKENS), decided(Tokeniser(RING))
    sent = {name for name in IDENTIFIERS if old[name]}
    assert new["previous_tokens"] == {name: old[name] for name in sent}
    assert all(new[name] != old[name] for name in sent)
    assert old["previous_tokens"] == {}


def test_after_the_overlap_the_old_key_is_not_asked_any_more() -> None:
    over = Keyring(current="2", keys=RING.keys, activates_at=NOW - 2, until=NOW - 1)
    features = decided(Tokeniser(over))["features"]
    assert isinstance(features, dict)
    assert features["card_count_7d"] == 0


def test_a_repeat_is_the_same_request_under_both_keys_and_a_conflict_once_the_first_ones_is_gone() -> None:
    ledger = MemoryDecisionStore()
    first = decide(scorer(ledger=ledger))
    again = decide(scorer(ledger=ledger, tokens=Tokeniser(RING)))
    assert (again.answer, again.repeated) == (first.answer, True)
    over = Keyring(current="2", keys={"2": RING.keys["2"]})
    with pytest.raises(Problem, match="with another body"):
        decide(scorer(ledger=ledger, tokens=Tokeniser(over)))


def test_no_digest_can_be_tried_without_the_keys_or_once_one_of_the_people_is_erased() -> None:
    """Whoever has the whole body and the ledger finds out nothing by the digest."""
    ledger = MemoryDecisionStore()
    decide(scorer(ledger=ledger))
    kept = ledger.get("acme/order-1001", DECISION)
    assert kept is not None
    assert kept.digest != body_digest(body())
    raw = parse(body(), DecisionRequest).transaction("acme", NOW)
    trees = TOKENS.punctured([identified(raw)["email"]], lambda: b"r" * 32)
    ring = Keyring(current="1", keys={"1": ""}, trees=digest_of(trees.content()))
    erased = Tokeniser(ring, KeyTrees.parse(trees.content(), ring.trees))
    assert body_digest(body(), TOKENS.sealed(raw)[0].secret) == kept.digest
    assert body_digest(body(), erased.sealed(raw)[0].secret) != kept.digest
    with pytest.raises(Problem, match="cannot be compared"):
        decide(scorer(ledger=ledger, tokens=erased))


def test_the_digest_of_a_payment_is_part_of_the_ledgers_form() -> None:
    """If this changes, retries across an upgrade are refused (docs/upgrades.md)."""
    ledger = MemoryDecisionStore()
    decide(scorer(ledger=ledger))
    kept = ledger.get("acme/order-1001", DECISION)
    assert kept is not None
    assert kept.digest == "d0610ecdbfcaca570781b014e3c588104cf77b1b979e98956ca2a63f22fdd5b2"


def test_a_twin_that_was_received_before_the_key_changed_is_the_same_request() -> None:
    ledger = MemoryDecisionStore()
    made = scorer(ledger=ledger, tokens=Tokeniser(msgspec.structs.replace(RING, activates_at=NOW)))
    late, early = decide(made, at=NOW), decide(made, at=NOW - 1)
    assert (early.answer, early.repeated) == (late.answer, True)


def test_an_entry_from_before_the_change_still_blocks() -> None:
    settings = MemorySettingsStore()
    blocked = ListDefinition(name="blocked", field="card", action="block")
    settings.put("acme", StoredLists(version=1, lists=(blocked,), changed_at=1, changed_by="key:k"))
    card = decided(TOKENS)["card"]
    assert isinstance(card, str)
    entry = Entry(value=card, added_at=1, added_by="key:k")
    settings.change_entries("acme", "blocked", "card", now=NOW, by="key:k1", add=[entry])
    assert decided(Tokeniser(RING), settings)["decision"] == "decline"
