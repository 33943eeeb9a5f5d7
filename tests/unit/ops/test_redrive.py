"""Dead letters: what is said of them, and that each goes back to where it belongs or stays where it is."""

import io
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from typer.testing import CliRunner

from ops.deployment import DeploymentError
from ops.functions import FunctionError, calling
from ops.queues import commands
from ops.queues.judging import judge_updates
from ops.queues.letters import Queue
from ops.queues.redriving import look, redrive
from ops.queues.ways import way_of
from ops.scanning import SEGMENTS
from runtime.stores.batches import ThrottledError, UnprocessedError
from tests.unit.ops.operations import ACCOUNT, NOON, REGION, Small, event, payment, small_deployment

__all__ = ["small_deployment"]

NOTHING = '{"detail": {"card": "a secret card"}}'


def sent_back(small: Small, queue: Queue, most: int = 100) -> Any:
    box, way = small.box(queue), way_of(small, queue, clock=lambda: NOON + 60_000)  # type: ignore[arg-type]
    return redrive(box, way, most=most, progress=lambda _done: None)


def seen(small: Small, queue: Queue) -> dict[str, tuple[int, int, bool]]:
    way = way_of(small, queue, clock=lambda: NOON + 60_000)  # type: ignore[arg-type]
    groups = look(small.box(queue), way, most=100)
    return {each.judgement.reason: (each.count, each.returned, each.judgement.hopeless) for each in groups}


def test_what_could_be_folded_goes_back_and_what_could_not_stays(small_deployment: Small) -> None:
    small = small_deployment
    small.folds(payment(1), payment(2))
    good = [event(payment(number)) for number in (1, 3, 4)]
    bad = [NOTHING, "no event", event(payment(2, amount=5)), event(payment(5, amount=-1))]
    for body in (*good, *bad):
        small.dies(Queue.UPDATES, body)
    told = seen(small, Queue.UPDATES)
    assert {count for count, _, _ in told.values()} == {1, 2}
    assert told["it was folded meanwhile; sending it back changes nothing"] == (1, 0, False)
    assert told["its id was folded before, with another content"] == (1, 0, True)
    assert told["it holds no event"][2]
    assert not any("secret" in reason for reason in told)
    done = sent_back(small, Queue.UPDATES)
    assert done.sent == 3
    assert sum(done.left.values()) == 4
    assert small.bodies("UpdateQueueUrl") == sorted(good)
    assert small.bodies("UpdateDeadLetterQueueUrl") == sorted(bad)
    assert sent_back(small, Queue.UPDATES).sent == 0


def test_a_letter_that_dies_again_is_told_apart(small_deployment: Small) -> None:
    small, sqs = small_deployment, small_deployment.client("sqs")
    small.dies(Queue.UPDATES, event(payment(1)))
    for times in range(3):
        told = seen(small, Queue.UPDATES)
        assert [returned for _, returned, _ in told.values()] == [int(times > 0)]
        sent_back(small, Queue.UPDATES)
        # As SQS does after the last attempt: the message with all of its attributes.
        (message,) = sqs.receive_message(QueueUrl=small["UpdateQueueUrl"], MessageAttributeNames=["All"])[
            "Messages"
        ]
        assert message["MessageAttributes"]["redriven"]["StringValue"] == str(times + 1)
        sqs.delete_message(QueueUrl=small["UpdateQueueUrl"], ReceiptHandle=message["ReceiptHandle"])
        sqs.send_message(
            QueueUrl=small["UpdateDeadLetterQueueUrl"],
            MessageBody=message["Body"],
            MessageAttributes=message["MessageAttributes"],
        )


def test_no_more_are_sent_than_asked_for(small_deployment: Small) -> None:
    small = small_deployment
    for number in range(25):
        small.dies(Queue.UPDATES, event(payment(number)))
    assert sent_back(small, Queue.UPDATES, most=13).sent == 13
    assert small.box(Queue.UPDATES).count() == 12
    assert sent_back(small, Queue.UPDATES).sent == 12
    assert len(small.bodies("UpdateQueueUrl")) == 25


def test_letters_that_come_back_into_sight_during_a_run_are_no_letters_anew(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_deployment
    for number in range(10):
        small.dies(Queue.UPDATES, f"no event {number}")
    for number in range(20):
        small.dies(Queue.UPDATES, event(payment(number)))
    monkeypatch.setattr("ops.queues.letters.HELD", 1)
    waits = [1.1]

    def slowly(letters: Any, **rest: Any) -> Any:
        time.sleep(waits.pop() if waits else 0)
        return judge_updates(letters, **rest)

    # Ten that stay come first, and to judge them takes longer than they are out of sight.
    monkeypatch.setattr("ops.queues.ways.judge_updates", slowly)
    way = way_of(small, Queue.UPDATES, clock=lambda: NOON + 60_000)  # type: ignore[arg-type]
    seen_at: list[int] = []
    done = redrive(small.box(Queue.UPDATES), way, most=30, progress=seen_at.append)
    assert (done.sent, dict(done.left)) == (20, {"it holds no event": 10})
    assert seen_at == [10, 20, 30]
    # Those that stay are in sight at once, although they were received twice.
    assert len(small.box(Queue.UPDATES).peek(30)) == 10


def test_letters_that_are_too_long_for_one_call_go_one_by_one(small_deployment: Small) -> None:
    small = small_deployment
    for number in range(10):
        small.dies(Queue.UPDATES, event(payment(number), note="x" * 200_000))
    assert sent_back(small, Queue.UPDATES).sent == 10
    assert len(small.bodies("UpdateQueueUrl")) == 10


def test_what_aws_refuses_to_a_batch_is_why_it_stays(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_deployment
    small.dies(Queue.UPDATES, event(payment(1)))
    monkeypatch.setitem(small.resources, "FeaturesTable", "nowhere")
    done = sent_back(small, Queue.UPDATES)
    assert list(done.left) == ["it cannot be judged now: BatchGetItem: ResourceNotFoundException"]
    monkeypatch.setitem(small.resources, "FeaturesTable", "features")
    to_nowhere = small["UpdateQueueUrl"] + "-gone"
    monkeypatch.setitem(small.resources, "UpdateQueueUrl", to_nowhere)
    (why,) = sent_back(small, Queue.UPDATES).left
    assert why.startswith("SendMessageBatch: ")
    assert len(small.box(Queue.UPDATES).peek(10)) == 1


@pytest.mark.parametrize("error", [ThrottledError("a secret"), UnprocessedError("a secret")])
def test_a_throttled_table_leaves_a_batch_and_the_next_goes_on(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    small, errors = small_deployment, [error]
    for number in range(15):
        small.dies(Queue.UPDATES, event(payment(number)))

    def throttled(letters: Any, **rest: Any) -> Any:
        if errors:
            raise errors.pop()
        return judge_updates(letters, **rest)

    monkeypatch.setattr("ops.queues.ways.judge_updates", throttled)
    done = sent_back(small, Queue.UPDATES)
    why = "it cannot be judged now: DynamoDB is throttling; try again in some minutes"
    assert (done.sent, dict(done.left)) == (5, {why: 10})
    assert sent_back(small, Queue.UPDATES).sent == 10


def test_events_from_the_future_stay_where_histories_are_not_replayed(small_deployment: Small) -> None:
    from infra.environments import PROD

    small = small_deployment
    small.dies(Queue.UPDATES, event(payment(1, event_time=NOON + 10**9)))
    assert sent_back(small, Queue.UPDATES, most=0).sent == 0
    small.environment = PROD
    (found,) = seen(small, Queue.UPDATES).values()
    assert found == (1, 0, True)


def label(**changes: Any) -> str:
    detail = {"merchant_id": "shop", "transaction_id": "t1", "label": "chargeback", **changes}
    return json.dumps({"id": "e1", "time": "2026-02-03T12:00:00Z", "detail": detail})


def test_labels_are_judged_by_the_code_that_records_them_and_nothing_is_recorded(small_deployment: Small) -> None:
    small = small_deployment
    small.records(payment(1))
    for body in (label(), label(transaction_id="unknown"), label(label="a secret word"), "no event"):
        small.dies(Queue.LABELS, body)
    told = seen(small, Queue.LABELS)
    assert sum(not hopeless for _, _, hopeless in told.values()) == 1
    assert any("label" in reason for reason in told)
    assert not any("secret" in reason for reason in told)
    assert sent_back(small, Queue.LABELS).sent == 1
    assert small.bodies("LabelQueueUrl") == [label()]
    assert len(small.client("dynamodb").scan(TableName="decisions")["Items"]) == 1


def arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def test_what_the_bus_could_not_deliver_goes_to_the_target_that_it_names(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_deployment
    put: list[tuple[str, bytes]] = []

    class Firehose:
        def put_record(self, **asked: Any) -> None:
            put.append((asked["DeliveryStreamName"], asked["Record"]["Data"]))

    client = small.client
    monkeypatch.setattr(small, "client", lambda service: Firehose() if service == "firehose" else client(service))
    body = event(payment(1))
    small.dies(
        Queue.UNDELIVERED, body, TARGET_ARN=arn("sqs", "paywarden-local-to-update"), ERROR_CODE="THROTTLING"
    )
    small.dies(
        Queue.UNDELIVERED,
        body,
        TARGET_ARN=arn("firehose", "deliverystream/paywarden-local-decisions"),
        ERROR_CODE="NO_PERMISSIONS",
    )
    small.dies(Queue.UNDELIVERED, body, TARGET_ARN=arn("sqs", "somebody-elses"))
    small.dies(Queue.UNDELIVERED, "no event", TARGET_ARN=arn("sqs", "paywarden-local-to-update"))
    assert "THROTTLING on the way to a queue" in seen(small, Queue.UNDELIVERED)
    done = sent_back(small, Queue.UNDELIVERED)
    assert (done.sent, sum(done.left.values())) == (2, 2)
    assert small.bodies("UpdateQueueUrl") == [body]
    ((stream, data),) = put
    assert stream == "paywarden-local-decisions"
    assert json.loads(data) == json.loads(body)["detail"]


def test_a_target_that_fails_leaves_its_letter_and_the_others_go(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_deployment
    body = event(payment(1))
    failures: list[Exception] = [
        ClientError({"Error": {"Code": "ServiceUnavailableException", "Message": "secret"}}, "PutRecord"),
        ReadTimeoutError(endpoint_url="https://firehose"),
    ]

    class Firehose:
        def put_record(self, **_asked: Any) -> None:
            raise failures.pop()

    client = small.client
    monkeypatch.setattr(small, "client", lambda service: Firehose() if service == "firehose" else client(service))
    for name in ("paywarden-local-gone", "paywarden-local-to-update"):
        small.dies(Queue.UNDELIVERED, body, TARGET_ARN=arn("sqs", name), ERROR_CODE="X")
        small.dies(Queue.UNDELIVERED, body, TARGET_ARN=arn("firehose", "deliverystream/paywarden-local-decisions"))
    assert seen(small, Queue.UNDELIVERED)["its target, a queue, does not exist any more"] == (1, 0, True)
    done = sent_back(small, Queue.UNDELIVERED)
    assert done.sent == 1
    assert set(done.left) == {
        "its target, a queue, does not exist any more",
        "PutRecord: ServiceUnavailableException",
        "ReadTimeoutError",
    }
    assert small.bodies("UpdateQueueUrl") == [body]
    # What was sent is deleted, and what was not is in sight.
    assert len(small.box(Queue.UNDELIVERED).peek(10)) == 3


def test_a_rule_that_does_not_exist_any_more_has_no_target(small_deployment: Small) -> None:
    small = small_deployment
    small.dies(Queue.UNDELIVERED, event(payment(1)), RULE_ARN=arn("events", "rule/bus/gone"))
    assert seen(small, Queue.UNDELIVERED) == {"its target is not one of this deployment": (1, 0, True)}


def test_a_letter_that_names_its_rule_only_goes_to_the_rules_target(small_deployment: Small) -> None:
    small, events = small_deployment, small_deployment.client("events")
    events.create_event_bus(Name="bus")
    rule = events.put_rule(Name="r", EventBusName="bus", EventPattern='{"source": ["paywarden"]}')["RuleArn"]
    target = {"Id": "t", "Arn": arn("sqs", "paywarden-local-to-update")}
    events.put_targets(Rule="r", EventBusName="bus", Targets=[target])
    small.dies(Queue.UNDELIVERED, event(payment(1)), RULE_ARN=rule)
    assert sent_back(small, Queue.UNDELIVERED).sent == 1
    assert small.bodies("UpdateQueueUrl") == [event(payment(1))]


def given_up(small: Small, first: str, last: str, size: int, *, shard: str, at: str) -> str:
    stream = small.client("dynamodb").describe_table(TableName="decisions")["Table"]["LatestStreamArn"]
    info = {
        "streamArn": stream,
        "shardId": shard,
        "startSequenceNumber": first,
        "endSequenceNumber": last,
        "batchSize": size,
        "approximateArrivalOfFirstRecord": at,
        "approximateArrivalOfLastRecord": at,
    }
    return json.dumps({"requestContext": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo": info})


def published(small: Small) -> list[str]:
    return [
        json.loads(record["dynamodb"]["NewImage"]["row"]["S"])["event_id"]
        for verb_noun, payload in small.called
        if verb_noun == "relay_decisions"
        for record in payload["Records"]
    ]


def test_lines_that_the_stream_still_has_are_published_from_it(small_deployment: Small) -> None:
    small, streams = small_deployment, small_deployment.client("dynamodbstreams")
    for number in range(5):
        small.records(payment(number))
    stream = small.client("dynamodb").describe_table(TableName="decisions")["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    start = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=start["ShardIterator"])["Records"]
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    letter = given_up(small, numbers[1], numbers[3], 3, shard=shard, at="2026-02-02T02:40:00Z")
    small.dies(Queue.UNRELAYED, letter)
    assert seen(small, Queue.UNRELAYED) == {"RetryAttemptsExhausted: 3 lines": (1, 0, False)}
    assert sent_back(small, Queue.UNRELAYED).sent == 1
    assert published(small) == ["shop/t1", "shop/t2", "shop/t3"]
    assert small.box(Queue.UNRELAYED).count() == 0


def test_lines_that_the_stream_has_lost_are_found_in_the_ledger(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_deployment
    for number in range(4):
        small.records(payment(number))
    small.records(payment(9), recorded_at=NOON - 10**7)
    small.folds(payment(2))
    # What is read from a stream that does not go back far enough.
    monkeypatch.setattr("ops.queues.relaying._in_stream", lambda _deployment, _lost: iter(()))
    small.dies(Queue.UNRELAYED, given_up(small, "1", "3", 3, shard="s", at="2026-02-02T02:40:00Z"))
    assert sent_back(small, Queue.UNRELAYED).sent == 1
    assert sorted(published(small)) == ["shop/t0", "shop/t1", "shop/t3"]


@pytest.fixture
def lost_by_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read from a stream that does not go back far enough."""
    monkeypatch.setattr("ops.queues.relaying._in_stream", lambda _deployment, _lost: iter(()))


EARLIER = "2026-02-01T02:40:00Z"
THEN = "2026-02-02T02:40:00Z"


@pytest.mark.usefixtures("lost_by_the_stream")
def test_a_letter_of_which_lines_are_missing_stays(small_deployment: Small) -> None:
    small = small_deployment
    small.records(payment(0))
    small.records(payment(1))
    small.folds(payment(1))
    small.dies(Queue.UNRELAYED, given_up(small, "1", "3", 3, shard="s", at=THEN))
    small.dies(Queue.UNRELAYED, given_up(small, "7", "8", 2, shard="s", at=EARLIER))
    done = sent_back(small, Queue.UNRELAYED)
    assert (done.sent, dict(done.left)) == (0, {"only 2 of 3 lines found": 1, "only 0 of 2 lines found": 1})
    assert published(small) == ["shop/t0"]
    small.records(payment(2))
    assert sent_back(small, Queue.UNRELAYED).sent == 1
    assert small.box(Queue.UNRELAYED).count() == 1


@pytest.mark.usefixtures("lost_by_the_stream")
def test_letters_of_the_same_time_need_the_lines_of_both(small_deployment: Small) -> None:
    small = small_deployment
    for number in range(3):
        small.records(payment(number))
    for first, last in (("1", "2"), ("3", "4"), ("3", "4")):
        small.dies(Queue.UNRELAYED, given_up(small, first, last, 2, shard="s", at=THEN))
    assert dict(sent_back(small, Queue.UNRELAYED).left) == {"only 3 of 4 lines found": 3}
    small.records(payment(3))
    assert sent_back(small, Queue.UNRELAYED).sent == 3


@pytest.mark.usefixtures("lost_by_the_stream")
def test_the_ledger_is_read_once_for_all_letters_and_only_what_is_published(small_deployment: Small) -> None:
    small = small_deployment
    scans: list[Any] = []
    events = small.client("dynamodb").meta.events
    events.register("provide-client-params.dynamodb.Scan", lambda params, **_: scans.append(params))
    for number in range(25):
        small.records(payment(number))
        small.records(payment(100 + number), recorded_at=NOON - 24 * 3_600_000)
    for number in range(24):
        at = THEN if number % 2 else EARLIER
        small.dies(Queue.UNRELAYED, given_up(small, str(number), str(number), 1, shard="s", at=at))
    assert sent_back(small, Queue.UNRELAYED).sent == 24
    assert sorted(each["Segment"] for each in scans) == list(range(SEGMENTS))
    assert len(published(small)) == 50
    ((_, payload),) = small.called
    assert {name for record in payload["Records"] for name in record["dynamodb"]["NewImage"]} == {"kind", "row"}


@pytest.mark.usefixtures("lost_by_the_stream")
def test_a_ledger_that_cannot_be_read_is_why_letters_stay(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_deployment
    small.dies(Queue.UNRELAYED, given_up(small, "1", "1", 1, shard="s", at=THEN))
    monkeypatch.setitem(small.resources, "DecisionsTable", "nowhere")
    way = way_of(small, Queue.UNRELAYED, clock=lambda: NOON)  # type: ignore[arg-type]
    done = redrive(small.box(Queue.UNRELAYED), way, most=5, progress=lambda _done: None)
    assert dict(done.left) == {"Scan: ResourceNotFoundException": 1}
    assert len(small.box(Queue.UNRELAYED).peek(10)) == 1


class Shard:
    """A shard whose answers are empty in between, as those of DynamoDB may be; some records are no lines."""

    def __init__(self, *answers: list[tuple[int, str]]) -> None:
        self.answers = answers

    def get_shard_iterator(self, **_asked: Any) -> Any:
        return {"ShardIterator": "0"}

    def get_records(self, *, ShardIterator: str) -> Any:  # noqa: N803 - as AWS spells it
        number = int(ShardIterator)
        found = self.answers[number] if number < len(self.answers) else []
        image = {"kind": {"S": "decision"}, "row": {"S": "{}"}}
        records = [
            {"eventName": name, "dynamodb": {"SequenceNumber": str(at)} | ({"NewImage": image} if at % 2 else {})}
            for at, name in found
        ]
        return {"Records": records, "NextShardIterator": str(number + 1)}


def test_a_shard_may_have_nothing_to_say_in_between(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, client = small_deployment, small_deployment.client
    shard = Shard([], [(1, "INSERT")], [], [], [(2, "REMOVE"), (3, "INSERT"), (5, "INSERT")])
    small.dies(Queue.UNRELAYED, given_up(small, "1", "3", 3, shard="s", at=THEN))
    small.dies(Queue.UNRELAYED, given_up(small, "1", "9", 5, shard="s", at=THEN))
    monkeypatch.setattr(small, "client", lambda name: shard if name == "dynamodbstreams" else client(name))
    done = sent_back(small, Queue.UNRELAYED)
    # The end of an open shard is the end: the second letter is looked for in the ledger, which is empty.
    assert (done.sent, dict(done.left)) == (1, {"only 0 of 5 lines found": 1})
    ((_, payload),) = small.called
    assert [record["dynamodb"]["SequenceNumber"] for record in payload["Records"]] == ["1", "3"]


def test_a_function_is_looked_up_once_for_all_of_its_calls() -> None:
    listed, invoked = [], []

    class Lambda:
        def get_paginator(self, name: str) -> Any:
            listed.append(name)
            told = {"Environment": {"Variables": {"POWERTOOLS_SERVICE_NAME": "relay_decisions"}}}
            return SimpleNamespace(paginate=lambda: [{"Functions": [{"FunctionName": "paywarden-x-r", **told}]}])

        def invoke(self, **asked: Any) -> Any:
            invoked.append(asked["FunctionName"])
            return {"Payload": io.BytesIO(b"{}")}

    client = Lambda()
    deployment: Any = SimpleNamespace(
        environment=SimpleNamespace(prefix="paywarden-x", name="x"),
        client=lambda _service: client,
        session=SimpleNamespace(client=lambda _service, config: client if config.retries else None),
    )
    call = calling(deployment, "relay_decisions")
    assert listed == []
    assert [call({}), call({})] == [{}, {}]
    assert (len(listed), invoked) == (1, ["paywarden-x-r"] * 2)
    with pytest.raises(DeploymentError, match="release_model is not deployed in x"):
        calling(deployment, "release_model")({})


def test_what_the_bus_refuses_again_stays(small_deployment: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small = small_deployment
    small.records(payment(0))
    monkeypatch.setattr("ops.queues.relaying._in_stream", lambda _deployment, _lost: iter(()))
    small.dies(Queue.UNRELAYED, given_up(small, "1", "1", 1, shard="s", at="2026-02-02T02:40:00Z"))
    small.dies(Queue.UNRELAYED, "no report")
    small.answers = [{"batchItemFailures": [{"itemIdentifier": "0"}]}]
    done = sent_back(small, Queue.UNRELAYED)
    assert done.sent == 0
    assert any("refused 1 of 1" in why for why in done.left)
    assert small.box(Queue.UNRELAYED).count() == 2


ASKED = {"action": "withdraw", "execution": "arn:run-1", "stopped_at": 1, "reason": "the run ended as FAILED"}
FORMS = {
    "of Lambda": {"requestPayload": ASKED, "responseContext": {"functionError": "Unhandled"}},
    "of EventBridge": ASKED,
    "the event": {"detail": {"executionArn": "arn:run-1", "stopDate": 1, "status": "FAILED"}},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_withdrawal_is_asked_for_again_however_it_was_kept(small_deployment: Small, form: str) -> None:
    small = small_deployment
    small.dies(Queue.UNWITHDRAWN, json.dumps(FORMS[form]))
    # `models show` takes the run, which stands in the letter as the end of an ARN.
    assert seen(small, Queue.UNWITHDRAWN) == {"run-1: release_model failed": (1, 0, False)}
    small.answers = [FunctionError("release_model: no"), {"refused": False}]
    failed = sent_back(small, Queue.UNWITHDRAWN)
    assert (failed.sent, dict(failed.left)) == (0, {"release_model: no": 1})
    assert sent_back(small, Queue.UNWITHDRAWN).sent == 1
    assert small.called == [("release_model", ASKED)] * 2
    assert small.box(Queue.UNWITHDRAWN).count() == 0


def test_a_withdrawal_that_is_refused_is_settled_and_told(
    small_deployment: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_deployment
    small.dies(Queue.UNWITHDRAWN, json.dumps(ASKED))
    small.answers = [
        ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
        {"refused": True, "reason": "execution run-1 was re-driven"},
    ]
    busy = run(small, monkeypatch, "unwithdrawn", "--yes")
    assert busy.exit_code == 1
    assert "1 left: Invoke: TooManyRequestsException" in busy.output
    done = run(small, monkeypatch, "unwithdrawn", "--yes")
    assert done.exit_code == 0, done.output
    assert "0 sent back" in done.output
    assert "settled and deleted: release_model refused it: execution run-1 was re-driven" in done.output
    assert small.box(Queue.UNWITHDRAWN).count() == 0


def run(small: Small, monkeypatch: pytest.MonkeyPatch, *words: str, answer: str = "") -> Any:
    monkeypatch.setattr(commands, "connect", lambda _env, *, port: small if port else None)
    monkeypatch.setattr("ops.queues.letters.box_of", lambda _deployment, queue: small.box(queue))
    monkeypatch.setattr(commands.console, "width", 200)
    from ops.cli import app

    return CliRunner().invoke(app, ["redrive", *words], input=answer)


def test_it_tells_first_and_asks_then(small_deployment: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small = small_deployment
    assert "no dead letters" in run(small, monkeypatch, "updates").output
    name = small.dies(Queue.UPDATES, event(payment(1)))
    small.dies(Queue.UPDATES, NOTHING)
    for words, answer, code in ((["--dry-run", "--ids"], "", 0), ([], "n\n", 1)):
        done = run(small, monkeypatch, "updates", *words, answer=answer)
        assert done.exit_code == code
        assert "2 dead letters of updates" in done.output
        assert "secret" not in done.output
        assert small.bodies("UpdateQueueUrl") == []
    assert name in run(small, monkeypatch, "updates", "--dry-run", "--ids").output
    done = run(small, monkeypatch, "updates", "--yes")
    assert "1 sent back" in done.output
    assert "1 left: it holds no event" in done.output
    assert done.exit_code == 1
    assert small.bodies("UpdateQueueUrl") == [event(payment(1))]
    nothing = run(small, monkeypatch, "updates", "--yes")
    assert "quarantine updates --all" in nothing.output
