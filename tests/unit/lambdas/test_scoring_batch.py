"""Several payments at once: each is answered as it would have been by itself."""

import json
from collections.abc import Sequence

from botocore.exceptions import ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.codec import CorruptStateError
from fraud.features import Key
from lambdas.score_transaction.batch import decide_many
from lambdas.score_transaction.scoring import Asking, Outcome
from runtime.api import parse
from runtime.contract.requests import DecisionRequest
from runtime.http import Problem
from runtime.stores.decisions import MemoryDecisionStore, Record
from runtime.stores.features import MemoryFeatureStore, Versioned
from tests.unit.lambdas.deciding import NOW, TOKENS, body, decide, history, scorer, served

ASKING = Asking("acme", NOW)


def told(result: Outcome | Problem) -> object:
    return result.body if isinstance(result, Problem) else (result.answer, result.degraded, result.action)


def test_each_is_answered_in_its_place_as_if_alone() -> None:
    states, model = history(), served()
    sent = [
        body(transaction_id="a"),
        body(transaction_id="b", amount=-1),
        b"{",
        body(transaction_id="c", card={"token": "tok-other"}),
        body(transaction_id="d", currency="XXX"),
    ]
    ledger = MemoryDecisionStore()
    together = decide_many(scorer(states, ledger, model=model), sent, ASKING)
    alone = []
    for each in sent:
        try:
            alone.append(told(decide(scorer(states, model=model), each)))
        except Problem as problem:
            alone.append(problem.body)
    assert [told(each) for each in together] == alone
    assert {name for name, _ in ledger.records} == {"acme/a", "acme/c"}


def test_a_problem_that_was_found_before_keeps_its_place() -> None:
    problem = Problem(400, "invalid-body", "Invalid body", "No JSON.")
    results = decide_many(scorer(), [problem, body(), problem], ASKING)
    assert [results[0], results[2]] == [problem, problem]
    assert isinstance(results[1], Outcome)


def test_the_same_id_twice_is_one_decision_and_another_body_is_refused() -> None:
    ledger = MemoryDecisionStore()
    results = decide_many(scorer(ledger=ledger), [body(), body(amount=1), body()], ASKING)
    first, other, again = results
    assert isinstance(first, Outcome)
    assert isinstance(again, Outcome)
    assert (first.repeated, again.repeated, again.answer) == (False, True, first.answer)
    assert isinstance(other, Problem)
    assert other.status == 409
    assert len(ledger.records) == 1


def test_a_hundred_are_read_in_groups_and_no_key_twice_in_one() -> None:
    asked = []

    class Snapshots:
        def __init__(self, inner: object) -> None:
            self.inner = inner

        def read(self, keys: list[object], settings: list[object]) -> object:
            asked.append((len(keys) == len(set(keys)), len(settings) == len(set(settings))))
            return self.inner.read(keys, settings)  # type: ignore[attr-defined]  # whatever the scorer had

    made = scorer(history(), model=served())
    object.__setattr__(made, "snapshots", Snapshots(made.snapshots))
    results = decide_many(made, [body(transaction_id=f"t{number}") for number in range(100)], ASKING)
    assert all(isinstance(each, Outcome) and not each.degraded for each in results)
    assert asked == [(True, True)] * 10


def test_what_cannot_be_read_is_done_without_for_its_own_group_only() -> None:
    class Corrupt(MemoryFeatureStore):
        def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
            if any(key.token == bad for key in keys):
                raise CorruptStateError("fails its checksum")
            return super().read(keys, generation=generation)

    sent = [body(transaction_id=f"t{number}", card={"token": f"tok-{number}"}) for number in range(30)]
    bad = TOKENS.apply(parse(sent[12], DecisionRequest).transaction("acme", NOW)).card
    told: list[Exception] = []
    results = decide_many(scorer(Corrupt(), model=served(), failed=told.append), sent, ASKING)
    degraded = [number for number, each in enumerate(results) if isinstance(each, Outcome) and each.degraded]
    assert degraded == list(range(10, 20))
    assert len(told) == 2  # the group was asked for once more


def test_a_group_that_was_slow_once_is_asked_for_again_while_there_is_time() -> None:
    class Slow(MemoryFeatureStore):
        now, asked, takes = 0.0, 0, 0.5

        def read(self, keys: Sequence[Key], *, generation: int | None = None) -> dict[Key, Versioned]:
            self.asked += 1
            self.now += self.takes
            if self.asked == 1:
                raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
            return super().read(keys, generation=generation)

    for takes, degraded in ((0.5, False), (2.5, True)):
        store = Slow()
        store.takes = takes
        told: list[Exception] = []
        made = scorer(store, model=served(), failed=told.append, monotonic=lambda store=store: store.now)
        [result] = decide_many(made, [body()], ASKING)
        assert isinstance(result, Outcome)
        assert (result.degraded, len(told)) == (degraded, 1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 2])), max_size=12))
def test_of_each_id_the_first_counts_however_they_are_mixed(sent: list[tuple[str, int]]) -> None:
    ledger = MemoryDecisionStore()
    results = decide_many(
        scorer(ledger=ledger), [body(transaction_id=name, amount=amount) for name, amount in sent], ASKING
    )
    first: dict[str, int] = {}
    for (name, amount), result in zip(sent, results, strict=True):
        if first.setdefault(name, amount) == amount:
            assert isinstance(result, Outcome)
            assert json.loads(result.answer)["transaction_id"] == name
        else:
            assert isinstance(result, Problem)
    assert len(ledger.records) == len(first)


def test_a_ledger_that_is_silent_is_waited_for_once_and_not_for_each() -> None:
    class Silent(MemoryDecisionStore):
        now, asked = 0.0, 0

        def put(self, record: Record) -> Record | None:
            self.asked += bool(record.event_id)
            self.now += 5.0
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")

    ledger, failures = Silent(), list[Exception]()
    made = scorer(ledger=ledger, failed=failures.append, monotonic=lambda: ledger.now)
    results = decide_many(made, [body() for _ in range(100)], ASKING)
    assert [each.status for each in results if isinstance(each, Problem)] == [503] * 100
    assert ledger.asked == len(failures) == 1
