"""Every alarm of production goes off, tells the people that it should, and ends, in the local cloud.

The alarms are made of the very templates, without what they watch: their metrics are put instead. Bad points lie
far enough back that good ones after them end the alarm, so that nothing has to be waited for.
"""

import itertools
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from infra.alarms import kind_of, tells
from infra.environments import PROD
from ops.localcloud import control
from ops.localcloud.alarms import Alarm, Metric, Metrics, Scope, evaluate
from tests.ports import free_port

pytestmark = pytest.mark.integration

PARTS = ("data", "features", "scoring", "training", "monitoring")
METRIC, COMPOSITE, TOPIC = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", "AWS::SNS::Topic"
HERE = Scope("000000000000", "eu-west-1")
MINUTE, FEW, MANY = 60, 1_000, 10_000_000
MOST_TRIED = 5
PATIENCE = 15
# PutMetricData takes so many points at once.
AT_ONCE = 1_000
ELSEWHERE = "us-east-1"
APART = frozenset({"updates-stopped"})
"""Kinds that need what the others must not have: a relay that works, where theirs stands still."""

type Levels = Mapping[Metric, float]


class Templates:
    """The alarms of all stacks, with what they refer to by names that are made up."""

    def __init__(self, synthesized: Any, topics: Callable[[str], str]) -> None:
        self._raw = {part: synthesized.raw(part) for part in PARTS}
        self._topics = topics

    def alarms(self, type_: str) -> Iterator[dict[str, Any]]:
        """The properties of each, as the API takes them."""
        for part, document in self._raw.items():
            for each in document["Resources"].values():
                if each["Type"] == type_:
                    yield self._solved(part, {k: v for k, v in each["Properties"].items() if k != "Tags"})

    def _solved(self, part: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._solved(part, each) for each in value]
        if not isinstance(value, dict):
            return value
        match list(value.items()):
            case [("Ref", name)]:
                return self._named(part, name)
            case [("Fn::GetAtt", [name, attribute])]:
                named = self._named(part, name)
                return self._arn(named) if attribute == "Arn" and self._type(part, name) == METRIC else named
            case [("Fn::ImportValue", export)]:
                stack, output = export.split(":")
                owner = stack.rpartition("-")[2]
                return self._solved(owner, self._raw[owner]["Outputs"][output]["Value"])
            case [("Fn::Join", [between, parts])]:
                return between.join(self._solved(part, each) for each in parts)
        return {key: self._solved(part, each) for key, each in value.items()}

    def _type(self, part: str, name: str) -> str | None:
        found = self._raw[part]["Resources"].get(name)
        return found["Type"] if found else None

    def _named(self, part: str, name: str) -> str:
        type_ = self._type(part, name)
        if type_ == TOPIC:
            return self._topics(name)
        if type_ == METRIC:
            return str(self._raw[part]["Resources"][name]["Properties"]["AlarmName"])
        return {"AWS::Region": HERE.region, "AWS::AccountId": HERE.account}.get(name, f"{part}-{name}")

    @staticmethod
    def _arn(name: str) -> str:
        return f"arn:aws:cloudwatch:{HERE.region}:{HERE.account}:alarm:{name}"


class Inbox:
    """What the topics of a severity say."""

    def __init__(self, cloud: boto3.Session) -> None:
        self._sns, self._sqs = cloud.client("sns"), cloud.client("sqs")
        # Queues take messages from topics only where their policy says so.
        allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow | {"Resource": "*"}]})
        self.queues = {
            name: self._sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
            for name in ("pages", "tickets")
        }
        self.heard: dict[tuple[str, str], str] = {}

    def topic(self, logical_id: str) -> str:
        """The topic in the place of a template's, with a queue that hears it."""
        severity = next(name for name in self.queues if logical_id.startswith(name))
        arn: str = self._sns.create_topic(Name=logical_id)["TopicArn"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self.queues[severity], AttributeNames=["QueueArn"])
        self._sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])
        return arn

    def listen(self) -> dict[tuple[str, str], str]:
        """By alarm and new state, the severity of the topic that told."""
        for severity, url in self.queues.items():
            while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                for each in messages:
                    told = json.loads(json.loads(each["Body"])["Message"])
                    self.heard[told["AlarmName"], told["NewStateValue"]] = severity
                    self._sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return self.heard


@pytest.fixture(scope="module")
def cloud() -> Iterator[Callable[[str], boto3.Session]]:
    """A session in a region of it."""
    port = free_port()
    control.up(port)
    try:
        yield lambda region: control.session(port, region=region)
    finally:
        control.down(port)


def levels(alarm: Alarm) -> tuple[Levels, Levels]:
    """The lowest values of the alarm's metrics at which it goes off, and those at which it does not.

    A metric may have no value at all, where that is what trips it.
    """
    metrics = sorted(set(alarm.metrics), key=str)
    steps: list[float | None] = [1.0, 0.0]
    # Of many metrics all are counts, that are there or not.
    if len(metrics) <= MOST_TRIED:
        steps = [None, *sorted({0.0, 1.0, 2 * alarm.threshold + 1, 1_000_000.0}, reverse=True)]
    bad: Levels | None = None
    good: Levels | None = None
    for values in itertools.product(steps, repeat=len(metrics)):
        tried = {metric: value for metric, value in zip(metrics, values, strict=True) if value is not None}
        store = Metrics()
        for metric, value in tried.items():
            store.record(HERE, metric, value, at=0, count=FEW)
        point = alarm.datapoints(store, HERE, 0)[-1][1]
        if point is not None and alarm.breaches(point):
            bad = tried
        elif point is not None:
            good = tried
    assert bad is not None or alarm.missing == "breaching", "no values are found that trip it"
    assert good is not None, "no values are found that end it"
    return bad or {}, good


def put(cloud: boto3.Session, points: Mapping[tuple[Metric, int], float], count: int) -> None:
    """Put values at moments, each as if it was observed `count` times."""
    client = cloud.client("cloudwatch")
    by_namespace: dict[str, list[dict[str, Any]]] = {}
    for (metric, at), value in points.items():
        datum = {
            "MetricName": metric.name,
            "Dimensions": [{"Name": name, "Value": held} for name, held in metric.dimensions],
            "Timestamp": datetime.fromtimestamp(at, UTC),
            "Values": [value],
            "Counts": [count],
        }
        by_namespace.setdefault(metric.namespace, []).append(datum)
    for namespace, data in by_namespace.items():
        for first in range(0, len(data), AT_ONCE):
            client.put_metric_data(Namespace=namespace, MetricData=data[first : first + AT_ONCE])


def states(cloud: boto3.Session) -> dict[str, str]:
    pages = cloud.client("cloudwatch").get_paginator("describe_alarms")
    found: dict[str, str] = {}
    for page in pages.paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"], AlarmNamePrefix=PROD.prefix):
        found |= {each["AlarmName"]: each["StateValue"] for each in page["MetricAlarms"] + page["CompositeAlarms"]}
    return found


def others(cloud: boto3.Session, expected: str, *, but: Collection[str] = ()) -> list[str]:
    """The alarms that are not in the state expected, once they have had time to get there."""
    until = time.monotonic() + PATIENCE
    while True:
        wrong = [name for name, state in states(cloud).items() if state != expected and name not in but]
        if not wrong or time.monotonic() > until:
            return sorted(wrong)
        time.sleep(0.2)


def is_apart(alarm: Mapping[str, Any]) -> bool:
    kind = kind_of(alarm["AlarmName"], prefix=PROD.prefix)
    assert kind
    return kind.name in APART


def test_every_alarm_goes_off_tells_people_and_ends(
    cloud: Callable[[str], boto3.Session], platform: Callable[[str], Any]
) -> None:
    here = cloud(HERE.region)
    client, inbox = here.client("cloudwatch"), Inbox(here)
    templates = Templates(platform("prod"), inbox.topic)
    made = [each for each in templates.alarms(METRIC) if not is_apart(each)]
    for each in made:
        client.put_metric_alarm(**each)
    for each in templates.alarms(COMPOSITE):
        client.put_composite_alarm(**each)
    assert len(made) > len(PARTS)
    check_all(here, inbox)


def test_so_do_those_that_need_what_the_others_must_not_have(
    cloud: Callable[[str], boto3.Session], platform: Callable[[str], Any]
) -> None:
    there = cloud(ELSEWHERE)
    inbox = Inbox(there)
    made = [each for each in Templates(platform("prod"), inbox.topic).alarms(METRIC) if is_apart(each)]
    for each in made:
        there.client("cloudwatch").put_metric_alarm(**each)
    assert len(made) == len(APART)
    check_all(there, inbox)


def check_all(cloud: boto3.Session, inbox: Inbox) -> None:
    """Trip all alarms of a region, and end them."""
    pages = cloud.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm"])
    alarms = {each["AlarmName"]: Alarm.of(each) for page in pages for each in page["MetricAlarms"]}
    # It takes a while.
    found = {name: levels(alarm) for name, alarm in alarms.items()}

    # All points are put within one minute, by which both ends of every period are reckoned.
    if (left := MINUTE - time.time() % MINUTE) < PATIENCE:
        time.sleep(left)
    end = (int(time.time()) // MINUTE + 1) * MINUTE
    bad: dict[tuple[Metric, int], float] = {}
    good: dict[tuple[Metric, int], float] = {}
    lasting, held = set(), set()
    # Alarms on the same metric share its bad points, so those that look less far back come first.
    for name, alarm in sorted(alarms.items(), key=lambda each: each[1].periods):
        trips, ends = found[name]
        empty = alarm.datapoints(Metrics(), HERE, end)
        if empty[-1][1] is not None:
            # Its expression fills in what is missing, so that newer periods are good by themselves.
            lasting.add(name)
            held |= {metric for metric, value in trips.items() if value}
            assert evaluate(alarm, empty, "ALARM").state == "OK"
        # In a full minute in the middle of each period that is looked at, the oldest first.
        middles = [int(start) + alarm.period // MINUTE // 2 * MINUTE + 1 for start, _ in empty]
        there = [at for at in middles if trips and all((metric, at) in bad for metric in trips)]
        lacking = alarm.breaching - len(there)
        chosen = [at for at in middles if at not in there][:lacking]
        if name in lasting:
            # The newest that have begun.
            there, chosen = [], [at for at in middles if at < end][-alarm.breaching :]
        for metric, value in trips.items():
            for at in [*there, *chosen]:
                bad[metric, at] = max(value, bad.get((metric, at), value))
        good |= {(metric, at): value for metric, value in ends.items() for at in middles}
    # Nor do those end that look at the same newest points.
    lasting |= {name for name, alarm in alarms.items() if held.intersection(alarm.metrics)}
    good = {key: value for key, value in good.items() if key not in bad}
    put(cloud, bad, FEW)
    assert others(cloud, "ALARM") == [], "these alarms cannot be tripped"
    names = [name for name in states(cloud) if tells(name, prefix=PROD.prefix)]
    expected = {name: kind_of(name, prefix=PROD.prefix) for name in names}
    heard = inbox.listen()
    assert {name: told for (name, state), told in heard.items() if state == "ALARM"} == {
        name: f"{kind.severity}s" for name, kind in expected.items() if kind
    }
    # The first state of a new alarm that has no points is OK, which must not wake anybody.
    assert {told for (_, state), told in heard.items() if state == "OK"} <= {"tickets"}

    inbox.heard.clear()
    put(cloud, good, MANY)
    assert others(cloud, "OK", but=lasting) == [], "these alarms do not end"
    heard = inbox.listen()
    assert {name for name in expected if (name, "OK") not in heard} <= lasting
    assert {told for (_, state), told in heard.items() if state == "OK"} <= {"tickets"}


def test_the_local_cloud_has_the_alarms_of_production_but_for_what_needs_schedules(
    platform: Callable[[str], Any],
) -> None:
    def kinds(name: str) -> set[str]:
        templates = Templates(platform(name), str)
        named = (each["AlarmName"] for type_ in (METRIC, COMPOSITE) for each in templates.alarms(type_))
        return {each.removeprefix(f"paywarden-{name}-") for each in named}

    assert kinds("local") <= kinds("prod")
    assert kinds("prod") - kinds("local") <= {"monitoring-missing"}
