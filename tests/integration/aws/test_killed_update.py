"""update_features killed for real (SIGKILL) in the middle of a batch: nothing is lost or counted twice."""

import json
import random
import signal
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.session import get_session
from moto import mock_aws

from fraud.codec import encode
from fraud.decision import Decision, decision_row, label_row
from fraud.events import Event, Label, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import fold
from fraud.state import State
from runtime.stores.features import DynamoFeatureStore
from tests.integration.aws.bridge import serve
from tests.integration.aws.mortal import CREDENTIALS, Mortal
from tests.tables import create_table

START = 1_767_225_600_000
TABLE = "features"
WRITE = "TransactWriteItems"

pytestmark = pytest.mark.integration


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = get_session().create_client("dynamodb")
        create_table(client, TABLE)
        yield client


def _events() -> list[Event]:
    """140 payments and 24 labels over few cards: three transactions, each on states of the one before."""
    rng = random.Random(3)
    events: list[Event] = []
    for n in range(140):
        paid = Transaction(
            transaction_id=f"t{n}",
            merchant_id=f"m{n % 2}",
            event_time=START + rng.randrange(86_400_000),
            amount=rng.randrange(1, 100_000),
            currency="EUR",
            card=f"card_{rng.randrange(3)}",
            customer=f"cust_{rng.randrange(3)}",
            device=f"dev_{rng.randrange(4)}",
        )
        events.append(paid)
        if n % 6 == 0:
            events.append(Label(transaction=paid, kind="chargeback", known_at=paid.event_time + 86_400_000))
    return events


def _messages(events: list[Event]) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": f"message-{n}", "eventSource": "aws:sqs", "body": json.dumps({"detail": _row(event)})}
            for n, event in enumerate(events)
        ]
    }


def _row(event: Event) -> dict[str, Any]:
    if isinstance(event, Label):
        return label_row(event, recorded_at=START)
    decision = Decision(
        transaction_id=event.transaction_id,
        decision="approve",
        score=None,
        reasons=(),
        signals={},
        model=None,
        policy="p1",
        degraded=True,
        evaluated_at=event.event_time,
    )
    vector = [0.0] * len(STANDARD.names)
    return decision_row(event, decision, features=STANDARD, vector=vector, raw_score=None, recorded_at=START)


def _function(events: list[Event]) -> Mortal:
    environment = {
        "FEATURES_TABLE": TABLE,
        "REPLAY_TIME": "true",
        "POWERTOOLS_SERVICE_NAME": "update_features",
        "POWERTOOLS_METRICS_NAMESPACE": "Paywarden",
    }
    return Mortal("tests.integration.aws.invoke_update", _messages(events), environment)


def _stored(client: Any, events: list[Event]) -> dict[Key, bytes]:
    keys = sorted({key for event in events for key in STANDARD.keys_written(event)})
    found = DynamoFeatureStore(client, TABLE, consistent=True).read(keys)
    return {key: encode(versioned.state) for key, versioned in found.items()}


def _reference(events: list[Event]) -> dict[Key, bytes]:
    states: dict[Key, State] = defaultdict(State)
    for event in events:
        fold(event, states)
    return {key: encode(state) for key, state in states.items()}


@pytest.mark.parametrize(
    ("operation", "number", "done", "survived"),
    [
        (WRITE, 1, False, 0),
        (WRITE, 1, True, 1),  # written, but the function never learns of it
        ("BatchGetItem", 4, True, 1),  # between reading and writing
        (WRITE, 2, False, 1),
        (WRITE, 2, True, 2),
        (WRITE, 3, True, 3),  # everything written, and still no answer: all is delivered again
    ],
)
def test_killed_in_mid_batch_and_delivered_again(
    dynamodb: Any, operation: str, number: int, done: bool, survived: int
) -> None:
    events = _events()
    function = _function(events)
    with serve(function.hook) as endpoint:
        code, answer = function.run(endpoint, die=(operation, number, done))
        assert (code, answer) == (-signal.SIGKILL, None)
        markers = [item for item in dynamodb.scan(TableName=TABLE)["Items"] if item["key"]["S"].startswith("m#")]
        assert (len(markers) == 0) == (survived == 0)
        assert (len(markers) == len(events)) == (survived == 3)
        if survived < 3:
            assert _stored(dynamodb, events) != _reference(events), "the kill came before the end"
        code, answer = function.run(endpoint)
        assert (code, answer) == (0, {"batchItemFailures": []})
        assert function.calls[WRITE] == 3 - survived, "what was applied before is not written again"
    assert _stored(dynamodb, events) == _reference(events)


def test_killed_again_and_again_it_still_ends_right(dynamodb: Any) -> None:
    events = _events()
    function = _function(events)
    with serve(function.hook) as endpoint:
        for done in (False, True, False, True):
            assert function.run(endpoint, die=(WRITE, 1, done))[0] == -signal.SIGKILL
        assert function.run(endpoint) == (0, {"batchItemFailures": []})
    assert _stored(dynamodb, events) == _reference(events)
