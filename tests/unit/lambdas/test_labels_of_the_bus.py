"""Labels from the bus: each message answered for by itself, and none recorded twice."""

import json
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import boto3
import pytest

from runtime.stores.decisions import DECISION, MemoryDecisionStore
from tests.unit.lambdas.reported import PAID, PAYMENT, decided
from tests.unit.lambdas.support import REGION, Context

LATER = PAID + 86_400_000
DETAIL = {"merchant_id": "acme", "transaction_id": "order-1001", "label": "chargeback", "source": "issuer"}


@pytest.fixture
def function(load: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: ModuleType = load("record_label")
    monkeypatch.setattr(module, "ledger", decided())
    return module


def envelope(detail: Any, *, at: int = LATER) -> str:
    """An event as its rule hands it on; EventBridge writes whole seconds."""
    time = datetime.fromtimestamp(at // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "version": "0",
            "id": "6a7e8feb-b491-4cf7-a9f1-000000000001",
            "detail-type": "label.reported",
            "source": "acme.disputes",
            "account": "123456789012",
            "time": time,
            "region": REGION,
            "resources": [],
            "detail": detail,
        }
    )


def messages(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": f"message-{number}", "eventSource": "aws:sqs", "body": body}
            for number, body in enumerate(bodies)
        ]
    }


def failed(answer: dict[str, Any]) -> list[str]:
    assert answer.keys() == {"batchItemFailures"}
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def labels(function: ModuleType) -> list[dict[str, Any]]:
    ledger: MemoryDecisionStore = function.ledger
    return [json.loads(line.answer) for line in ledger.all(PAYMENT.event_id) if line.kind != DECISION]


def test_a_label_of_the_bus_is_recorded_as_a_merchants_is(function: ModuleType) -> None:
    detail = DETAIL | {"known_at": "2026-01-02T09:00:00Z", "confidence": 0.7}
    assert failed(function.handler(messages(envelope(detail)), Context())) == []
    assert labels(function) == [
        {
            "transaction_id": "order-1001",
            "label": "chargeback",
            "known_at": "2026-01-02T09:00:00+00:00",
            "source": "issuer",
            "confidence": 0.7,
        }
    ]


def test_without_a_time_it_is_known_since_its_event_however_often_it_is_delivered(function: ModuleType) -> None:
    event = messages(envelope(DETAIL), envelope(DETAIL))
    for _ in range(2):
        assert failed(function.handler(event, Context())) == []
    assert [each["known_at"] for each in labels(function)] == ["2026-01-02T10:00:00+00:00"]


def test_one_that_comes_at_once_counts_from_its_payment(function: ModuleType) -> None:
    """The time of an event has no fraction of a second, and that of a payment has."""
    function.handler(messages(envelope(DETAIL, at=PAID - 900)), Context())
    assert [each["known_at"] for each in labels(function)] == ["2026-01-01T10:00:00+00:00"]


@pytest.mark.parametrize(
    "bad",
    [
        "this is no JSON",
        "[]",
        json.dumps({"detail": DETAIL}),
        envelope("a text"),
        envelope({name: value for name, value in DETAIL.items() if name != "merchant_id"}),
        envelope(DETAIL | {"merchant_id": 7}),
        envelope(DETAIL | {"merchant_id": "somebody-else"}),
        envelope(DETAIL | {"transaction_id": "order-1002"}),
        envelope(DETAIL | {"label": "fraud"}),
        envelope(DETAIL | {"known_at": "2025-12-31T00:00:00Z"}),
        envelope(DETAIL | {"known_at": "2026-01-02T10:02:01Z"}),
        envelope(DETAIL | {"note": "4242424242424242"}),
        "[" * 100_000,
    ],
)
def test_what_cannot_be_used_fails_by_itself_and_is_not_told_in_the_log(
    function: ModuleType, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    event = messages(bad, envelope(DETAIL))
    assert failed(function.handler(event, Context())) == ["message-0"]
    assert len(labels(function)) == 1
    written = capsys.readouterr().out
    counts = [json.loads(line) for line in written.splitlines() if '"_aws"' in line]
    assert [(each.get("Refused"), each.get("Labels")) for each in counts] == [([1.0], [1.0])]
    assert "4242" not in written
    assert "order-1002" not in written


class Broken(MemoryDecisionStore):
    """Cannot be reached at the first call."""

    calls = 0

    def all(self, event_id: str) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise ConnectionError
        return super().all(event_id)


def test_an_outage_fails_the_message_that_met_it_and_no_other(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Broken()
    ledger.records.update(function.ledger.records)
    monkeypatch.setattr(function, "ledger", ledger)
    event = messages(envelope(DETAIL), envelope(DETAIL | {"source": "analyst"}))
    assert failed(function.handler(event, Context())) == ["message-0"]
    assert [each["source"] for each in labels(function)] == ["analyst"]


def test_what_is_used_leaves_the_queue_and_what_is_not_ends_among_the_dead_letters(function: ModuleType) -> None:
    """A queue in memory, with the redrive policy that the stack gives to its own."""
    sqs = boto3.client("sqs", region_name=REGION)
    letters, queue = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("letters", "labels"))
    arn = sqs.get_queue_attributes(QueueUrl=letters, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"})
    bad = envelope(DETAIL | {"label": "odd"})
    for body in (envelope(DETAIL), bad, envelope(DETAIL | {"label": "confirmed_genuine", "source": "analyst"})):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    deliveries = 0
    while received := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        deliveries += 1
        event = {"Records": [{"messageId": each["MessageId"], "body": each["Body"]} for each in received]}
        again = failed(function.handler(event, Context()))
        for each in received:
            if each["MessageId"] not in again:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
    assert deliveries == 5
    (letter,) = sqs.receive_message(QueueUrl=letters, MaxNumberOfMessages=10)["Messages"]
    assert letter["Body"] == bad
    assert sorted(each["label"] for each in labels(function)) == ["chargeback", "confirmed_genuine"]
