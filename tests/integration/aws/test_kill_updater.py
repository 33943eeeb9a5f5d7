"""A queue worked off by processes that die at random calls: nothing acknowledged is lost, nothing counts twice."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import batched
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.session import get_session
from moto import mock_aws

from fraud.codec import encode
from fraud.events import Event, Label, Transaction
from fraud.features import Key
from fraud.replay import fold
from fraud.state import State
from runtime.stores.features import DynamoFeatureStore
from tests.integration.aws.bridge import REGION, serve

pytestmark = pytest.mark.integration

CONSUMER = Path(__file__).with_name("queue_consumer.py")
START = 1_767_225_600_000
MINUTE = 60_000
AWS = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
BATCH = 5
KILLS = 6
MOST_CALLS = 18
"""A process dies at one of its first calls to DynamoDB; a batch makes three of them."""


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = get_session().create_client("dynamodb")
        client.create_table(
            TableName="features",
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def some_events(rng: random.Random) -> list[Event]:
    """Payments of forty days over shared cards, customers and merchants, and labels of some, in no order."""
    events: list[Event] = []
    for number in range(150):
        paid = Transaction(
            transaction_id=f"t{number}",
            merchant_id=f"m{rng.randrange(3)}",
            event_time=START + rng.randrange(40 * 24 * 60) * MINUTE,
            amount=rng.randrange(100_000),
            currency="EUR",
            card=f"card_{rng.randrange(12)}",
            customer=f"cust_{rng.randrange(12)}",
            device=f"dev_{rng.randrange(5)}",
        )
        events.append(paid)
        if number % 3 == 0:
            events.append(Label(transaction=paid, kind="chargeback", known_at=paid.event_time + MINUTE))
    rng.shuffle(events)
    return events


def message(event: Event) -> dict[str, str]:
    """A message as SQS delivers it, with EventBridge's envelope around the row."""
    row = {"event_id": event.event_id, **msgspec.to_builtins(event.transaction), "recorded_at": START}
    if isinstance(event, Label):
        row |= {"label": event.kind, "is_fraud": event.is_fraud, "known_at": event.known_at}
    return {"messageId": event.event_id, "body": json.dumps({"source": "paywarden", "detail": row})}


class Machine:
    """Runs the function in one process after the other, and pulls the plug at a chosen call."""

    def __init__(self, folder: Path) -> None:
        self._queue = folder / "queue.jsonl"
        self._process: subprocess.Popen[bytes] | None = None
        self._last: tuple[int, bool] | None = None
        self._calls = 0

    def hook(self, operation: str, done: bool) -> bool:
        del operation
        self._calls += not done
        if (self._calls, done) != self._last:
            return True
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        return False

    def run(
        self, endpoint: str, batches: list[list[Event]], *, die_at: tuple[int, bool] | None = None
    ) -> tuple[int, list[list[str]]]:
        """Work off batches in order; the exit code, and the failed messages of each batch acknowledged.

        `die_at` is the number of the call to DynamoDB to die at, and whether it took effect by then.
        """
        self._calls, self._last = 0, die_at
        lines = (json.dumps({"Records": [message(event) for event in batch]}) for batch in batches)
        self._queue.write_text("\n".join(lines) + "\n")
        environment = AWS | {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": endpoint,
            "FEATURES_TABLE": "features",
            "POWERTOOLS_SERVICE_NAME": "update_features",
            "POWERTOOLS_METRICS_NAMESPACE": "Paywarden",
        }
        with self._queue.open("rb") as queue:
            self._process = subprocess.Popen(
                [sys.executable, str(CONSUMER)],
                stdin=queue,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=CONSUMER.parents[3],
            )
            _, told = self._process.communicate(timeout=60)
        return self._process.returncode, [json.loads(line) for line in told.splitlines()]


def markers(client: Any) -> set[str]:
    pages = client.get_paginator("scan").paginate(TableName="features", ConsistentRead=True)
    keys = [item["key"]["S"] for page in pages for item in page["Items"]]
    return {key.removeprefix("m#") for key in keys if key.startswith("m#")}


def ids(batches: list[list[Event]]) -> set[str]:
    return {event.event_id for batch in batches for event in batch}


def test_a_queue_survives_any_number_of_deaths(dynamodb: Any, tmp_path: Path) -> None:
    rng = random.Random(1)
    events = some_events(rng)
    batches = [list(batch) for batch in batched(events, BATCH, strict=False)]
    machine = Machine(tmp_path)
    left = list(batches)
    with serve(machine.hook) as endpoint:
        for _ in range(KILLS):
            die_at = (1 + rng.randrange(MOST_CALLS), rng.random() < 0.5)
            code, answers = machine.run(endpoint, left, die_at=die_at)
            assert code == -signal.SIGKILL
            assert not any(answers)
            # What was acknowledged is gone from the queue; the rest comes again, and in another order.
            left = left[len(answers) :]
            rng.shuffle(left)
            assert markers(dynamodb) >= ids(batches) - ids(left), "something acknowledged is lost"
        assert set() < markers(dynamodb) < ids(batches)
        rng.shuffle(batches)
        assert machine.run(endpoint, batches) == (0, [[] for _ in batches])  # all again, acknowledged or not
    assert markers(dynamodb) == ids(batches)
    expected: dict[Key, State] = defaultdict(State)
    for event in events:
        fold(event, expected)
    found = DynamoFeatureStore(dynamodb, "features", consistent=True).read(sorted(expected))
    assert {key: encode(versioned.state) for key, versioned in found.items()} == {
        key: encode(state) for key, state in expected.items()
    }
