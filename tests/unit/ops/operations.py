"""A small deployment for the operators' commands: queues, buckets and tables of moto, and calls that are noted."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws

from fraud.events import Transaction
from fraud.features import STANDARD
from infra.environment import Environment
from infra.environments import LOCAL
from lambdas.update_features.updating import Delivery, Updater
from ops.queues.letters import OUTPUTS, Box, Queue
from runtime.stores.features import DynamoFeatureStore
from tests.tables import create_table

__all__ = ["ACCOUNT", "NOON", "REGION", "Small", "event", "payment", "row", "small_deployment"]

REGION = "eu-west-1"
ACCOUNT = "123456789012"
NOON = 1_770_000_000_000

_QUEUES = {**{output: str(queue) for queue, output in OUTPUTS.items()}, "UpdateQueueUrl": "to-update"}
_QUEUES |= {"LabelQueueUrl": "to-record"}


def payment(number: int, **changes: Any) -> Transaction:
    made = Transaction(
        transaction_id=f"t{number}",
        merchant_id="shop",
        event_time=NOON + number * 1_000,
        amount=1_000 + number,
        currency="EUR",
        card=f"card-{number % 2}",
        customer=f"customer-{number % 3}",
    )
    return msgspec.structs.replace(made, **changes)


def row(transaction: Transaction, **changes: Any) -> dict[str, Any]:
    """A line of the ledger, as the bus carries it."""
    fields = {**msgspec.structs.asdict(transaction), "event_id": transaction.event_id, "decision": "approve"}
    return {**fields, "recorded_at": transaction.event_time + 5, **changes}


def event(transaction: Transaction, **changes: Any) -> str:
    """A message of the update queue."""
    detail = row(transaction, **changes)
    return json.dumps({"source": "paywarden", "detail-type": "transaction.decided", "detail": detail})


@dataclass
class Small:
    """A deployment, and what its functions were asked."""

    environment: Environment = LOCAL
    resources: dict[str, str] = field(default_factory=dict)
    session: Any = None
    clients: dict[str, Any] = field(default_factory=dict)
    called: list[tuple[str, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    told: list[tuple[str, str, Any]] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        return self.resources[name]

    def client(self, service: str) -> Any:
        """One for each service: to make one costs more than a call."""
        if service not in self.clients:
            self.clients[service] = self.session.client(service)
        return self.clients[service]

    def tell(self, kind: str, action: str, **more: Any) -> None:
        """Stands for the audit trail: what was told to it is kept."""
        self.told.append((kind, action, more))

    def features(self) -> DynamoFeatureStore:
        return DynamoFeatureStore(self.client("dynamodb"), self["FeaturesTable"], consistent=True)

    def box(self, queue: Queue) -> Box:
        return Box(self.client("sqs"), self[OUTPUTS[queue]], wait=0)

    def dies(self, queue: Queue, body: str, **attributes: str) -> str:
        """Put a dead letter into a queue; its id."""
        told = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        sent = self.client("sqs").send_message(
            QueueUrl=self[OUTPUTS[queue]], MessageBody=body, MessageAttributes=told
        )
        return str(sent["MessageId"])

    def bodies(self, name: str) -> list[str]:
        """What is visible in a queue, in no order that counts."""
        return sorted(letter.body for letter in Box(self.client("sqs"), self[name], wait=0).peek(100))

    def records(self, transaction: Transaction, **changes: Any) -> None:
        """Put a decision into the ledger."""
        fields = {
            "id": transaction.event_id,
            "kind": "decision",
            "digest": "d",
            "answer": "{}",
            "row": json.dumps(row(transaction, **changes)),
        }
        item = {name: {"S": value} for name, value in fields.items()}
        self.client("dynamodb").put_item(TableName=self["DecisionsTable"], Item=item)

    def folds(self, *transactions: Transaction, now: int = NOON + 10**9) -> None:
        """Fold decisions into the states that are written at a moment."""
        updater = Updater(features=STANDARD, store=self.features(), clock=lambda: now, pause=lambda _attempt: None)
        report = updater.apply([Delivery(each.event_id, each, each.event_time + 5) for each in transactions])
        assert not report.failed

    def calling(self, _deployment: Any, verb_noun: str) -> Callable[[Any], Any]:
        """Stands for a function that can be called."""
        return partial(self.call, verb_noun)

    def call(self, verb_noun: str, payload: Any) -> Any:
        """Stands for a call of a function: what it was asked is kept."""
        self.called.append((verb_noun, payload))
        answer = self.answers.pop(0) if self.answers else {"batchItemFailures": []}
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def small_deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = Small(session=boto3.Session(region_name=REGION))
        sqs, dynamodb, s3 = (made.client(each) for each in ("sqs", "dynamodb", "s3"))
        made.resources = {
            output: sqs.create_queue(QueueName=f"paywarden-local-{name}")["QueueUrl"]
            for output, name in _QUEUES.items()
        }
        s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        for kind in ("features", "decisions"):
            create_table(dynamodb, kind, StreamSpecification=stream)
        made.resources |= {"LakeBucket": "lake", "FeaturesTable": "features", "DecisionsTable": "decisions"}
        monkeypatch.setattr("ops.queues.ways.calling", made.calling)
        yield made
