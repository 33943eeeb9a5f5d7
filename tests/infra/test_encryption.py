"""What holds data lies under a key of ours, which is of use only on the way there, and is reached by TLS alone."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.constructs.job_role import STEPS

ENVIRONMENTS = ("local", "dev", "staging", "prod")
PARTS = ("data", "features", "scoring", "training", "monitoring")

# By type, where it says under which key it is, and which of ours that has to be.
UNDER = {
    "AWS::AppConfig::ConfigurationProfile": {"KmsKeyIdentifier": {"objects"}},
    "AWS::Athena::WorkGroup": {
        "WorkGroupConfiguration.ResultConfiguration.EncryptionConfiguration.KmsKey": {"objects"}
    },
    "AWS::DynamoDB::GlobalTable": {"Replicas.0.SSESpecification.KMSMasterKeyId": {"tables"}},
    "AWS::KinesisFirehose::DeliveryStream": {
        "DeliveryStreamEncryptionConfigurationInput.KeyARN": {"messages"},
        "ExtendedS3DestinationConfiguration.EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN": {"objects"},
    },
    "AWS::Lambda::Function": {"KmsKeyArn": {"secrets"}},
    "AWS::Logs::LogGroup": {"KmsKeyId": {"logs"}},
    "AWS::S3::Bucket": {
        "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.KMSMasterKeyID": {
            "objects",
            "secrets",
        }
    },
    "AWS::SNS::Topic": {"KmsMasterKeyId": {"messages"}},
    # What the bus could not deliver is under another key than where it could not be delivered to.
    "AWS::SQS::Queue": {"KmsMasterKeyId": {"messages", "objects"}},
    "AWS::SecretsManager::Secret": {"KmsKeyId": {"secrets"}},
    # What its jobs write, and their disks.
    "AWS::StepFunctions::StateMachine": {"DefinitionSubstitutions.objects_key": {"objects"}},
}

# What holds nothing of anybody: names, rules, permissions, code, figures, or what one of the above holds.
HOLDS_NOTHING = re.compile(
    r"AWS::(IAM|KMS|ApiGateway|CloudWatch|CodeDeploy|Budgets|WAFv2|Glue|EC2|Synthetics)::.*"
    # The first document names no model; all that come after it are deployed under the key by `runtime.publishing`.
    r"|AWS::AppConfig::(Application|Deployment|DeploymentStrategy|Environment|HostedConfigurationVersion)"
    # The bus is under a key that AWS owns, on purpose: see docs/encryption.md.
    r"|AWS::Events::(EventBus|EventBusPolicy|Rule)"
    r"|AWS::Lambda::(Alias|EventInvokeConfig|EventSourceMapping|LayerVersion|Permission|Version)"
    r"|AWS::(Logs::LogStream|S3::BucketPolicy|SNS::TopicPolicy|SQS::QueuePolicy|SageMaker::ModelPackageGroup)"
)

type Platform = Callable[[str], Any]


def resources(synthesized: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in PARTS:
        for name, resource in synthesized.raw(part)["Resources"].items():
            yield f"{part}/{name}", resource


def at(properties: Any, path: str) -> Any:
    for step in path.split("."):
        properties = properties[int(step)] if step.isdigit() else properties.get(step)
        if properties is None:
            return None
    return properties


def key_of(reference: Any) -> str:
    """Which of our keys something refers to, in its own stack or in another one."""
    found = re.search(r"keys(tables|objects|messages|logs|secrets)[0-9A-F]{8}", json.dumps(reference))
    return found[1] if found else f"none of ours: {reference}"


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_all_that_holds_data_lies_under_the_key_for_it(platform: Platform, name: str) -> None:
    seen, wrong = set(), []
    for path, resource in resources(platform(name)):
        kind = resource["Type"]
        places = UNDER.get(kind)
        if places is None:
            assert HOLDS_NOTHING.fullmatch(kind), (
                f"{kind} ({path}): under which key is it, or does it hold nothing?"
            )
            continue
        seen.add(kind)
        for place, keys in places.items():
            if (key := key_of(at(resource["Properties"], place))) not in keys:
                wrong.append(f"{path}: {place} is {key}")
    assert not wrong
    assert seen == set(UNDER)


def test_what_a_key_stops_on_its_way_is_kept_under_another_one(platform: Platform) -> None:
    queues = platform("prod").resources("features", "AWS::SQS::Queue")
    under = {name: key_of(each["Properties"]["KmsMasterKeyId"]) for name, each in queues.items()}
    assert {key for name, key in under.items() if name.startswith("undelivered")} == {"objects"}
    assert {key for name, key in under.items() if not name.startswith("undelivered")} == {"messages"}


def test_what_jobs_write_and_their_disks_lie_under_it_too(platform: Platform) -> None:
    jobs = 0
    for machine in platform("prod").resources("training", "AWS::StepFunctions::StateMachine").values():
        for state in json.loads(machine["Properties"]["DefinitionString"])["States"].values():
            if ":sagemaker:create" not in state.get("Resource", ""):
                continue
            jobs += 1
            asked = state["Parameters"]
            output = asked.get("OutputDataConfig") or asked["ProcessingOutputConfig"]
            machines = asked.get("ResourceConfig") or asked["ProcessingResources"]["ClusterConfig"]
            assert output["KmsKeyId"] == machines["VolumeKmsKeyId"] == "${objects_key}"
    assert jobs >= 6


def test_a_job_may_encrypt_what_it_writes_as_sagemaker_wants_of_one_that_names_a_key(platform: Platform) -> None:
    prod = platform("prod")
    keys = prod.resources("data", "AWS::KMS::Key").items()
    (objects,) = [each["Properties"]["KeyPolicy"]["Statement"] for name, each in keys if key_of(name) == "objects"]
    lets = {each["Sid"] for each in objects if "kms:Encrypt" in listed(each["Action"])}
    assert {"ThroughS3", "ThroughSagemaker"} <= lets
    for step in STEPS:
        (encrypts,) = [
            each for each in prod.statements("training", f"{step}role") if "kms:Encrypt" in listed(each["Action"])
        ]
        assert key_of(encrypts["Resource"]) == "objects"
        through = json.dumps(encrypts["Condition"]["StringEquals"]["kms:ViaService"])
        assert re.findall(r'"(\w+)\."', through) == ["s3", "sagemaker"]


# Who may do what with a key, and on what condition: by the key, the statement's own name, and what has to be held.
USES = {
    "tables": {"ThroughDynamodb", "Lent"},
    "objects": {
        *("ThroughS3", "ThroughAppconfig", "ThroughSqs", "ThroughSagemaker", "ThroughEc2", "Lent"),
        "RulesToQueues",
    },
    "messages": {
        *("ThroughSqs", "ThroughSns", "ThroughFirehose", "Lent"),
        *("RulesToQueues", "Told"),
    },
    "logs": {"Logged"},
    "secrets": {"ThroughSecretsmanager", "ThroughS3", "ThroughLambda", "Lent"},
}
OPENS = re.compile(
    r"kms:(\*|Decrypt|Encrypt|GenerateDataKey|ReEncrypt|CreateGrant|GenerateMac|Sign|DeriveShared).*"
)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_key_rotates_and_is_of_use_only_where_its_policy_says(platform: Platform, name: str) -> None:
    keys = platform(name).resources("data", "AWS::KMS::Key")
    assert {key_of(key) for key in keys} == set(USES)
    for logical_id, key in keys.items():
        properties = key["Properties"]
        assert properties["EnableKeyRotation"] is True
        assert properties["RotationPeriodInDays"] == 365
        assert properties["PendingWindowInDays"] == 30
        assert key["DeletionPolicy"] == ("Retain" if name in {"staging", "prod"} else "Delete")
        statements = {each["Sid"]: each for each in properties["KeyPolicy"]["Statement"]}
        administered = statements.pop("Administered")
        assert not [action for action in administered["Action"] if OPENS.fullmatch(action) or "*" in action]
        # Else nobody could mend a policy that shuts everybody out.
        assert {"kms:PutKeyPolicy", "kms:CancelKeyDeletion", "kms:EnableKey"} <= set(administered["Action"])
        assert statements.keys() == USES[key_of(logical_id)]
        for sid, each in statements.items():
            assert not [action for action in listed(each["Action"]) if "*" in action], sid
            told = json.dumps(each["Condition"])
            if "AWS" in each["Principal"]:
                # The account as a whole: through a service, and by a principal of the account itself.
                assert {"kms:ViaService", "kms:CallerAccount"} <= each["Condition"]["StringEquals"].keys(), sid
            else:
                assert "kms:EncryptionContext:" in told, sid
            # A condition that may be absent, or that everything meets, would be none.
            assert not re.search(r'IfExists|: "\*"|\["\*"\]', told), sid
        if "Lent" in statements:
            assert statements["Lent"]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_role_uses_keys_only_through_the_service_and_never_all_of_them(platform: Platform, name: str) -> None:
    used = 0
    for path, resource in resources(platform(name)):
        if resource["Type"] != "AWS::IAM::Policy":
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            actions = [action for action in listed(statement["Action"]) if action.startswith("kms:")]
            if not actions:
                continue
            used += 1
            allowed = {"kms:Decrypt", "kms:GenerateDataKey"}
            if path.startswith("training/") and path.removeprefix("training/").partition("role")[0] in STEPS:
                allowed |= {"kms:CreateGrant", "kms:Encrypt"}
            assert set(actions) <= allowed, path
            assert actions == listed(statement["Action"]), f"{path}: keys and others in one statement"
            assert statement["Condition"]["StringEquals"]["kms:ViaService"], path
            for each in listed(statement["Resource"]):
                assert key_of(each) in USES, path
    assert used > 30


# What it takes to read or write there, by the action; a bucket says itself under which key it is.
NEEDED = {
    **dict.fromkeys(("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"), ("tables", "kms:Decrypt")),
    **dict.fromkeys(("dynamodb:PutItem", "dynamodb:GetRecords"), ("tables", "kms:Decrypt")),
    "s3:GetObject": ("", "kms:Decrypt"),
    "s3:PutObject": ("", "kms:GenerateDataKey"),
    "sqs:SendMessage": ("messages", "kms:GenerateDataKey"),
    "sqs:ReceiveMessage": ("messages", "kms:Decrypt"),
    "sns:Publish": ("messages", "kms:GenerateDataKey"),
    "secretsmanager:GetSecretValue": ("secrets", "kms:Decrypt"),
    "appconfig:GetLatestConfiguration": ("objects", "kms:Decrypt"),
    "appconfig:StartDeployment": ("objects", "kms:GenerateDataKey"),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_whoever_may_read_or_write_may_use_the_key_for_it(platform: Platform, name: str) -> None:
    synthesized = platform(name)
    place = "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.KMSMasterKeyID"
    buckets = {
        bucket: key_of(at(resource["Properties"], place))
        for bucket, resource in synthesized.resources("data", "AWS::S3::Bucket").items()
    }
    missing = []
    for path, resource in resources(synthesized):
        if resource["Type"] != "AWS::IAM::Policy":
            continue
        statements = resource["Properties"]["PolicyDocument"]["Statement"]
        held = {
            (service, key_of(key), action)
            for each in statements
            if "kms:ViaService" in (told := json.dumps(each.get("Condition", {})))
            for service in re.findall(r'"(\w+)\."', told)
            for key in listed(each["Resource"])
            for action in listed(each["Action"])
        }
        for each in statements:
            for action in set(listed(each["Action"])) & NEEDED.keys():
                key, needed = NEEDED[action]
                on = json.dumps(each["Resource"])
                missing += [
                    f"{path}: {action} without {needed} of {one}"
                    for one in ([key] if key else [buckets[bucket] for bucket in buckets if bucket in on])
                    if (action.partition(":")[0], one, needed) not in held
                ]
    assert not missing


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_is_read_or_written_without_tls(platform: Platform, name: str) -> None:
    """Buckets, queues and topics have an endpoint without TLS as well; what else AWS offers here has none."""
    whole = {
        "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket", "s3:*"),
        "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues", "sqs:*"),
        "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
    }
    synthesized = platform(name)
    for part in PARTS:
        for kind, (policies, to, action) in whole.items():
            for logical_id in synthesized.resources(part, kind):
                denied = [
                    statement["Condition"]
                    for policy in synthesized.resources(part, policies).values()
                    if {"Ref": logical_id} in listed(policy["Properties"][to])
                    for statement in policy["Properties"]["PolicyDocument"]["Statement"]
                    if statement["Effect"] == "Deny"
                    and statement["Action"] == action
                    and statement["Principal"] in ("*", {"AWS": "*"})
                ]
                assert {"Bool": {"aws:SecureTransport": "false"}} in denied, logical_id
                if kind == "AWS::S3::Bucket":
                    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied, logical_id


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_bucket_takes_nothing_under_another_key(platform: Platform, name: str) -> None:
    header = "s3:x-amz-server-side-encryption"
    synthesized = platform(name)
    for bucket, resource in synthesized.resources("data", "AWS::S3::Bucket").items():
        (rule,) = resource["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["BucketKeyEnabled"] is True
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        key = rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]
        denied = [
            statement["Condition"]
            for policy in synthesized.resources("data", "AWS::S3::BucketPolicy").values()
            if policy["Properties"]["Bucket"] == {"Ref": bucket}
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny" and statement["Action"] == "s3:PutObject"
        ]
        for named, wanted in ((header, "aws:kms"), (f"{header}-aws-kms-key-id", key)):
            # Who names none gets the bucket's own, so only what is named is looked at.
            assert {"Null": {named: "false"}, "StringNotEquals": {named: wanted}} in denied, bucket
