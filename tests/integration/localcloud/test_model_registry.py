"""The model registry through boto3 and CloudFormation, and what it and Step Functions tell the default bus."""

import json
import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.integration.localcloud.conftest import let_send, zipped
from tests.integration.localcloud.test_step_functions import start
from tests.waiting import until

pytestmark = pytest.mark.integration

KEEP = """
import json, boto3
def handler(event, context):
    body = json.dumps(event).encode()
    boto3.client("s3").put_object(Bucket="jobs", Key="told/" + context.aws_request_id, Body=body)
    alarms = boto3.client("cloudwatch").describe_alarms(AlarmNames=["too-many-errors"])["MetricAlarms"]
    return [alarm["StateValue"] for alarm in alarms]
"""


@pytest.fixture(scope="module")
def keep(cloud: boto3.Session, bucket: str) -> str:
    """ARN of a function that keeps the events it gets."""
    del bucket
    arn: str = cloud.client("lambda").create_function(
        FunctionName="keep",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/function",
        Handler="index.handler",
        Code={"ZipFile": zipped(KEEP)},
        Timeout=30,
    )["FunctionArn"]
    return arn


def told(cloud: boto3.Session) -> list[dict[str, Any]]:
    s3 = cloud.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="jobs", Prefix="told/").get("Contents", [])]
    return [json.load(s3.get_object(Bucket="jobs", Key=key)["Body"]) for key in keys]


def forward(cloud: boto3.Session, name: str, pattern: dict[str, Any], *targets: dict[str, Any]) -> None:
    events = cloud.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    given = [{"Id": str(number), **target} for number, target in enumerate(targets)]
    events.put_targets(Rule=name, Targets=given)


def test_a_version_from_its_registration_to_its_end(cloud: boto3.Session, keep: str) -> None:
    client = cloud.client("sagemaker")
    kind = "SageMaker Model Package State Change"
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": [kind],
        "detail": {"ModelPackageGroupName": ["fraud"], "ModelApprovalStatus": ["Approved", "Rejected"]},
    }
    forward(cloud, "approvals", pattern, {"Arn": keep})
    group = client.create_model_package_group(ModelPackageGroupName="fraud", Tags=[{"Key": "a", "Value": "b"}])
    assert client.list_tags(ResourceArn=group["ModelPackageGroupArn"])["Tags"] == [{"Key": "a", "Value": "b"}]
    with pytest.raises(ClientError, match="already exists"):
        client.create_model_package_group(ModelPackageGroupName="fraud")

    request = {
        "ModelPackageGroupName": "fraud",
        "ClientToken": "run-1",
        "CustomerMetadataProperties": {"run": "run-1", "stage": "shadow"},
    }
    first = client.create_model_package(**request)["ModelPackageArn"]
    assert first == "arn:aws:sagemaker:eu-west-1:000000000000:model-package/fraud/1"
    assert client.create_model_package(**request)["ModelPackageArn"] == first
    with pytest.raises(ClientError, match="was used before"):
        client.create_model_package(**request | {"ModelPackageDescription": "another"})
    second = client.create_model_package(ModelPackageGroupName="fraud", ModelApprovalStatus="Rejected")
    described = client.describe_model_package(ModelPackageName=first)
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert (described["ModelPackageVersion"], described["ModelPackageStatus"]) == (1, "Completed")

    client.update_model_package(
        ModelPackageArn=first,
        ModelApprovalStatus="Approved",
        ApprovalDescription="by Ada: looks right",
        CustomerMetadataProperties={"stage": "canary"},
    )
    described = client.describe_model_package(ModelPackageName=first)
    assert described["ApprovalDescription"] == "by Ada: looks right"
    assert described["CustomerMetadataProperties"] == {"run": "run-1", "stage": "canary"}

    def approved() -> list[dict[str, Any]]:
        found = [event for event in told(cloud) if event.get("detail-type") == kind]
        return [event for event in found if event["detail"]["ModelApprovalStatus"] == "Approved"]

    until(approved, what="the event of the approval")
    (event,) = approved()
    assert (event["source"], event["resources"]) == ("aws.sagemaker", [first])
    assert event["detail"]["ModelPackageArn"] == first
    assert event["detail"]["ModelPackageVersion"] == 1
    assert event["detail"]["ApprovalDescription"] == "by Ada: looks right"
    assert event["detail"]["CustomerMetadataProperties"]["run"] == "run-1"

    listed = client.list_model_packages(ModelPackageGroupName="fraud", SortOrder="Descending")
    versions = [item["ModelPackageVersion"] for item in listed["ModelPackageSummaryList"]]
    assert versions == [2, 1]
    listed = client.list_model_packages(ModelPackageGroupName="fraud", ModelApprovalStatus="Approved")
    assert [item["ModelPackageArn"] for item in listed["ModelPackageSummaryList"]] == [first]

    with pytest.raises(ClientError, match="still holds 2 versions"):
        client.delete_model_package_group(ModelPackageGroupName="fraud")
    client.delete_model_package(ModelPackageName=second["ModelPackageArn"])
    client.delete_model_package(ModelPackageName=first)
    third = client.create_model_package(ModelPackageGroupName="fraud")["ModelPackageArn"]
    assert third.endswith("fraud/3"), "a number is never given twice"
    client.delete_model_package(ModelPackageName=third)
    client.delete_model_package_group(ModelPackageGroupName="fraud")
    assert client.list_model_package_groups(NameContains="fraud")["ModelPackageGroupSummaryList"] == []


def test_what_the_registry_refuses(cloud: boto3.Session) -> None:
    client = cloud.client("sagemaker")
    with pytest.raises(ClientError, match="does not exist"):
        client.create_model_package(ModelPackageGroupName="unknown")
    with pytest.raises(ClientError, match="Tags"):
        client.create_model_package(ModelPackageGroupName="unknown", Tags=[{"Key": "a", "Value": "b"}])
    with pytest.raises(ClientError, match="Member must satisfy enum value set"):
        client.create_model_package(ModelPackageGroupName="unknown", ModelApprovalStatus="Maybe")


def test_group_in_a_stack(cloud: boto3.Session) -> None:
    cloudformation, sagemaker = cloud.client("cloudformation"), cloud.client("sagemaker")

    def template(name: str, tag: str) -> str:
        properties = {"ModelPackageGroupName": name, "Tags": [{"Key": "stage", "Value": tag}]}
        group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": properties}
        arn = {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}
        outputs = {"Ref": {"Value": {"Ref": "Group"}}, "Arn": {"Value": arn}}
        return json.dumps({"Resources": {"Group": group}, "Outputs": outputs})

    def outputs() -> dict[str, str]:
        (stack,) = cloudformation.describe_stacks(StackName="registry")["Stacks"]
        assert stack["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, stack
        return {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}

    cloudformation.create_stack(StackName="registry", TemplateBody=template("stacked", "one"))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="registry", WaiterConfig={"Delay": 1})
    arn = "arn:aws:sagemaker:eu-west-1:000000000000:model-package-group/stacked"
    assert outputs() == {"Ref": arn, "Arn": arn}
    cloudformation.update_stack(StackName="registry", TemplateBody=template("stacked", "two"))
    cloudformation.get_waiter("stack_update_complete").wait(StackName="registry", WaiterConfig={"Delay": 1})
    assert outputs()["Ref"] == arn
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "two"}]
    cloudformation.delete_stack(StackName="registry")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="registry", WaiterConfig={"Delay": 1})
    assert sagemaker.list_model_package_groups(NameContains="stacked")["ModelPackageGroupSummaryList"] == []


def test_failed_execution_reaches_a_topic_and_a_function(cloud: boto3.Session, keep: str) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="operators")["TopicArn"]
    queue = sqs.create_queue(QueueName="mail")["QueueUrl"]
    let_send(cloud, topic, queue)
    sentence = {
        "InputPathsMap": {"name": "$.detail.name", "status": "$.detail.status"},
        "InputTemplate": '"Execution <name> is <status>."',
    }
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"]},
    }
    forward(cloud, "failures", pattern, {"Arn": topic, "InputTransformer": sentence}, {"Arn": keep})
    states = {"Stop": {"Type": "Fail", "Error": "Oops", "Cause": "by design"}}
    arn = start(cloud, "told-of", states, {})
    name = arn.rpartition(":")[2]

    def details() -> list[dict[str, Any]]:
        return [item["detail"] for item in told(cloud) if item.get("detail", {}).get("executionArn") == arn]

    until(details, what="the event of the end")
    (detail,) = details()
    assert (detail["status"], detail["error"], detail["cause"]) == ("FAILED", "Oops", "by design")
    assert (detail["redriveCount"], detail["redriveStatus"]) == (0, "REDRIVABLE")
    assert abs(detail["stopDate"] / 1000 - time.time()) < 60
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert json.loads(message["Body"])["Message"].strip('"') == f"Execution {name} is FAILED."
    sns.publish(TopicArn=topic, Subject="Paywarden: stopped", Message="The champion stays.")
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert json.loads(message["Body"])["Subject"] == "Paywarden: stopped"


def test_function_reads_an_alarm_by_its_name(cloud: boto3.Session, keep: str) -> None:
    cloudwatch = cloud.client("cloudwatch")
    for name in ("too-many-errors", "another"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Paywarden",
            MetricName="Errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",  # without a value it stays as it was set
        )
    cloudwatch.set_alarm_state(AlarmName="too-many-errors", StateValue="ALARM", StateReason="test")
    answer = cloud.client("lambda").invoke(FunctionName=keep, Payload=b"{}")
    assert json.load(answer["Payload"]) == ["ALARM"]


def test_caller_has_an_identity(cloud: boto3.Session) -> None:
    identity = cloud.client("sts").get_caller_identity()
    assert identity["Account"] == "000000000000"
    assert identity["Arn"].startswith("arn:aws:")
