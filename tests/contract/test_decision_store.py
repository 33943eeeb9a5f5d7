"""What every ledger and every store of merchants does, whatever it is made of."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from runtime.stores.decisions import DECISION, DecisionStore, DynamoDecisionStore, MemoryDecisionStore, Record
from runtime.stores.merchants import (
    Credential,
    DynamoMerchantStore,
    MemoryMerchantStore,
    MerchantStore,
    parse_key,
    secret_hash,
)

RECORD = Record("shop/t1", DECISION, "digest", '{"decision":"approve"}', '{"event_id":"shop/t1"}')
KEY = Credential("abc123", "shop", secret_hash("secret"), active=True)


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest) -> DecisionStore:
    if request.param == "memory":
        return MemoryDecisionStore()
    return DynamoDecisionStore(request.getfixturevalue("dynamodb"), "decisions")


@pytest.fixture(params=["memory", "dynamodb"])
def merchants(request: pytest.FixtureRequest) -> MerchantStore:
    if request.param == "memory":
        return MemoryMerchantStore()
    return DynamoMerchantStore(request.getfixturevalue("dynamodb"), "merchants")


def test_the_first_record_is_kept_and_the_second_is_told(ledger: DecisionStore) -> None:
    assert ledger.get("shop/t1", DECISION) is None
    assert ledger.put(RECORD) is None
    assert ledger.put(replace(RECORD, digest="other", answer="other")) == RECORD
    assert ledger.get("shop/t1", DECISION) == RECORD


def test_an_equal_record_is_told_too(ledger: DecisionStore) -> None:
    assert ledger.put(RECORD) is None
    assert ledger.put(replace(RECORD)) == RECORD


def test_labels_and_outcomes_stand_beside_their_decision(ledger: DecisionStore) -> None:
    kinds = (DECISION, "label#fraud", "label#genuine", "outcome#authorised", "outcome#refunded")
    lines = [replace(RECORD, kind=kind, answer=kind) for kind in kinds]
    assert [ledger.put(line) for line in lines] == [None] * len(lines)
    assert [ledger.get("shop/t1", kind) for kind in kinds] == lines
    assert ledger.get("shop/t1", "outcome#declined") is None


def test_of_racing_writers_one_wins_and_all_are_told_the_same(ledger: DecisionStore) -> None:
    records = [replace(RECORD, answer=str(number)) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(ledger.put, records))
    winners = [record for record, kept in zip(records, told, strict=True) if kept is None]
    assert len(winners) == 1
    assert {kept for kept in told if kept is not None} == {winners[0]}
    assert ledger.get("shop/t1", DECISION) == winners[0]


def test_credentials_are_found_by_key_id(merchants: MerchantStore) -> None:
    assert merchants.get("abc123") is None
    merchants.add(KEY)
    merchants.add(replace(KEY, key_id="def456", usage_key="u"))
    assert merchants.get("abc123") == KEY
    assert {credential.key_id for credential in merchants.all()} == {"abc123", "def456"}


def test_a_key_id_is_never_given_twice(merchants: MerchantStore) -> None:
    merchants.add(KEY)
    with pytest.raises(ValueError, match="abc123"):
        merchants.add(replace(KEY, merchant_id="thief"))
    assert merchants.get("abc123") == KEY


def test_only_the_secret_of_an_active_key_is_admitted() -> None:
    assert KEY.admits("secret")
    assert not KEY.admits("Secret")
    assert not replace(KEY, active=False).admits("secret")


@pytest.mark.parametrize("text", ["", "pw", "pw_", "pw_id", "pw_id_", "sk_id_secret", "pw__secret"])
def test_what_is_no_key_is_none(text: str) -> None:
    assert parse_key(text) is None


def test_a_secret_may_hold_underscores() -> None:
    assert parse_key("pw_id_a_b_c") == ("id", "a_b_c")
