"""Bootstrap, switch, abandon: resumable, refused where they would lose something, and beside imports."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import boto3
import msgspec
import pytest

from fraud.codec import encode
from fraud.decision import label_row, outcome_row
from fraud.events import Event, Label, Outcome, Transaction
from fraud.features import STANDARD, FeatureSet, Key
from fraud.tokens import Tokeniser
from infra.environment import Environment
from infra.environments import LOCAL, PROD
from lambdas.update_features.updating import Delivery, Updater
from ops.featurestore.bootstrap import Built, bootstrap
from ops.featurestore.buckets import MOST_BUCKETS
from ops.featurestore.lifecycle import GenerationError, abandon, status, switch
from ops.history import ImportConflictError, import_history
from ops.inputs import Row
from runtime.stores.decisions import DynamoDecisionStore, Record
from runtime.stores.features import FeatureStore, Marker, MemoryFeatureStore
from runtime.stores.generations import LEASE
from runtime.stores.states import ByGeneration
from tests.tables import create_table
from tests.unit.lambdas.deliveries import reference

TOKENISER = Tokeniser(b"0" * 64)
NOON = 1_770_000_000_000
HOUR = 3_600_000


@dataclass
class Deployment:
    """A bucket, a ledger, a feature store and a clock that only waiting moves."""

    store: FeatureStore
    environment: Environment = LOCAL
    now: int = NOON + 1_000 * HOUR
    skew: int = 0
    told: list[Any] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        return {"LakeBucket": "lake", "DecisionsTable": "decisions", "FeaturesTable": "features"}[name]

    def client(self, service: str) -> Any:
        client = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]
        client.meta.events.register("after-call.dynamodb.DescribeTable", self._dated)
        return client

    def _dated(self, parsed: dict[str, Any], **_about: Any) -> None:
        moment = datetime.fromtimestamp((self.now - self.skew) / 1_000, UTC)
        parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = format_datetime(moment, usegmt=True)

    def tell(self, kind: str, action: str, **more: Any) -> None:
        self.told.append((kind, action, more))

    def features(self) -> FeatureStore:
        return self.store

    def tokeniser(self) -> Tokeniser:
        return TOKENISER

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1_000)


@pytest.fixture(autouse=True)
def aws(lake: None) -> None:
    """The tables, beside the lake."""
    del lake
    client = boto3.client("dynamodb", region_name="us-east-1")
    for kind in ("features", "decisions"):
        create_table(client, kind)


@pytest.fixture
def deployment() -> Deployment:
    return Deployment(MemoryFeatureStore())


def payment(number: int, at: int, **changes: Any) -> Transaction:
    made = Transaction(
        transaction_id=f"t{number}",
        merchant_id=f"shop-{number % 3}",
        event_time=at,
        amount=1_000 + 37 * number,
        currency="EUR",
        card=f"card {number % 7}",
        customer=f"customer {number % 9}",
        device=f"device {number % 5}",
    )
    return msgspec.structs.replace(made, **changes)


PAST = [payment(number, NOON - (60 - number) * HOUR) for number in range(60)]
ROWS = [
    Row(each, is_fraud=True, known_at=each.event_time + 9 * HOUR, kind="chargeback")
    if number % 8 == 0
    else Row(each)
    for number, each in enumerate(PAST)
]


def imported(rows: Sequence[Row]) -> list[Event]:
    last = max(row.transaction.event_time for row in rows)
    labels = [row.label for row in rows if row.label is not None and row.label.known_at <= last]
    tokenised = {row.transaction.event_id: TOKENISER.apply(row.transaction) for row in rows}
    return [
        *tokenised.values(),
        *(msgspec.structs.replace(each, transaction=tokenised[each.transaction.event_id]) for each in labels),
    ]


def live(number: int) -> list[Event]:
    made = TOKENISER.apply(payment(100 + number, NOON + number * HOUR))
    return [
        made,
        Label(transaction=made, kind="chargeback", known_at=made.event_time + HOUR),
        Outcome(transaction=made, kind="declined", event_time=made.event_time + 1_000),
    ]


def record(deployment: Deployment, events: Sequence[Event], *, at: int, applied: bool = True) -> list[Delivery]:
    """Events into the ledger, and into the states as live traffic folds them."""
    ledger = DynamoDecisionStore(deployment.client("dynamodb"), "decisions")
    sent = []
    for event in events:
        match event:
            case Transaction():
                kind, row = "decision", msgspec.to_builtins(event) | {"recorded_at": at}
            case Label():
                kind, row = f"label#{event.kind}", label_row(event, at)
            case Outcome():
                kind, row = f"outcome#{event.kind}", outcome_row(event, at)
        text = msgspec.json.encode(row).decode()
        assert ledger.put(Record(event.transaction.event_id, kind, "d", "{}", text)) is None
        sent.append(Delivery(event.event_id, event, at))
    if applied:
        apply(deployment, sent)
    return sent


def apply(deployment: Deployment, sent: Sequence[Delivery]) -> None:
    updater = Updater(STANDARD, deployment.store, lambda: deployment.now, lambda _attempt: None)
    assert updater.apply(sent).failed == []


def run(deployment: Deployment, **options: Any) -> Built:
    given: Any = deployment
    return bootstrap(given, clock=lambda: deployment.now, sleep=deployment.sleep, **{"buckets": 3, **options})


def switched(deployment: Deployment) -> None:
    given: Any = deployment
    switch(given, clock=lambda: deployment.now, feature_set=STANDARD.version)


def stored(deployment: Deployment, generation: int | None, events: Sequence[Event]) -> dict[Key, bytes]:
    found = deployment.store.read(sorted(reference(events)), generation=generation)
    return {key: encode(each.state) for key, each in found.items()}


def import_(deployment: Deployment, name: str = "before", rows: Sequence[Row] = ROWS) -> Any:
    given: Any = deployment
    return import_history(given, name, rows, clock=deployment.now, sleep=deployment.sleep)


def test_imports_and_ledger_become_a_generation_that_is_switched_to(deployment: Deployment) -> None:
    import_(deployment)
    record(deployment, live(0), at=deployment.now - 50)
    built = run(deployment)
    after = record(deployment, live(1), at=deployment.now)
    events = [*imported(ROWS), *live(0)]
    assert (built.generation, built.events, built.refused, built.resumed) == (2, len(events), 0, 0)
    assert built.states == len(reference(events))
    events += [each.event for each in after]
    assert stored(deployment, 2, events) == stored(deployment, 1, events) == reference(events)
    switched(deployment)
    # What is redelivered changes nothing. The old generation is written until it is retired, and then no longer.
    apply(deployment, after)
    record(deployment, live(3), at=deployment.now)
    events += live(3)
    assert stored(deployment, None, events) == stored(deployment, 1, events) == reference(events)
    deployment.now += 700_000
    record(deployment, live(2), at=deployment.now)
    assert stored(deployment, None, [*events, *live(2)]) == reference([*events, *live(2)])
    assert stored(deployment, 1, [*events, *live(2)]) != reference([*events, *live(2)])


def test_the_watermark_parts_events_by_the_moment_they_were_recorded_and_by_nothing_else(
    deployment: Deployment,
) -> None:
    watermark = deployment.now + LEASE
    last = record(deployment, live(0), at=watermark, applied=False)
    first = record(deployment, live(1), at=watermark + 1, applied=False)
    assert run(deployment).watermark == watermark
    assert stored(deployment, 2, [*live(0), *live(1)]).items() <= reference(live(0)).items()
    assert stored(deployment, 2, live(0)) == reference(live(0))
    apply(deployment, [*first, *last])
    assert stored(deployment, 2, [*live(0), *live(1)]) == reference([*live(0), *live(1)])
    assert stored(deployment, 1, [*live(0), *live(1)]) == reference([*live(0), *live(1)])


class Killed(BaseException):
    """The process ends here."""


class Fragile(MemoryFeatureStore):
    """Dies at one of its writes for a bootstrap, after it took effect."""

    left = 0

    def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
        super().write(markers, states, expires_at=expires_at)
        if markers[0].event_id.startswith("bootstrap/"):
            self.left -= 1
            if self.left == 0:
                raise Killed


def test_a_killed_build_is_resumed_and_its_progress_can_be_seen() -> None:
    store = Fragile()
    deployment: Any = Deployment(store)
    import_(deployment)
    assert status(deployment).done == 0
    store.left = 5
    with pytest.raises(Killed):
        run(deployment)
    seen = status(deployment)
    assert seen.generations.building is not None
    assert 0 < seen.done < seen.generations.building.buckets == 3
    there = len(stored(deployment, 2, imported(ROWS)))
    told: list[tuple[str, int, int]] = []
    built = run(deployment, progress=lambda *each: told.append(each), buckets=99)
    assert (built.resumed, built.buckets) == (seen.done, 3 - seen.done), "the number of buckets is the first run's"
    assert stored(deployment, 2, imported(ROWS)) == reference(imported(ROWS))
    assert built.states == len(reference(imported(ROWS))) - there > 0
    assert [each for each in told if each[0] == "build"][-1] == ("build", 3, 3)
    assert {each[0] for each in told} == {"wait", "read", "build"}
    again = run(deployment)
    assert (again.generation, again.events, again.resumed) == (2, 0, 3), "it is built already"


def test_imports_are_refused_beside_a_build_and_are_done_once_after_it() -> None:
    store = Fragile()
    deployment = Deployment(store)
    import_(deployment)
    store.left = 1
    with pytest.raises(Killed):
        run(deployment)
    other = [Row(payment(500 + number, NOON + number * HOUR)) for number in range(9)]
    with pytest.raises(ImportConflictError, match="is being built"):
        import_(deployment, "other", other)
    run(deployment)
    with pytest.raises(ImportConflictError, match="is being built"):
        import_(deployment, "other", other)
    switched(deployment)
    again = import_(deployment)
    assert (again.states, again.unchanged) == (0, len(reference(imported(ROWS)))), "it was built from this import"
    assert import_(deployment, "other", other).states > 0
    events = [*imported(ROWS), *imported(other)]
    assert stored(deployment, None, events) == reference(events)


def test_an_import_that_meets_a_build_on_its_way_stops_and_is_not_lost() -> None:
    """Its rows are in the lake when the build begins, so the new generation has them all."""
    deployment = Deployment(MemoryFeatureStore())

    class Announcing(MemoryFeatureStore):
        def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
            super().write(markers, states, expires_at=expires_at)
            if markers[0].event_id == "import/1/before/0":
                run(deployment)

    deployment.store = Announcing()
    rows = [Row(msgspec.structs.replace(each, card=f"card {n}")) for n, each in enumerate(PAST)]
    with pytest.raises(ImportConflictError, match="is being built"):
        import_(deployment, rows=rows)
    assert stored(deployment, 1, imported(rows)) != reference(imported(rows)), "it was stopped on its way"
    switched(deployment)
    assert import_(deployment, rows=rows).states == 0
    assert stored(deployment, None, imported(rows)) == reference(imported(rows))


def test_the_same_event_in_two_sources_counts_once(deployment: Deployment) -> None:
    import_(deployment, "one", [Row(each) for each in PAST[:40]])
    import_(deployment, "two", [Row(each) for each in PAST[20:]])
    run(deployment)
    events = imported([Row(each) for each in PAST])
    assert stored(deployment, 2, events) == reference(events)


def test_what_live_traffic_refuses_is_left_out(deployment: Deployment) -> None:
    deployment.environment = PROD
    at = deployment.now - 1_000
    good = TOKENISER.apply(payment(1, at))
    record(deployment, [good], at=at)
    bad: list[Event] = [
        TOKENISER.apply(payment(2, at, amount=-1)),
        TOKENISER.apply(payment(3, at, currency="???")),
        TOKENISER.apply(payment(4, at + 24 * HOUR)),
    ]
    record(deployment, bad, at=at, applied=False)
    client = deployment.client("dynamodb")
    for number, row in enumerate(['{"recorded_at": 1}', '{"transaction_id": "x"}', "{", "[]"]):
        item = {"id": {"S": f"odd-{number}"}, "kind": {"S": "decision"}, "row": {"S": row}}
        client.put_item(TableName="decisions", Item=item)
    built = run(deployment)
    assert (built.events, built.refused) == (1, 7)
    assert stored(deployment, 2, [good, bad[2]]) == reference([good])


def test_a_build_for_other_features_is_not_taken_over_and_not_switched_to(deployment: Deployment) -> None:
    given: Any = deployment
    other = FeatureSet(*STANDARD.features[:20])
    run(deployment, features=other)
    with pytest.raises(GenerationError, match="abandon"):
        run(deployment)
    with pytest.raises(GenerationError, match="abandon"):
        switched(deployment)
    abandon(given)
    with pytest.raises(GenerationError, match="none to abandon"):
        abandon(given)
    assert run(deployment).generation == 3, "a number is never used again"
    switched(deployment)
    assert deployment.told == [
        ("states", "abandon", {"before": {"building": 2}}),
        ("states", "switch", {"before": {"serving": 1}, "after": {"serving": 3}}),
    ], "told as often as it was done"


def test_a_build_that_live_traffic_filled_with_other_features_never_serves(deployment: Deployment) -> None:
    other = FeatureSet(*STANDARD.features[:20])
    run(deployment, features=other)
    record(deployment, live(1), at=deployment.now)  # by the features of before
    given: Any = deployment
    with pytest.raises(GenerationError, match="deploy the code"):
        switch(given, clock=lambda: deployment.now, feature_set=other.version)
    abandon(given)
    run(deployment)
    switched(deployment)


def test_a_build_that_is_abandoned_meanwhile_stops(deployment: Deployment) -> None:
    given: Any = deployment

    class Abandoned(MemoryFeatureStore):
        def write(self, markers: Sequence[Marker], states: ByGeneration, *, expires_at: int) -> None:
            super().write(markers, states, expires_at=expires_at)
            if markers[0].event_id.startswith("bootstrap/"):
                abandon(given)

    deployment.store = Abandoned()
    import_(deployment)
    with pytest.raises(GenerationError, match="no longer being built"):
        run(deployment)
    assert stored(deployment, None, imported(ROWS)) == reference(imported(ROWS)), "what serves was left alone"


def test_only_what_is_built_is_switched_to_and_one_switch_at_a_time(deployment: Deployment) -> None:
    with pytest.raises(GenerationError, match="bootstrap"):
        switched(deployment)
    run(deployment)
    switched(deployment)
    with pytest.raises(GenerationError, match="begin in 601 s"):
        run(deployment)
    deployment.now += 600_000
    assert run(deployment).generation == 3


@pytest.mark.parametrize("skew", [-60_000, 60_000])
def test_a_wrong_clock_announces_no_watermark(deployment: Deployment, skew: int) -> None:
    deployment.skew = skew
    with pytest.raises(GenerationError, match="clock"):
        run(deployment)
    assert deployment.store.look(())[0].revision == 0


@pytest.mark.parametrize("buckets", [0, MOST_BUCKETS + 1])
def test_a_number_of_buckets_that_cannot_be_is_refused_before_anything_is_announced(
    deployment: Deployment, buckets: int
) -> None:
    with pytest.raises(ValueError, match="buckets"):
        run(deployment, buckets=buckets)
    assert deployment.store.look(())[0].revision == 0
