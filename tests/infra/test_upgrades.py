"""A deployment over the last release replaces nothing that holds something, and code is apart from that."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from infra.environments import PROD
from infra.stacks import DataStack
from infra.upgrades import BREAKING, ELSEWHERE, RECORDED, STATEFUL, broken, kept, read
from tests.infra.conftest import ROOT, Synthesizer

PARTS = ("data", "features", "scoring", "training", "monitoring")

HOLDING = {
    "AWS::DynamoDB::GlobalTable",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SageMaker::ModelPackageGroup",
    "AWS::SecretsManager::Secret",
}
"""What no code could make again."""

MADE_FROM_CODE = {
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::Authorizer",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Model",
    "AWS::ApiGateway::RequestValidator",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::Stage",
    "AWS::AppConfig::DeploymentStrategy",
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentConfig",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Events::EventBusPolicy",
    "AWS::Events::Rule",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KinesisFirehose::DeliveryStream",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogStream",
    "AWS::Logs::ResourcePolicy",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::SecretsManager::RotationSchedule",
    "AWS::StepFunctions::StateMachine",
    "AWS::WAFv2::LoggingConfiguration",
    "AWS::WAFv2::WebACL",
    "AWS::WAFv2::WebACLAssociation",
}
"""What the next deployment makes anew, with nothing lost."""


@pytest.mark.parametrize("name", RECORDED)
def test_a_deployment_over_the_last_release_loses_nothing(platform: Synthesizer, name: str) -> None:
    lost = {}
    for part, released in read(name).items():
        lost |= {
            f"{name}/{part}/{key}": why for key, why in broken(released, kept(platform(name).raw(part))).items()
        }
    excused = {place for place in BREAKING if place.startswith(f"{name}/")}
    assert not [why for place, why in lost.items() if place not in excused]
    assert excused <= lost.keys(), "a reason for what is not broken any more: take it out of BREAKING"


@pytest.mark.parametrize("name", ["local", *RECORDED])
def test_a_deployment_looks_nothing_up(platform: Synthesizer, name: str) -> None:
    # CloudFormation would make a call for each place, and be throttled by its own limit.
    assert not [part for part in PARTS if "Fn::GetStackOutput" in json.dumps(platform(name).raw(part))]


@pytest.mark.parametrize("name", RECORDED)
def test_the_record_has_what_the_last_release_had(name: str) -> None:
    found = read(name)
    assert set(found) == set(PARTS)
    types = [each.type for each in found["data"].values()]
    assert set(types) >= HOLDING - {"AWS::Logs::LogGroup"}
    assert types.count("AWS::DynamoDB::GlobalTable") >= 5


def _table(template: Any) -> Any:
    return next(each for key, each in template["Resources"].items() if key.startswith("decisions"))


def _first(template: Any, type_: str) -> Any:
    return next(each for each in template["Resources"].values() if each["Type"] == type_)


def _renamed(template: Any) -> None:
    (key,) = (key for key in template["Resources"] if key.startswith("decisions"))
    template["Resources"]["ledgerA1B2C3D4"] = template["Resources"].pop(key)


def _other_type(template: Any) -> None:
    _table(template)["Type"] = "AWS::S3::Bucket"


def _key_schema(template: Any) -> None:
    _table(template)["Properties"]["KeySchema"][1]["AttributeName"] = "part"
    _table(template)["Properties"]["AttributeDefinitions"][1]["AttributeName"] = "part"


def _key_type(template: Any) -> None:
    _table(template)["Properties"]["AttributeDefinitions"][0]["AttributeType"] = "N"


def _table_name(template: Any) -> None:
    _table(template)["Properties"]["TableName"] = "ledger"


def _no_recovery(template: Any) -> None:
    del _table(template)["Properties"]["Replicas"][0]["PointInTimeRecoverySpecification"]


def _dropped_on_deletion(template: Any) -> None:
    _table(template)["DeletionPolicy"] = "Delete"


def _dropped_on_replacement(template: Any) -> None:
    del _table(template)["UpdateReplacePolicy"]


def _bucket_name(template: Any) -> None:
    _first(template, "AWS::S3::Bucket")["Properties"]["BucketName"] = "lake"


def _expiry(template: Any) -> None:
    rule = {"Id": "old", "Status": "Enabled", "ExpirationInDays": 30}
    bucket = _first(template, "AWS::S3::Bucket")["Properties"]
    bucket.setdefault("LifecycleConfiguration", {}).setdefault("Rules", []).append(rule)


def _no_rotation(template: Any) -> None:
    _first(template, "AWS::KMS::Key")["Properties"]["EnableKeyRotation"] = False


def _other_generated(template: Any) -> None:
    _first(template, "AWS::SecretsManager::Secret")["Properties"]["GenerateSecretString"]["PasswordLength"] = 32


def _written_over(template: Any) -> None:
    secret = _first(template, "AWS::SecretsManager::Secret")["Properties"]
    secret["SecretString"] = secret.pop("GenerateSecretString")["PasswordLength"]


def _time_to_live(template: Any) -> None:
    _table(template)["Properties"]["TimeToLiveSpecification"] = {"AttributeName": "expires_at", "Enabled": True}


def _other_time_to_live(template: Any) -> None:
    (table,) = (each for key, each in template["Resources"].items() if key.startswith("features"))
    assert table["Properties"]["TimeToLiveSpecification"]["Enabled"]
    table["Properties"]["TimeToLiveSpecification"]["AttributeName"] = "updated_at"


def _first_document(template: Any) -> None:
    _first(template, "AWS::AppConfig::HostedConfigurationVersion")["Properties"]["Content"] = "{}"


def _not_exported(template: Any) -> None:
    del template["Outputs"][_export(template)]


def _another_exported(template: Any) -> None:
    template["Outputs"][_export(template)]["Value"] = {"Ref": "ledgerA1B2C3D4"}


def _export(template: Any) -> str:
    return next(key for key, each in template["Outputs"].items() if "Export" in each)


BREAKS: dict[str, Callable[[Any], None]] = {
    "it is gone": _renamed,
    "another resource": _other_type,
    "KeySchema cannot be changed": _key_schema,
    'AttributeDefinitions cannot be changed, so it would be replaced: {"id": "S"': _key_type,
    'TableName cannot be changed, so it would be replaced: null would become "ledger"': _table_name,
    "point-in-time recovery: 1 would become 0": _no_recovery,
    "its policy on deletion would become Delete, from Retain": _dropped_on_deletion,
    "its policy on replacement would become Delete, from Retain": _dropped_on_replacement,
    "BucketName cannot be changed": _bucket_name,
    "days of all: inf would become 30": _expiry,
    "rotation: 1 would become 0": _no_rotation,
    "GenerateSecretString cannot be changed, or another secret would be generated": _other_generated,
    "SecretString cannot be changed, or it would be written over": _written_over,
    "seconds of items past their expires_at: inf would become 0": _time_to_live,
    "seconds of items past their updated_at: inf would become 0": _other_time_to_live,
    "Content cannot be changed": _first_document,
    "(Export): it is gone: CloudFormation would refuse that": _not_exported,
    "Value cannot be changed while another stack imports it": _another_exported,
}


@pytest.mark.parametrize("words", BREAKS)
def test_a_break_is_found_and_said(platform: Synthesizer, words: str) -> None:
    released = platform("prod").raw("data")
    changed = copy.deepcopy(released)
    BREAKS[words](changed)
    lost = broken(kept(released), kept(changed))
    assert len(lost) == 1
    assert words in next(iter(lost.values()))


def test_what_is_kept_longer_or_is_new_breaks_nothing(platform: Synthesizer) -> None:
    released = platform("dev").raw("data")
    changed = copy.deepcopy(released)
    table = _table(changed)
    table["DeletionPolicy"] = table["UpdateReplacePolicy"] = "Retain"
    (expiring,) = (each for key, each in changed["Resources"].items() if key.startswith("features"))
    del expiring["Properties"]["TimeToLiveSpecification"]
    table["Properties"]["Replicas"][0]["DeletionProtectionEnabled"] = True
    table["Properties"]["AttributeDefinitions"].append({"AttributeName": "merchant", "AttributeType": "S"})
    changed["Resources"]["anotherA1B2C3D4"] = copy.deepcopy(table)
    assert broken(kept(released), kept(changed)) == {}
    assert broken(kept(changed), kept(released)), "and the other way round it does"


def test_logs_and_messages_are_not_kept_for_less_long(platform: Synthesizer) -> None:
    released = platform("prod").raw("features")
    changed = copy.deepcopy(released)
    _first(changed, "AWS::Logs::LogGroup")["Properties"]["RetentionInDays"] = 7
    _first(changed, "AWS::SQS::Queue")["Properties"]["MessageRetentionPeriod"] = 60
    assert len(broken(kept(released), kept(changed))) == 2


@pytest.mark.parametrize("name", ["local", "prod"])
def test_what_holds_something_is_in_the_data_stack_or_has_a_reason_to_be_elsewhere(
    platform: Synthesizer, name: str
) -> None:
    for part in PARTS:
        types = {each["Type"] for each in platform(name).raw(part)["Resources"].values()}
        unjudged = types - STATEFUL - MADE_FROM_CODE
        assert not unjudged, "say in infra/upgrades or here whether these hold anything"
        if part != "data":
            assert types & STATEFUL <= ELSEWHERE.keys()


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_what_no_code_could_make_again_outlives_its_stack_and_its_replacement(
    platform: Synthesizer, name: str
) -> None:
    for part in PARTS:
        for key, each in kept(platform(name).raw(part)).items():
            if each.type in HOLDING:
                named = each.fixed.get("LogGroupName") or each.fixed.get("ModelPackageGroupName")
                deleted = "RetainExceptOnCreate" if named else "Retain"
                assert (key, each.deleted, each.replaced) == (key, deleted, "Retain")


def test_what_is_kept_is_the_same_whatever_the_code_is(platform: Synthesizer, tmp_path: Path) -> None:
    """The data stack alone, without any code beside it, holds the very same; and there is no code in it."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(tmp_path), context=context, analytics_reporting=False)
    alone = DataStack(app, environment=PROD)
    app.synth()
    template = json.loads((tmp_path / alone.template_file).read_text())
    whole = platform("prod").raw("data")
    # Who may publish to a topic is said by the rules of other stacks, in the topic's policy.
    assert _holding(template) == _holding(whole) != {}
    told = json.dumps(whole)
    assert "Fn::ImportValue" not in told
    assert not {"AWS::Lambda::Function", "AWS::Lambda::LayerVersion"} & {
        each["Type"] for each in whole["Resources"].values()
    }
    assets = [each for part in PARTS[1:] for each in _digests(platform("prod").raw(part))]
    assert assets, "there is code elsewhere"
    assert not [each for each in assets if each in told]


def _holding(template: Any) -> dict[str, Any]:
    return {key: each for key, each in template["Resources"].items() if each["Type"] in STATEFUL}


def _digests(template: Any) -> list[str]:
    return [
        each["Properties"]["Code"]["S3Key"].partition(".")[0]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Lambda::Function"
    ]
