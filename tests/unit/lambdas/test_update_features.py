"""The queue's messages as they come: each one is answered for by itself."""

import json
from types import ModuleType
from typing import Any

import pytest

from fraud.decision import event_of, outcome_row
from fraud.events import Outcome
from runtime import clients
from runtime.stores.features import DynamoFeatureStore
from tests.tables import create_table
from tests.unit.lambdas.deliveries import packed, reference
from tests.unit.lambdas.support import Context, lambda_event


@pytest.fixture
def function(load: Any) -> ModuleType:
    create_table(clients.dynamodb(), "features")
    module: ModuleType = load("update_features")
    return module


def failures(answer: dict[str, Any]) -> list[str]:
    assert answer.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def detail(record: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(record["body"])["detail"]
    return row


def message(record: dict[str, Any], name: str, row: dict[str, Any]) -> dict[str, Any]:
    return {**record, "messageId": name, "body": json.dumps({**json.loads(record["body"]), "detail": row})}


def counted(written: str, name: str) -> float:
    [document] = [json.loads(line) for line in written.splitlines() if '"_aws"' in line]
    [value] = document[name]
    return float(value)


def test_events_are_applied_and_poison_is_named(function: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    event = lambda_event("update_queue")
    names = [record["messageId"] for record in event["Records"]]
    assert failures(function.handler(event, Context())) == [names[1], names[3]]
    events = [event_of(detail(event["Records"][number])) for number in (0, 2)]
    store = DynamoFeatureStore(clients.dynamodb(), "features", consistent=True)
    assert packed(store, events) == reference(events)
    written = capsys.readouterr().out
    assert counted(written, "Applied") == 2
    assert counted(written, "Poison") == 2
    [document] = [json.loads(line) for line in written.splitlines() if '"_aws"' in line]
    assert len(document["FeatureLag"]) == 2, "one value for each event"
    assert min(document["FeatureLag"]) > 0


def test_the_requests_that_a_batch_comes_from_are_named_once(function: ModuleType, logged: Any) -> None:
    event = lambda_event("update_queue")
    good = event["Records"][0]
    ids = ("basket-1", "basket-2", "basket-1", None, 7)
    event["Records"] = [
        message(good, f"m{number}", {**detail(good), "transaction_id": f"t{number}", "correlation_id": each})
        for number, each in enumerate(ids)
    ]
    assert failures(function.handler(event, Context())) == []
    assert json.loads(logged.getvalue().splitlines()[-1])["correlation_ids"] == ["basket-1", "basket-2"]


def test_a_redelivered_batch_changes_nothing(function: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    event = lambda_event("update_queue")
    function.handler(event, Context())
    items = clients.dynamodb().scan(TableName="features")["Items"]
    capsys.readouterr()
    function.handler(event, Context())
    assert clients.dynamodb().scan(TableName="features")["Items"] == items
    assert counted(capsys.readouterr().out, "Duplicate") == 2


POISON = {
    "no JSON": "this is no JSON",
    "a list": "[17]",
    "a number": "70071992",
    "nothing": "",
    "no detail": "{}",
    "detail is text": '{"detail": "text"}',
    "detail is null": '{"detail": null}',
    "nested too deeply": "[" * 100_000,
    "a lone surrogate": '{"detail": {"event_id": "\\ud800"}}',
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON.keys())
def test_no_body_blocks_its_neighbours_or_reaches_the_log(function: ModuleType, logged: Any, body: str) -> None:
    event = lambda_event("update_queue")
    good = event["Records"][0]
    event["Records"] = [{**good, "messageId": "poison", "body": body}, good]
    assert failures(function.handler(event, Context())) == ["poison"]
    assert "no event in message poison" in logged.getvalue()
    assert not body or body not in logged.getvalue()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", -1),
        ("amount", "12"),
        ("amount", 10**15),
        ("currency", "???"),
        ("event_time", -1),
        ("event_time", 10**16),
        ("merchant_id", ""),
        ("recorded_at", None),
        ("recorded_at", "soon"),
        ("recorded_at", "1767225600000"),
        ("recorded_at", -1),
        ("recorded_at", 10**16),
        ("outcome", "lost"),
        ("label", "unsure"),
    ],
)
def test_no_event_blocks_its_neighbours(function: ModuleType, field: str, value: Any) -> None:
    event = lambda_event("update_queue")
    good = event["Records"][0]
    bad = {**detail(good), "transaction_id": "bad", field: value}
    event["Records"] = [message(good, "poison", bad), good]
    assert failures(function.handler(event, Context())) == ["poison"]


def test_an_outcome_is_folded(function: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    event = lambda_event("update_queue")
    good = event["Records"][0]
    paid = event_of(detail(good)).transaction
    told = Outcome(transaction=paid, kind="declined", event_time=paid.event_time + 900)
    event["Records"] = [good, message(good, "outcome", outcome_row(told, detail(good)["recorded_at"]))]
    assert failures(function.handler(event, Context())) == []
    store = DynamoFeatureStore(clients.dynamodb(), "features", consistent=True)
    assert packed(store, [paid, told]) == reference([paid, told])
    assert counted(capsys.readouterr().out, "Applied") == 2


@pytest.mark.parametrize(("replays", "failed"), [("true", []), ("false", ["future"])])
def test_the_future_is_folded_only_where_time_is_replayed(
    load: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    function: ModuleType,
    replays: str,
    failed: list[str],
) -> None:
    del function  # made the table
    monkeypatch.setenv("REPLAY_TIME", replays)
    event = lambda_event("update_queue")
    good = event["Records"][0]
    row = {**detail(good), "transaction_id": "future", "event_time": 4_000_000_000_000}
    event["Records"] = [message(good, "future", row), good]
    assert failures(load("update_features").handler(event, Context())) == failed
    assert counted(capsys.readouterr().out, "Rejected") == len(failed)


def test_a_corrupt_state_fails_the_events_of_its_own_key_only(function: ModuleType, logged: Any) -> None:
    event = lambda_event("update_queue")
    good = event["Records"][0]
    row = {**detail(good), "transaction_id": "other", "card": "card_other"}
    key = f"s1#card#{row['card']}#0"
    item: Any = {"key": {"S": key}, "state": {"B": b"rubbish"}, "version": {"N": "3"}}
    clients.dynamodb().put_item(TableName="features", Item=item)
    event["Records"] = [message(good, "corrupt", row), good]
    assert failures(function.handler(event, Context())) == ["corrupt"]
    assert "cannot be folded" in logged.getvalue()
    kept = clients.dynamodb().get_item(TableName="features", Key={"key": {"S": key}})["Item"]
    assert kept["state"]["B"] == b"rubbish"  # evidence, to be rebuilt from history; never overwritten
