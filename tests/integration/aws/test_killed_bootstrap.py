"""A bootstrap killed for real (SIGKILL) again and again, beside an updater: nothing lost, nothing doubled."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.session import get_session
from moto import mock_aws

from fraud.codec import encode
from fraud.decision import label_row, outcome_row
from fraud.events import Event, Label, Outcome, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import fold
from fraud.state import State
from lambdas.update_features.updating import Delivery, Updater
from ops.featurestore.sources import import_key
from ops.inputs import Row, to_frame
from runtime.stores.decisions import DynamoDecisionStore, Record
from runtime.stores.features import DynamoFeatureStore
from tests.integration.aws.bridge import serve
from tests.integration.aws.mortal import CREDENTIALS, Mortal
from tests.tables import create_table

NAMES = {"FeaturesTable": "features", "DecisionsTable": "decisions", "LakeBucket": "lake"}
START = 1_767_225_600_000
WRITE, CONTROL = "TransactWriteItems", "PutItem"

pytestmark = pytest.mark.integration


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = get_session().create_client("dynamodb")
        for kind in ("features", "decisions"):
            create_table(client, kind)
        yield client


def _payment(number: int, rng: random.Random) -> Transaction:
    return Transaction(
        transaction_id=f"t{number}",
        merchant_id=f"m{number % 2}",
        event_time=START + rng.randrange(86_400_000),
        amount=rng.randrange(1, 100_000),
        currency="EUR",
        card=f"card_{rng.randrange(12)}",
        customer=f"cust_{rng.randrange(9)}",
        device=f"dev_{rng.randrange(7)}",
    )


class Traffic:
    """Events as the platform records and delivers them."""

    def __init__(self, client: Any) -> None:
        self.store = DynamoFeatureStore(client, "features", consistent=True)
        self.recorded: list[Event] = []
        self.applied = 0
        self._ledger = DynamoDecisionStore(client, "decisions")
        self._waiting: list[Delivery] = []
        self._rng = random.Random(5)
        self._updater = Updater(STANDARD, self.store, _now, lambda _attempt: None)

    def record(self, *, delivered: bool) -> None:
        """A payment, and for some of them what became of it; the messages may be on their way for long."""
        made = _payment(1_000 + len(self.recorded), self._rng)
        self._record(made, "decision", msgspec.to_builtins(made) | {"recorded_at": _now()})
        if len(self.recorded) % 3 == 0:
            label = Label(transaction=made, kind="chargeback", known_at=made.event_time + 86_400_000)
            self._record(label, "label#fraud", label_row(label, _now()))
            outcome = Outcome(transaction=made, kind="declined", event_time=made.event_time + 900)
            self._record(outcome, "outcome#declined", outcome_row(outcome, _now()))
        if delivered:
            self.deliver()

    def deliver(self) -> None:
        report = self._updater.apply(self._waiting)
        assert report.failed == []
        self.applied += report.applied
        self._waiting = []

    def _record(self, event: Event, kind: str, row: dict[str, Any]) -> None:
        text = msgspec.json.encode(row).decode()
        assert self._ledger.put(Record(event.transaction.event_id, kind, "d", "{}", text)) is None
        self.recorded.append(event)
        self._waiting.append(Delivery(event.event_id, event, row["recorded_at"]))


def _now() -> int:
    return time.time_ns() // 1_000_000


def test_killed_again_and_again_beside_an_updater(dynamodb: Any, tmp_path: Path) -> None:
    rng = random.Random(1)
    imported = [_payment(number, rng) for number in range(40)]
    path = tmp_path / import_key("before")
    path.parent.mkdir(parents=True)
    to_frame(Row(each) for each in imported).to_parquet(path, index=False)
    traffic = Traffic(dynamodb)
    for number in range(20):
        traffic.record(delivered=number < 15)  # the last messages come when the generation is being built

    given = {"resources": NAMES, "lake": str(tmp_path), "buckets": 3, "lease": 300, "settle": 300}
    process = Mortal("tests.integration.aws.invoke_bootstrap", given, {})
    process.meanwhile = lambda operation: traffic.record(delivered=True) if operation == WRITE else None
    with serve(process.hook) as endpoint:
        for die in [
            (CONTROL, 1, True),  # announced, and nobody builds
            (CONTROL, 1, False),  # before the imports are listed
            (WRITE, 1, False),
            (WRITE, 1, True),
            (WRITE, 3, True),
            (CONTROL, 1, False),  # all is written, and not told
        ]:
            assert process.run(endpoint, die) == (-signal.SIGKILL, None)
        code, built = process.run(endpoint)
    assert code == 0
    assert built is not None
    assert (built["generation"], built["states"], built["resumed"]) == (2, 0, 3)
    assert built["events"] < len(imported) + len(traffic.recorded), "some came after the watermark"

    states: dict[Key, State] = {}
    for event in [*imported, *traffic.recorded]:
        for key in STANDARD.keys_written(event):
            states.setdefault(key, State())
        fold(event, states)
    assert traffic.applied == len(traffic.recorded)
    found = traffic.store.read(sorted(states), generation=2)
    assert {key: encode(each.state) for key, each in found.items()} == {
        key: encode(state) for key, state in states.items()
    }
