"""What a ledger tells a writer that comes again with the very record it wrote."""

import pytest

from runtime.stores.decisions import DECISION, DecisionStore, DynamoDecisionStore, MemoryDecisionStore, Record


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest) -> DecisionStore:
    if request.param == "memory":
        return MemoryDecisionStore()
    return DynamoDecisionStore(request.getfixturevalue("dynamodb"), "decisions")


def test_the_same_object_put_twice_is_told_the_second_time(ledger: DecisionStore) -> None:
    record = Record("shop/t1", DECISION, "digest", "{}", "{}")
    assert ledger.put(record) is None
    assert ledger.put(record) == record


def test_other_transactions_and_other_kinds_are_other_records(ledger: DecisionStore) -> None:
    first = Record("shop/t1", DECISION, "a", "{}", "{}")
    second = Record("shop/t2", DECISION, "b", "{}", "{}")
    assert ledger.put(first) is None
    assert ledger.put(second) is None
    assert ledger.get("shop/t1", "label#0001") is None
    assert ledger.get("shop/t2", DECISION) == second
