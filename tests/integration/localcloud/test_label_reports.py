"""Labels on their way over the bus: a rule that asks for the kind of an event takes it from whoever sends it."""

import json

import boto3
import pytest

pytestmark = pytest.mark.integration


def test_an_event_of_any_source_reaches_the_queue_with_its_time_and_detail(cloud: boto3.Session) -> None:
    sqs, bus = cloud.client("sqs"), cloud.client("events")
    queue = sqs.create_queue(QueueName="reported-labels")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus.create_event_bus(Name="labels")
    pattern = json.dumps({"detail-type": ["label.reported"]})
    bus.put_rule(Name="to-labels", EventBusName="labels", EventPattern=pattern)
    bus.put_targets(Rule="to-labels", EventBusName="labels", Targets=[{"Id": "queue", "Arn": arn}])
    sent = [
        ("acme.disputes", "label.reported", "t1"),
        ("paywarden", "label.recorded", "t2"),
        ("case-desk", "label.reported", "t3"),
    ]
    bus.put_events(
        Entries=[
            {
                "Source": source,
                "DetailType": kind,
                "Detail": json.dumps({"merchant_id": "acme", "transaction_id": name}),
                "EventBusName": "labels",
            }
            for source, kind, name in sent
        ]
    )
    found = {}
    for _ in range(5):
        for each in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2).get(
            "Messages", []
        ):
            event = json.loads(each["Body"])
            found[event["detail"]["transaction_id"]] = event
        if len(found) == 2:
            break
    assert {name: event["source"] for name, event in found.items()} == {"t1": "acme.disputes", "t3": "case-desk"}
    assert all(event["id"] and event["time"].endswith("Z") for event in found.values())
    assert sqs.receive_message(QueueUrl=queue).get("Messages", []) == []
