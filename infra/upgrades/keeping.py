"""What of a template must not be lost by a deployment, and how it is held; and what other stacks import of it."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]  # it ships none

__all__ = ["ELSEWHERE", "EXPORT", "REWRITTEN", "STATEFUL", "Kept", "kept"]

STATEFUL: Final = frozenset(
    {
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGateway::UsagePlan",
        "AWS::AppConfig::Application",
        "AWS::AppConfig::ConfigurationProfile",
        "AWS::AppConfig::Deployment",
        "AWS::AppConfig::Environment",
        "AWS::AppConfig::HostedConfigurationVersion",
        "AWS::Athena::WorkGroup",
        "AWS::DynamoDB::GlobalTable",
        "AWS::Events::EventBus",
        "AWS::Glue::Database",
        "AWS::Glue::Table",
        "AWS::KMS::Key",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::SageMaker::ModelPackageGroup",
        "AWS::SecretsManager::Secret",
    }
)
"""Types of resources that hold what was written to them, or that others outside the templates know by their id."""


ELSEWHERE: Final[Mapping[str, str]] = {
    "AWS::ApiGateway::RestApi": "its address is what merchants call; it is in the stack whose functions it calls",
    "AWS::ApiGateway::UsagePlan": "it counts a month's calls; merchants are told apart by their keys",
    "AWS::Lambda::EventSourceMapping": "a place in a stream: what comes again counts once",
    "AWS::Logs::LogGroup": "what a function said, which is evidence and no input; it stays when its stack goes",
    "AWS::SQS::Queue": "messages under way, a minute's worth: drained before their stack is deleted",
}
"""Why resources of a type may be in a stack of functions; all other stateful ones are in the data stack."""

EXPORT: Final = "Export"
"""In the place of a type: what other stacks import, which CloudFormation neither changes nor removes meanwhile."""

REWRITTEN: Final[Mapping[str, Mapping[str, str]]] = {
    EXPORT: {"Value": "cannot be changed while another stack imports it"},
    "AWS::SecretsManager::Secret": {
        "GenerateSecretString": "cannot be changed, or another secret would be generated",
        "SecretString": "cannot be changed, or it would be written over",
    },
}
"""What CloudFormation does to a resource that stays, by type and property, if the property changes.

Its schemas do not tell; the pages of the types do.
"""

_PROPERTIES: Final = "/properties/"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A resource that holds something, or an export.

    Attributes
    ----------
    type : str
        CloudFormation's, or `EXPORT`.
    fixed : dict of str to any JSON value
        Those properties that cannot be changed without a new resource, or a loss of what it holds, by their path;
        null where one is not given.
    keeps : dict of str to float
        How long and how well it keeps what it holds: the more, the better. What is not named is kept for ever.
    deleted, replaced : str
        Its deletion policy and its update-replace policy.
    """

    type: str
    fixed: dict[str, Any]
    keeps: dict[str, float]
    deleted: str
    replaced: str


def kept(template: Mapping[str, Any]) -> dict[str, Kept]:
    """The stateful resources and the exports of a template by their logical ids."""
    found = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] in STATEFUL:
            properties = resource.get("Properties", {})
            found[name] = Kept(
                type=resource["Type"],
                fixed={path: _at(properties, path) for path in _fixed(resource["Type"])} | _key_types(properties),
                keeps={what: float(much) for what, much in _keeps(resource["Type"], properties)},
                deleted=resource.get("DeletionPolicy", "Delete"),
                replaced=resource.get("UpdateReplacePolicy", "Delete"),
            )
    for name, output in template.get("Outputs", {}).items():
        if "Export" in output:
            found[name] = Kept(
                type=EXPORT, fixed={"Value": output["Value"]}, keeps={}, deleted="Delete", replaced="Delete"
            )
    return dict(sorted(found.items()))


def _fixed(type_: str) -> tuple[str, ...]:
    return (*_create_only(type_), *REWRITTEN.get(type_, ()))


@cache
def _create_only(type_: str) -> tuple[str, ...]:
    """Paths of the properties that cannot be changed, as CloudFormation's own schema of the type has them."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_).schema
    paths = [*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())]
    return tuple(sorted(path.removeprefix(_PROPERTIES) for path in paths))


def _at(properties: Any, path: str) -> Any:
    for name in path.split("/"):
        properties = properties.get(name) if isinstance(properties, Mapping) else None
    return properties


def _key_types(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The types of a table's keys: the schema lets them be changed, and DynamoDB does not."""
    if "KeySchema" not in properties:
        return {}
    keys = {each["AttributeName"] for each in properties["KeySchema"]}
    types = {each["AttributeName"]: each["AttributeType"] for each in properties["AttributeDefinitions"]}
    return {"AttributeDefinitions": {name: types[name] for name in sorted(keys)}}


def _keeps(type_: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    match type_:
        case "AWS::DynamoDB::GlobalTable":
            expiry = properties.get("TimeToLiveSpecification", {})
            if expiry.get("Enabled"):
                yield f"seconds of items past their {expiry.get('AttributeName')}", 0
            for replica in properties["Replicas"]:
                recovery = replica.get("PointInTimeRecoverySpecification", {})
                yield "point-in-time recovery", bool(recovery.get("PointInTimeRecoveryEnabled"))
                yield "deletion protection", bool(replica.get("DeletionProtectionEnabled"))
        case "AWS::S3::Bucket":
            yield "versions", properties.get("VersioningConfiguration", {}).get("Status") == "Enabled"
            yield "object lock", bool(properties.get("ObjectLockEnabled"))
            for rule in properties.get("LifecycleConfiguration", {}).get("Rules", ()):
                where = rule.get("Prefix") or "all"
                if "ExpirationInDays" in rule:
                    yield f"days of {where}", rule["ExpirationInDays"]
                noncurrent = rule.get("NoncurrentVersionExpiration", {})
                if "NoncurrentDays" in noncurrent:
                    yield f"days of old versions of {where}", noncurrent["NoncurrentDays"]
        case "AWS::KMS::Key":
            yield "rotation", bool(properties.get("EnableKeyRotation"))
            yield "days to think again", properties.get("PendingWindowInDays", 30)
        case "AWS::Logs::LogGroup" if "RetentionInDays" in properties:
            yield "days", properties["RetentionInDays"]
        case "AWS::SQS::Queue":
            yield "seconds", properties.get("MessageRetentionPeriod", 345_600)
