"""What every ledger does, whatever it is made of."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from runtime.stores.decisions import DECISION, DecisionStore, DynamoDecisionStore, MemoryDecisionStore, Record

RECORD = Record("shop/t1", DECISION, "digest", '{"decision":"approve"}', '{"event_id":"shop/t1"}')


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest) -> DecisionStore:
    if request.param == "memory":
        return MemoryDecisionStore()
    return DynamoDecisionStore(request.getfixturevalue("dynamodb"), "decisions")


def test_the_first_record_is_kept_and_the_second_is_told(ledger: DecisionStore) -> None:
    assert ledger.get("shop/t1", DECISION) is None
    assert ledger.put(RECORD) is None
    assert ledger.put(replace(RECORD, digest="other", answer="other")) == RECORD
    assert ledger.get("shop/t1", DECISION) == RECORD


def test_an_equal_record_is_told_too(ledger: DecisionStore) -> None:
    assert ledger.put(RECORD) is None
    assert ledger.put(replace(RECORD)) == RECORD


def test_a_record_whose_first_answer_was_lost_is_written_and_not_repeated(dynamodb: Any) -> None:
    def lost(attempts: int, **_rest: object) -> float | None:
        return 0.0 if attempts == 1 else None

    dynamodb.meta.events.register_first("needs-retry.dynamodb.PutItem", lost)
    ledger = DynamoDecisionStore(dynamodb, "decisions")
    try:
        assert ledger.put(RECORD) is None
        # Somebody else's is told, however often it was tried.
        assert ledger.put(replace(RECORD, answer="other")) == RECORD
    finally:
        dynamodb.meta.events.unregister("needs-retry.dynamodb.PutItem", lost)


def test_labels_and_outcomes_stand_beside_their_decision(ledger: DecisionStore) -> None:
    kinds = (DECISION, "label#0001", "label#0002", "label#fraud", "outcome#authorised", "outcome#refunded")
    lines = [replace(RECORD, kind=kind, answer=kind) for kind in kinds]
    assert [ledger.put(line) for line in lines] == [None] * len(lines)
    assert [ledger.get("shop/t1", kind) for kind in kinds] == lines
    assert ledger.get("shop/t1", "outcome#declined") is None
    assert ledger.put(replace(RECORD, event_id="shop/t10")) is None
    assert ledger.all("shop/t1") == lines
    assert ledger.all("shop/t") == []


def test_of_racing_writers_one_wins_and_all_are_told_the_same(ledger: DecisionStore) -> None:
    records = [replace(RECORD, answer=str(number)) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(ledger.put, records))
    winners = [record for record, kept in zip(records, told, strict=True) if kept is None]
    assert len(winners) == 1
    assert {kept for kept in told if kept is not None} == {winners[0]}
    assert ledger.get("shop/t1", DECISION) == winners[0]
