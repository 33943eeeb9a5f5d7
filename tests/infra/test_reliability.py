"""Nothing is lost, and somebody hears of trouble: retries, dead letters, alarms, encryption, retention."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from fraud.features import STANDARD
from fraud.measures import API
from runtime.stores.features import MOST_ITEMS

PARTS = ("data", "features", "scoring", "training", "monitoring")
FUNCTIONS = (
    *("authorize_merchant", "score_transaction", "read_decision", "record_outcome", "record_label"),
    *(
        "manage_settings",
        "backtest_rules",
        "relay_decisions",
        "update_features",
        "keep_audit",
        "plan_training",
        "read_verdict",
        "register_model",
        "release_model",
        "watch_release",
        "request_approval",
        "settle_approval",
        "watch_drift",
    ),
)


def template(platform: Callable[[str], Any], name: str, part: str) -> Template:
    return Template.from_json(platform(name).raw(part))


def test_the_relay_puts_a_bad_record_aside_and_goes_on(platform: Callable[[str], Any]) -> None:
    template(platform, "prod", "features").has_resource_properties(
        "AWS::Lambda::EventSourceMapping",
        {
            "StartingPosition": "TRIM_HORIZON",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": True,
            # Without limit: only age gives a record up.
            "MaximumRetryAttempts": -1,
            "MaximumRecordAgeInSeconds": 12 * 3600,
            "DestinationConfig": {
                "OnFailure": {"Destination": {"Fn::GetAtt": [Match.string_like_regexp("^unrelayed"), "Arn"]}}
            },
        },
    )


@pytest.mark.parametrize("of", ["decisions", "outcomes", "labels"])
def test_the_bus_may_write_to_the_lake_one_by_one_and_many(platform: Callable[[str], Any], of: str) -> None:
    (statement,) = platform("prod").statements("features", f"{of}tolakerulerole")
    assert statement["Action"] == ["firehose:PutRecord", "firehose:PutRecordBatch"]


def test_updates_come_in_bounded_batches_that_may_fail_in_part(platform: Callable[[str], Any]) -> None:
    template(platform, "prod", "features").has_resource_properties(
        "AWS::Lambda::EventSourceMapping",
        {
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 100},
        },
    )


def test_a_batch_of_any_events_is_one_transaction(platform: Callable[[str], Any]) -> None:
    mappings = platform("prod").resources("features", "AWS::Lambda::EventSourceMapping").values()
    (batch,) = [each["Properties"]["BatchSize"] for each in mappings if "ScalingConfig" in each["Properties"]]
    assert batch * (1 + len(STANDARD.entities)) <= MOST_ITEMS


def test_a_message_is_tried_five_times_and_then_kept(platform: Callable[[str], Any]) -> None:
    queues = platform("prod").resources("features", "AWS::SQS::Queue")
    (work,) = [each["Properties"] for each in queues.values() if "RedrivePolicy" in each["Properties"]]
    assert work["RedrivePolicy"]["maxReceiveCount"] == 5
    letters = queues[work["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]["Properties"]
    assert letters["MessageRetentionPeriod"] == 14 * 24 * 3600
    timeout = platform("prod").function("update_features")["Timeout"]
    assert work["VisibilityTimeout"] >= 6 * timeout


def test_every_rule_keeps_what_it_cannot_deliver(platform: Callable[[str], Any]) -> None:
    rules = platform("prod").resources("features", "AWS::Events::Rule")
    patterns = []
    for rule in rules.values():
        (target,) = rule["Properties"]["Targets"]
        assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0].startswith("undelivered")
        assert target["RetryPolicy"]["MaximumRetryAttempts"] == 10
        patterns.append(rule["Properties"]["EventPattern"])
    assert all(each["source"] == ["paywarden"] for each in patterns)
    kinds = sorted(tuple(each["detail-type"]) for each in patterns)
    assert kinds == [
        ("label.recorded",),
        ("outcome.recorded",),
        ("transaction.decided",),
        ("transaction.decided", "label.recorded", "outcome.recorded"),
    ]


def test_labels_of_the_bus_are_tried_five_times_and_kept_where_somebody_is_told(
    platform: Callable[[str], Any],
) -> None:
    prod = platform("prod")
    ((name, work),) = [
        (key, each["Properties"])
        for key, each in prod.resources("scoring", "AWS::SQS::Queue").items()
        if "RedrivePolicy" in each["Properties"]
    ]
    assert work["RedrivePolicy"]["maxReceiveCount"] == 5
    assert work["VisibilityTimeout"] >= 6 * prod.function("record_label")["Timeout"]
    letters = work["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    (rule,) = [each["Properties"] for each in prod.resources("scoring", "AWS::Events::Rule").values()]
    assert rule["EventPattern"] == {"detail-type": ["label.reported"]}
    (target,) = rule["Targets"]
    assert target["Arn"]["Fn::GetAtt"][0] == name
    assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] == letters
    (mapping,) = [
        each["Properties"] for each in prod.resources("scoring", "AWS::Lambda::EventSourceMapping").values()
    ]
    assert mapping["EventSourceArn"]["Fn::GetAtt"][0] == name
    assert mapping["FunctionName"]["Ref"].startswith("recordlabel")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    watched = {
        (each["Properties"]["MetricName"], each["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0])
        for each in prod.resources("scoring", "AWS::CloudWatch::Alarm").values()
        if each["Properties"].get("Namespace") == "AWS/SQS"
    }
    assert watched == {
        ("ApproximateNumberOfMessagesVisible", letters),
        ("ApproximateAgeOfOldestMessage", name),
    }


def test_the_lake_gets_the_event_detail_as_parquet(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    for rule in prod.resources("features", "AWS::Events::Rule").values():
        (target,) = rule["Properties"]["Targets"]
        if "stream" in json.dumps(target["Arn"]):
            assert target["InputPath"] == "$.detail"
    streams = prod.resources("features", "AWS::KinesisFirehose::DeliveryStream")
    folders = set()
    for stream in streams.values():
        to_s3 = stream["Properties"]["ExtendedS3DestinationConfiguration"]
        assert (
            "ParquetSerDe" in to_s3["DataFormatConversionConfiguration"]["OutputFormatConfiguration"]["Serializer"]
        )
        assert to_s3["BufferingHints"]["SizeInMBs"] >= 64, "what Firehose asks for when it converts"
        assert to_s3["ErrorOutputPrefix"].startswith("errors/")
        assert stream["Properties"]["DeliveryStreamEncryptionConfigurationInput"]
        folders.add(to_s3["Prefix"].partition("/")[0])
    assert folders == {"decisions", "labels", "outcomes"}


@pytest.mark.parametrize("verb_noun", FUNCTIONS)
def test_every_function_is_made_alike(platform: Callable[[str], Any], verb_noun: str) -> None:
    properties = platform("prod").function(verb_noun)
    assert properties["Runtime"] == "python3.13"
    assert properties["Architectures"] == ["arm64"]
    assert len(properties["Layers"]) == 3
    assert properties["TracingConfig"] == {"Mode": "Active"}
    assert properties["LoggingConfig"]["LogFormat"] == "JSON"
    assert "Ref" in properties["LoggingConfig"]["LogGroup"]
    variables = properties["Environment"]["Variables"]
    assert variables["ENVIRONMENT"] == "prod"
    assert variables["POWERTOOLS_SERVICE_NAME"] == verb_noun
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "Paywarden/prod"


@pytest.mark.parametrize("part", ["scoring", "features", "training"])
def test_every_function_has_alarms_for_errors_and_throttles(platform: Callable[[str], Any], part: str) -> None:
    """But for the authorizer's errors, which anyone who sends a wrong key can make, and a backtest's throttles."""
    prod = platform("prod")
    watched = {
        (metric["MetricName"], metric["Dimensions"][0]["Value"]["Ref"])
        for each in prod.resources(part, "AWS::CloudWatch::Alarm").values()
        for metric in metrics_of(each["Properties"])
        if metric.get("Namespace") == "AWS/Lambda"
    }
    spared = {("Errors", "authorize_merchant.handler.handler"), ("Throttles", "backtest_rules.handler.handler")}
    expected = {
        (metric, logical_id)
        for logical_id, function in prod.resources(part, "AWS::Lambda::Function").items()
        for metric in ("Errors", "Throttles")
        if (metric, function["Properties"]["Handler"]) not in spared
    }
    assert {each for each in watched if each[0] in ("Errors", "Throttles")} == expected


def metrics_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """What an alarm looks at."""
    return [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each] or [alarm]


def test_a_call_that_our_code_answers_with_5xx_is_an_error_of_its_function(
    platform: Callable[[str], Any],
) -> None:
    errors = {
        each["Properties"]["AlarmName"].rpartition("-")[2]: {
            (metric["MetricName"], json.dumps(metric["Dimensions"])) for metric in metrics_of(each["Properties"])
        }
        for each in platform("prod").resources("scoring", "AWS::CloudWatch::Alarm").values()
        if "-function-errors-" in each["Properties"]["AlarmName"]
    }
    assert set(errors) == set(API)
    for name, found in errors.items():
        assert ("Failed", json.dumps([{"Name": "service", "Value": name}])) in found


def test_an_authorizer_that_fails_is_told_and_one_that_refuses_is_not(platform: Callable[[str], Any]) -> None:
    (alarm,) = (
        each["Properties"]
        for each in platform("prod").resources("monitoring", "AWS::CloudWatch::Alarm").values()
        if each["Properties"].get("MetricName") == "AuthorizerFailed"
    )
    assert alarm["Namespace"] == "Paywarden/prod"
    assert alarm["Dimensions"] == [{"Name": "service", "Value": "authorize_merchant"}]
    assert alarm["Statistic"] == "Sum"


@pytest.mark.parametrize(("name", "copies"), [("local", None), ("dev", None), ("staging", 5), ("prod", 5)])
def test_backtests_leave_the_accounts_concurrency_to_decisions(
    platform: Callable[[str], Any], name: str, copies: int | None
) -> None:
    reserved = {
        each: platform(name).function(each)["ReservedConcurrentExecutions"]
        for each in FUNCTIONS
        if "ReservedConcurrentExecutions" in platform(name).function(each)
    }
    assert reserved == ({} if copies is None else {"backtest_rules": copies})


def test_every_dead_letter_queue_has_an_alarm_at_the_first_letter(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    queues = prod.resources("features", "AWS::SQS::Queue")
    letters = {key for key, each in queues.items() if "RedrivePolicy" not in each["Properties"]}
    alarms = prod.resources("features", "AWS::CloudWatch::Alarm").values()
    watched = {
        each["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for each in alarms
        if each["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
        and each["Properties"]["Threshold"] == 1
    }
    assert watched == letters
    names = {each["Properties"]["MetricName"] for each in alarms}
    assert {"ApproximateAgeOfOldestMessage", "IteratorAge", "DeliveryToS3.DataFreshness"} <= names


def test_queues_and_buckets_are_encrypted_and_refuse_plain_http(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    for queue in prod.resources("features", "AWS::SQS::Queue").values():
        assert queue["Properties"]["KmsMasterKeyId"]
        assert queue["Properties"]["KmsDataKeyReusePeriodSeconds"] == 3_600
    buckets = prod.resources("data", "AWS::S3::Bucket")
    for bucket in buckets.values():
        assert bucket["Properties"]["BucketEncryption"]
        assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    refusals = {
        policy["Properties"]["Bucket"]["Ref"]
        for policy in prod.resources("data", "AWS::S3::BucketPolicy").values()
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
        if each["Effect"] == "Deny" and each["Condition"].get("Bool") == {"aws:SecureTransport": "false"}
    }
    assert refusals == set(buckets)


def test_tables_are_what_the_stores_expect(platform: Callable[[str], Any]) -> None:
    data = template(platform, "prod", "data")
    data.has_resource_properties(
        "AWS::DynamoDB::GlobalTable",
        {
            "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        },
    )
    data.has_resource_properties(
        "AWS::DynamoDB::GlobalTable",
        {
            "KeySchema": [
                {"AttributeName": "id", "KeyType": "HASH"},
                {"AttributeName": "kind", "KeyType": "RANGE"},
            ],
            "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        },
    )
    data.has_resource_properties(
        "AWS::DynamoDB::GlobalTable", {"KeySchema": [{"AttributeName": "key_id", "KeyType": "HASH"}]}
    )
    for table in platform("prod").resources("data", "AWS::DynamoDB::GlobalTable").values():
        assert table["Properties"]["SSESpecification"]["SSEEnabled"] is True


_DATA_TYPES = (
    "AWS::DynamoDB::GlobalTable",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
    "AWS::Logs::LogGroup",
)


@pytest.mark.parametrize(("name", "policy"), [("dev", "Delete"), ("staging", "Retain"), ("prod", "Retain")])
def test_data_outlives_its_stack_where_it_is_real(platform: Callable[[str], Any], name: str, policy: str) -> None:
    for part in PARTS:
        for type_ in _DATA_TYPES:
            for logical_id, each in platform(name).resources(part, type_).items():
                # What has a name of ours would stand in the way of the next attempt, if a first deployment failed.
                named = policy == "Retain" and "LogGroupName" in each["Properties"]
                assert each["DeletionPolicy"] == ("RetainExceptOnCreate" if named else policy), logical_id


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_production_is_protected(platform: Callable[[str], Any], name: str) -> None:
    found = platform(name)
    assert {each.termination_protection for each in found.stacks.values()} == {name == "prod"}
    for table in found.resources("data", "AWS::DynamoDB::GlobalTable").values():
        (replica,) = table["Properties"]["Replicas"]
        assert replica.get("DeletionProtectionEnabled", False) is (name == "prod")
        recovery = replica.get("PointInTimeRecoverySpecification", {})
        assert recovery.get("PointInTimeRecoveryEnabled", False) is (name in {"staging", "prod"})


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_time_is_replayed_only_where_no_merchant_is_real(platform: Callable[[str], Any], name: str) -> None:
    expected = "true" if name in {"local", "dev"} else "false"
    for verb_noun in ("score_transaction", "record_outcome", "record_label", "update_features"):
        assert platform(name).function(verb_noun)["Environment"]["Variables"]["REPLAY_TIME"] == expected
