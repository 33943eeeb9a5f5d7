"""Both stores of releases keep the same promises."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fraud.policy import Policy, Thresholds
from fraud.serving import Serving
from runtime.auditing import AuditTrail
from runtime.stores.lineages import Event, Happened, Lineage, Served, UnreadableRecordError, Waiting
from runtime.stores.releases import DynamoReleaseStore, MemoryReleaseStore, ReleaseStore
from runtime.stores.transactions import ConflictError

POLICY = Policy(version="p1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))
FIRST, SECOND = (Waiting(token=each, asked_at=1) for each in ("first", "second"))


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> ReleaseStore:
    if request.param == "memory":
        return MemoryReleaseStore()
    client = request.getfixturevalue("dynamodb")
    return DynamoReleaseStore(client, "releases", AuditTrail(client, "audit"))


def lineage(version: str = "run-1", dataset: str = "d1") -> Lineage:
    return Lineage(
        version=version,
        created_at=1,
        dataset=dataset,
        code_version="c0ffee",
        parameters={"max_depth": "3"},
        metrics={"auc": 0.9},
        package="arn:package",
        artifact="s3://models/runs/run-1/model.tar.gz",
        evaluation="s3://models/runs/run-1/evaluation/",
        events=(event("registered"),),
    )


def event(what: Happened, at: int = 1, by: str = "retrain:run-1") -> Event:
    return Event(what=what, at=at, by=by)


def served(number: int, champion: str = "run-1") -> Served:
    return Served(
        number=number,
        document=Serving(policy=POLICY, champion=champion),
        at=number * 10,
        by="jane",
        reason="because",
        configuration=str(number),
    )


def test_a_run_is_registered_once(store: ReleaseStore) -> None:
    assert store.lineage("run-1") is None
    assert store.register(lineage()) == lineage()
    assert store.register(lineage(dataset="other")) == lineage()
    assert store.lineage("run-1") == lineage()


def test_what_happens_is_added_in_order_and_the_same_thing_once(store: ReleaseStore) -> None:
    assert store.happened("run-1", event("shadow")) is None
    store.register(lineage())
    for at, what in enumerate(("shadow", "shadow", "canary", "withdrawn", "canary")):
        store.happened("run-1", event(what, at))
    found = store.lineage("run-1")
    assert found is not None
    assert [(each.what, each.at) for each in found.events[1:]] == [
        ("shadow", 0),
        ("canary", 2),
        ("withdrawn", 3),
        ("canary", 4),
    ]
    assert found.last("canary") == event("canary", 4)
    assert not found.withdrawn


def test_a_word_that_is_told_late_is_no_news_and_a_stage_may_begin_anew(store: ReleaseStore) -> None:
    store.register(lineage())
    for at, what in enumerate(("approved", "canary", "approved", "canary")):
        store.happened("run-1", event(what, at))
    store.happened("run-1", event("canary", 9), anew=True)
    store.happened("run-1", event("declined", 10))
    found = store.lineage("run-1")
    assert found is not None
    told = [("approved", 0), ("canary", 1), ("canary", 9), ("declined", 10)]
    assert [(each.what, each.at) for each in found.events[1:]] == told
    assert found.moved == event("declined", 10)


def test_a_late_word_does_not_bring_a_withdrawn_model_back(store: ReleaseStore) -> None:
    store.register(lineage())
    for what in ("canary", "withdrawn", "approved"):
        store.happened("run-1", event(what))
    found = store.lineage("run-1")
    assert found is not None
    assert (found.state, found.withdrawn, found.released) == ("approved", True, True)


def test_who_writes_at_once_loses_nothing(store: ReleaseStore) -> None:
    store.register(lineage())
    what: tuple[Happened, ...] = ("shadow", "asked", "approved")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda each: store.happened("run-1", event(each)), what))
    found = store.lineage("run-1")
    assert found is not None
    assert {each.what for each in found.events} == {"registered", *what}


def test_the_token_of_a_run_is_kept_until_it_was_answered(store: ReleaseStore) -> None:
    assert store.waiting("run-1") is None
    store.wait("run-1", FIRST)
    store.wait("run-1", SECOND)
    assert store.waiting("run-1") == SECOND
    assert store.waiting("run-2") is None
    store.answered("run-1", FIRST.token)
    assert store.waiting("run-1") == SECOND
    for _ in range(2):
        store.answered("run-1", SECOND.token)
        assert store.waiting("run-1") is None


def test_a_token_that_takes_another_one_s_place_in_between_is_not_forgotten(
    store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = store._item

    def overtaken(run: str, part: str) -> Any:
        item = read(run, part)
        store.wait(run, SECOND)
        return item

    store.wait("run-1", FIRST)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_item", overtaken)
        store.answered("run-1", FIRST.token)
    assert store.waiting("run-1") == SECOND


def test_a_number_of_the_history_is_given_once(store: ReleaseStore) -> None:
    store.serves(served(1))
    with pytest.raises(ConflictError):
        store.serves(served(1, "run-2"))
    assert store.last_served() == served(1)


def test_the_history_is_told_backwards_by_page_and_by_time(store: ReleaseStore) -> None:
    assert (store.last_served(), store.served_at(5)) == (None, None)
    for number in range(1, 121):
        store.serves(served(number))
    assert [each.number for each in store.history()] == list(range(120, 0, -1))
    assert [each.number for each in store.history(limit=3)] == [120, 119, 118]
    assert [each.number for each in store.history(limit=51)] == list(range(120, 69, -1))
    assert store.served_at(9) is None
    assert store.served_at(10) == served(1)
    assert store.served_at(1_059) == served(105)


def test_what_cannot_be_read_is_named(dynamodb: Any) -> None:
    dynamodb.put_item(
        TableName="releases",
        Item={"id": {"S": "run#run-1"}, "part": {"S": "record"}, "document": {"S": '{"version": 7}'}},
    )
    with pytest.raises(UnreadableRecordError, match=r"run#run-1, record.*deploy the version that wrote it"):
        DynamoReleaseStore(dynamodb, "releases").lineage("run-1")
