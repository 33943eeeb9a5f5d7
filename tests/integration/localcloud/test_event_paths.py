"""The ways of an event that the emulator alone does not have: stream failures, rules to Firehose, buffering."""

import io
import json
from typing import Any

import boto3
import pyarrow.parquet
import pytest

from tests.waiting import until

from .conftest import zipped

pytestmark = pytest.mark.integration

ROLE = "arn:aws:iam::000000000000:role/events"


def invocations(bucket: str, cloud: boto3.Session, prefix: str) -> list[dict[str, Any]]:
    s3 = cloud.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return [json.load(s3.get_object(Bucket=bucket, Key=key)["Body"]) for key in sorted(keys)]


# Writes what it was given to S3, and fails on request: "raise..." raises, "report..." is reported.
FUNCTION = """
import boto3, json, time
def handler(event, context):
    keys = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
    boto3.client("s3").put_object(
        Bucket="BUCKET", Key=f"PREFIX{time.time_ns()}", Body=json.dumps({"keys": keys}).encode())
    if any(key.startswith("raise") for key in keys):
        raise ValueError("a poison record")
    return {"batchItemFailures": [
        {"itemIdentifier": record["dynamodb"]["SequenceNumber"]}
        for record, key in zip(event["Records"], keys) if key.startswith("report")]}
"""


@pytest.fixture
def stream(cloud: boto3.Session, bucket: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """A table with a stream, FUNCTION, and a queue for what is given up."""
    name = request.node.name.replace("_", "-")
    prefix = f"{name}/"
    table = cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=ROLE,
        Handler="index.handler",
        Timeout=20,
        Code={"ZipFile": zipped(FUNCTION.replace("BUCKET", bucket).replace("PREFIX", prefix))},
    )
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    stream = table["LatestStreamArn"]
    return {"table": name, "prefix": prefix, "queue": queue, "queue_arn": arn, "stream": stream}


def write(cloud: boto3.Session, stream: dict[str, str], *keys: str) -> None:
    """Write items, then connect stream and function, so that the first batch holds all of them."""
    for key in keys:
        cloud.client("dynamodb").put_item(TableName=stream["table"], Item={"id": {"S": key}})
    cloud.client("lambda").create_event_source_mapping(
        FunctionName=stream["table"],
        EventSourceArn=stream["stream"],
        StartingPosition="TRIM_HORIZON",
        BatchSize=100,
        MaximumRetryAttempts=1,
        BisectBatchOnFunctionError=True,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        DestinationConfig={"OnFailure": {"Destination": stream["queue_arn"]}},
    )


def handed_over(cloud: boto3.Session, stream: dict[str, str]) -> Any:
    """The messages about what a function was given up on."""
    sqs = cloud.client("sqs")
    return until(
        lambda: sqs.receive_message(QueueUrl=stream["queue"]).get("Messages"),
        what="a message about the record",
    )


def batches_of(bucket: str, cloud: boto3.Session, stream: dict[str, str]) -> list[list[str]]:
    return [seen["keys"] for seen in invocations(bucket, cloud, stream["prefix"])]


def test_poison_record_is_cut_out_and_handed_over(
    cloud: boto3.Session, bucket: str, stream: dict[str, str]
) -> None:
    write(cloud, stream, "a", "b", "raise", "c")
    message = handed_over(cloud, stream)
    record = json.loads(message[0]["Body"])
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["DDBStreamBatchInfo"]["batchSize"] == 1
    # Its neighbours each came through alone, after it was cut out.
    until(lambda: ["c"] in batches_of(bucket, cloud, stream), what="a batch with c alone")
    batches = batches_of(bucket, cloud, stream)
    assert ["a", "b"] in batches
    assert batches.count(["raise"]) == 2


def test_reported_record_is_retried_from_there(cloud: boto3.Session, bucket: str, stream: dict[str, str]) -> None:
    write(cloud, stream, "a", "report", "b")
    message = handed_over(cloud, stream)
    assert json.loads(message[0]["Body"])["DDBStreamBatchInfo"]["batchSize"] == 1
    until(lambda: ["b"] in batches_of(bucket, cloud, stream), what="a batch with b alone")
    batches = batches_of(bucket, cloud, stream)
    # "a" was a checkpoint: it is not given again.
    assert [batch for batch in batches if "a" in batch] == [["a", "report", "b"]]


def test_rule_to_firehose_writes_one_parquet_object(cloud: boto3.Session, bucket: str) -> None:
    kinds = {"event_id": "string", "amount": "bigint", "score": "double", "features": "map<string,double>"}
    glue, firehose, events = cloud.client("glue"), cloud.client("firehose"), cloud.client("events")
    glue.create_database(DatabaseInput={"Name": "lake"})
    glue.create_table(
        DatabaseName="lake",
        TableInput={
            "Name": "decisions",
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": kind} for name, kind in kinds.items()],
                "Location": f"s3://{bucket}/lake/",
            },
        },
    )
    arn = firehose.create_delivery_stream(
        DeliveryStreamName="decisions",
        ExtendedS3DestinationConfiguration={
            "RoleARN": ROLE,
            "BucketARN": f"arn:aws:s3:::{bucket}",
            "Prefix": "lake/",
            "ErrorOutputPrefix": "errors/",
            # Long enough for all the rows to come, as one object holds them.
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 5},
            "DataFormatConversionConfiguration": {
                "Enabled": True,
                "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
                "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "lake", "TableName": "decisions"},
            },
        },
    )["DeliveryStreamARN"]
    events.create_event_bus(Name="transactions")
    events.put_rule(Name="lake", EventBusName="transactions", EventPattern='{"source": ["paywarden"]}')
    target = {"Id": "lake", "Arn": arn, "RoleArn": ROLE, "InputPath": "$.detail"}
    events.put_targets(Rule="lake", EventBusName="transactions", Targets=[target])
    rows = [
        {"event_id": f"m/{index}", "amount": 100 + index, "score": 0.5, "features": {"velocity": 1.5}}
        for index in range(10)
    ]
    entries = [
        {"EventBusName": "transactions", "Source": "paywarden", "DetailType": "x", "Detail": json.dumps(row)}
        for row in rows
    ]
    answer = events.put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 0
    s3 = cloud.client("s3")
    objects = until(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="lake/").get("Contents"), what="an object")
    assert len(objects) == 1
    body = s3.get_object(Bucket=bucket, Key=objects[0]["Key"])["Body"].read()
    read = pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist(maps_as_pydicts="strict")
    assert read == rows
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="errors/")
