"""From the ledger's stream to the bus: everything new, nothing twice on purpose, nothing dropped."""

import io
import json
from collections.abc import Collection
from types import ModuleType
from typing import Any

import pytest

from tests.unit.lambdas.support import Context, lambda_event


class Bus:
    """EventBridge that refuses the events whose number it is told."""

    def __init__(self, refused: Collection[int] = ()) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self._refused = refused

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [entry for call in self.calls for entry in call]

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        first = len(self.sent)
        self.calls.append(Entries)
        results: list[dict[str, str]] = [
            {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
            if first + offset in self._refused
            else {"EventId": str(first + offset)}
            for offset in range(len(Entries))
        ]
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}


@pytest.fixture
def function(load: Any) -> ModuleType:
    module: ModuleType = load("relay_decisions")
    return module


def stream(count: int) -> list[dict[str, Any]]:
    """New decisions, numbered from 0."""
    made = lambda_event("ledger_stream")["Records"][0]
    return [{**made, "dynamodb": {**made["dynamodb"], "SequenceNumber": str(number)}} for number in range(count)]


def test_only_new_lines_become_events(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus()
    monkeypatch.setattr(function, "bus", bus)
    event = lambda_event("ledger_stream")
    assert {record["eventName"] for record in event["Records"]} == {"INSERT", "MODIFY", "REMOVE"}
    assert function.handler(event, Context()) == {"batchItemFailures": []}
    assert [entry["DetailType"] for entry in bus.sent] == ["transaction.decided", "label.recorded"]
    assert {(entry["Source"], entry["EventBusName"]) for entry in bus.sent} == {("paywarden", "payments")}
    rows = [
        record["dynamodb"]["NewImage"]["row"]["S"]
        for record in event["Records"]
        if record["eventName"] == "INSERT"
    ]
    assert [entry["Detail"] for entry in bus.sent] == rows
    assert json.loads(rows[1])["label"] == "chargeback"


def test_exactly_the_refused_events_are_named(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "bus", Bus(refused={0, 3, 17, 22}))
    answer = function.handler({"Records": stream(23)}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": number} for number in ("0", "3", "17", "22")]}


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
def test_a_call_never_carries_more_than_ten_events(function: ModuleType, count: int, sizes: list[int]) -> None:
    bus = Bus()
    assert function.relay(stream(count), bus, "payments") == []
    assert [len(call) for call in bus.calls] == sizes


def test_nothing_new_is_no_call(function: ModuleType) -> None:
    bus = Bus()
    removed = [record for record in lambda_event("ledger_stream")["Records"] if record["eventName"] != "INSERT"]
    assert function.relay(removed, bus, "payments") == []
    assert bus.calls == []


def test_a_bus_that_is_down_fails_the_batch(function: ModuleType) -> None:
    class Down:
        def put_events(self, **call: object) -> dict[str, Any]:
            raise ConnectionError(f"no route for {len(call)}")

    with pytest.raises(ConnectionError):
        function.relay(stream(2), Down(), "payments")


def test_only_what_was_published_counts_and_the_requests_are_named(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logged: io.StringIO
) -> None:
    def about(record: dict[str, Any], row: str) -> dict[str, Any]:
        image = {**record["dynamodb"]["NewImage"], "row": {"S": row}}
        return {**record, "dynamodb": {**record["dynamodb"], "NewImage": image}}

    monkeypatch.setattr(function, "bus", Bus(refused={1}))
    rows = ('{"correlation_id": "a"}', '{"correlation_id": "b"}', "{}", '{"correlation_id": 7}', "no JSON")
    lines = [about(record, row) for record, row in zip(stream(len(rows)), rows, strict=True)]
    expired = [{**record, "eventName": "REMOVE"} for record in stream(3)]
    assert function.handler({"Records": [*lines, *expired]}, Context()) == {
        "batchItemFailures": [{"itemIdentifier": "1"}]
    }
    told = json.loads(capsys.readouterr().out)
    assert (told["Relayed"], told["RelayFailed"]) == ([4.0], [1.0])
    said = json.loads(logged.getvalue().splitlines()[-1])
    assert (said["records"], said["failed"], said["correlation_ids"]) == (5, 1, ["a", "b"])
