"""What the person on call types, each command against a real cause in the local cloud."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from fraud.events import Transaction
from fraud.features import STANDARD, Key
from ops.cli import app
from ops.client import Api
from ops.deployment import Deployment
from ops.featurestore import bootstrap as building
from ops.queues.letters import OUTPUTS, Queue, box_of
from ops.rebuilding.checking import stored_states
from ops.status.gathering import Status
from ops.versions import code_of
from runtime.stores.decisions import DECISION, DynamoDecisionStore
from tests.waiting import until

from .conftest import folded, wait_folded

pytestmark = pytest.mark.e2e

type Run = Callable[..., Any]


@pytest.fixture
def run(deployment: Deployment) -> Run:
    """The command, against this deployment."""

    def command(*words: str) -> Any:
        return CliRunner().invoke(app, [*words, "--port", str(deployment.port)], env={"COLUMNS": "200"})

    return command


@pytest.fixture(autouse=True)
def empty(deployment: Deployment) -> Iterator[None]:
    """No dead letters before and after."""
    _empty(deployment)
    yield
    _empty(deployment)


def _empty(deployment: Deployment) -> None:
    for queue in Queue:
        box = box_of(deployment, queue)
        for letters in box.take(box.count()):
            box.drop(letters)


def decide(api: Api, name: str, card: str) -> None:
    body = {
        "transaction_id": name,
        "amount": 4_200,
        "currency": "EUR",
        "card": {"token": card},
        "customer": {"id": f"customer-of-{card}"},
    }
    assert api.post("aurora", "/v1/decisions", body).status == 200


def line(deployment: Deployment, name: str) -> dict[str, Any]:
    """A decision's row of the ledger."""
    ledger = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
    record = ledger.get(f"aurora/{name}", DECISION)
    assert record is not None
    return msgspec.json.decode(record.row, type=dict[str, Any])


def card_of(deployment: Deployment, name: str) -> Key:
    row = line(deployment, name)
    made = msgspec.convert({key: value for key, value in row.items() if value is not None}, Transaction)
    return next(key for key in STANDARD.keys_written(made) if key.entity == "card")


def state(deployment: Deployment, key: Key) -> bytes:
    serving = deployment.features().look(())[0].serving.number
    return stored_states(deployment, [key], generation=serving)[key]


@pytest.mark.usefixtures("impatient")
def test_a_corrupt_state_is_found_rebuilt_and_its_letters_go_back(
    api: Api, deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        decide(api, f"o-corrupt-{number}", "card-of-corruption")
    wait_folded(deployment, "aurora/o-corrupt-0", "aurora/o-corrupt-1")
    key = card_of(deployment, "o-corrupt-0")
    serving = deployment.features().look(())[0].serving.number
    deployment.client("dynamodb").update_item(
        TableName=deployment["FeaturesTable"],
        Key={"key": {"S": f"s{serving}#{key}"}},
        UpdateExpression="SET #s = :bytes",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":bytes": {"B": state(deployment, key)[:-1]}},
    )
    # The next event of this card cannot be folded, and dies.
    decide(api, "o-corrupt-2", "card-of-corruption")
    dead = box_of(deployment, Queue.UPDATES)
    until(lambda: dead.count() >= 1, within=60, what="a dead letter")
    checked = run("rebuild-state", "--check", str(key))
    assert checked.exit_code == 1
    assert "1 wrong" in checked.output
    # As an operator would, but for two minutes of waiting.
    build = building.bootstrap
    short = {"lease": 1_500, "settle": 500, "buckets": 2}
    monkeypatch.setattr(building, "bootstrap", lambda which, **told: build(which, **told | short))
    done = run("rebuild-state", "--yes")
    assert done.exit_code == 0, done.output
    assert run("rebuild-state", "--check", str(key)).exit_code == 0
    rebuilt = state(deployment, key)
    sent = run("redrive", "updates", "--yes")
    assert sent.exit_code == 0, sent.output
    wait_folded(deployment, "aurora/o-corrupt-2")
    # The event was in the history that the states were built from: it is not counted twice.
    assert state(deployment, key) == rebuilt
    assert dead.count() == 0


@pytest.mark.timeout(600)
def test_a_letter_sent_back_twice_changes_nothing_and_poison_goes_to_quarantine(
    api: Api, deployment: Deployment, run: Run, impatient: str
) -> None:
    decide(api, "o-twice", "card-of-twice")
    wait_folded(deployment, "aurora/o-twice")
    key = card_of(deployment, "o-twice")
    before = state(deployment, key)
    sqs, dead = deployment.client("sqs"), deployment[OUTPUTS[Queue.UPDATES]]
    message = json.dumps({"detail-type": "transaction.decided", "detail": line(deployment, "o-twice")})
    for body in (message, message):
        sqs.send_message(QueueUrl=dead, MessageBody=body)
    # A real poison letter: the function refused it five times.
    sqs.send_message(QueueUrl=impatient, MessageBody='{"detail": "nothing that anyone can fold"}')
    box = box_of(deployment, Queue.UPDATES)
    until(lambda: box.count() == 3, within=90, what="three dead letters")
    told = run("redrive", "updates", "--yes")
    assert told.exit_code == 1, told.output
    assert "2 sent back" in told.output
    assert "1 left: it holds no event" in told.output
    # What was on its way before the queue became impatient comes again after its three minutes.
    until(lambda: not _waiting(deployment), within=200, what="an empty queue")
    assert state(deployment, key) == before
    (poison,) = box.peek(10)
    assert (
        run("quarantine", "updates", "--message-id", poison.message_id, "--reason", "a test", "--yes").exit_code
        == 0
    )
    assert box.count() == 0
    assert poison.message_id in run("quarantine", "list").output
    assert run("quarantine", "restore", poison.message_id).exit_code == 0
    (restored,) = box.peek(10)
    assert restored.body == poison.body
    assert run("quarantine", "updates", "--all", "--reason", "a test", "--yes").exit_code == 0


def _waiting(deployment: Deployment) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment["UpdateQueueUrl"], AttributeNames=names
    )["Attributes"]
    return sum(int(found[name]) for name in names)


def given_up(deployment: Deployment, stream: str, *, size: int = 1) -> str:
    """Lambda's report on the last record of a stream; a larger size than 1 is none that it would give."""
    client = deployment.client("dynamodbstreams")
    shard = client.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = client.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    place, number = iterator["ShardIterator"], ""
    # A page holds a thousand records, and there may be more.
    while (page := client.get_records(ShardIterator=place))["Records"]:
        number, place = page["Records"][-1]["dynamodb"]["SequenceNumber"], page["NextShardIterator"]
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    info = {
        "streamArn": stream,
        "shardId": shard,
        "startSequenceNumber": number,
        "endSequenceNumber": number,
        "batchSize": size,
        "approximateArrivalOfFirstRecord": at,
        "approximateArrivalOfLastRecord": at,
    }
    return json.dumps({"requestContext": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo": info})


def test_lines_that_never_reached_the_bus_are_published(api: Api, deployment: Deployment, run: Run) -> None:
    functions = deployment.client("lambda")
    relay = next(
        each
        for each in functions.list_event_source_mappings()["EventSourceMappings"]
        if f":table/{deployment['DecisionsTable']}/" in each["EventSourceArn"]
    )
    functions.update_event_source_mapping(UUID=relay["UUID"], Enabled=False)
    try:
        time.sleep(1)
        decide(api, "o-unrelayed", "card-of-unrelayed")
        time.sleep(1)
        assert not folded(deployment, "aurora/o-unrelayed")
        report = given_up(deployment, relay["EventSourceArn"])
        deployment.client("sqs").send_message(QueueUrl=deployment[OUTPUTS[Queue.UNRELAYED]], MessageBody=report)
        sent = run("redrive", "unrelayed", "--yes")
        assert sent.exit_code == 0, sent.output
        wait_folded(deployment, "aurora/o-unrelayed")
        once = state(deployment, card_of(deployment, "o-unrelayed"))
    finally:
        functions.update_event_source_mapping(UUID=relay["UUID"], Enabled=True)
    # Its record in the stream comes now: that is the same event once more.
    decide(api, "o-after", "card-of-after")
    wait_folded(deployment, "aurora/o-after")
    assert state(deployment, card_of(deployment, "o-unrelayed")) == once


def test_a_report_on_more_lines_than_the_ledger_has_stays(api: Api, deployment: Deployment, run: Run) -> None:
    decide(api, "o-more", "card-of-more")
    wait_folded(deployment, "aurora/o-more")
    stream = deployment.client("dynamodb").describe_table(TableName=deployment["DecisionsTable"])["Table"]
    report = given_up(deployment, stream["LatestStreamArn"], size=1_000_000)
    box = box_of(deployment, Queue.UNRELAYED)
    deployment.client("sqs").send_message(QueueUrl=box.url, MessageBody=report)
    done = run("redrive", "unrelayed", "--yes")
    assert done.exit_code == 1, done.output
    assert "of 1,000,000 lines found" in done.output
    assert "only 0 of" not in done.output
    assert box.count() == 1


def test_code_goes_back_to_the_version_before(api: Api, deployment: Deployment, run: Run) -> None:
    functions = deployment.client("lambda")
    before = code_of(deployment, "read_decision")
    functions.update_function_configuration(FunctionName=before.name, Description="a release that went wrong")
    newer = functions.publish_version(FunctionName=before.name)["Version"]
    functions.update_alias(FunctionName=before.name, Name="live", FunctionVersion=newer)
    assert "would follow" in run("rollback", "code", "read_decision", "--dry-run").output
    done = run("rollback", "code", "read_decision", "--yes", "--reason", "a test")
    assert done.exit_code == 0, done.output
    after = code_of(deployment, "read_decision")
    assert after.live == before.live
    assert after.described.endswith("a test")
    decide(api, "o-rolled-back", "card-of-roll-back")
    assert api.get("aurora", "/v1/decisions/o-rolled-back").status == 200


def test_status_tells_of_traffic_queues_models_and_alarms(api: Api, deployment: Deployment, run: Run) -> None:
    decide(api, "o-status", "card-of-status")
    wait_folded(deployment, "aurora/o-status")
    deployment.client("sqs").send_message(QueueUrl=deployment[OUTPUTS[Queue.LABELS]], MessageBody="no label")

    def told() -> Status:
        done = run("status", "--json")
        assert done.exit_code == 0, done.output
        return msgspec.json.decode(done.stdout, type=Status)

    until(lambda: (told().figures["folded"].now or 0) > 0, pause=0.2, what="a figure of what is folded")
    found = told()
    assert found.unknown == {}
    for figure in ("calls", "decisions", "latency p99", "lag p50"):
        assert found.figures[figure].now is not None, figure
    assert [queue.visible for queue in found.queues if queue.dead and queue.name == "labels"] == [1]
    assert found.serving is not None
    assert found.alarms is not None
    assert found.alarms.watched > 40
    assert any(each.good is not None for each in found.objectives)
    shown = run("status")
    assert "dead letters" in shown.output
    assert len(shown.output.splitlines()) <= 40
