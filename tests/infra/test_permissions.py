"""What each role may do: exactly this, and on nothing but what it names."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.constructs.lake import LEARNT_FROM

EVERY_FUNCTION = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
READS_THE_DOCUMENT = {"appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession"}
FUNCTIONS = {
    "authorize_merchant": ("scoring", {"dynamodb:GetItem", "secretsmanager:GetSecretValue"}),
    "score_transaction": (
        "scoring",
        {
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "s3:GetObject",
            "s3:ListBucket",
            "secretsmanager:GetSecretValue",
            *READS_THE_DOCUMENT,
        },
    ),
    "read_decision": ("scoring", {"dynamodb:Query", "s3:GetObject", "s3:ListBucket"}),
    "manage_settings": (
        "scoring",
        {
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "secretsmanager:GetSecretValue",
            *READS_THE_DOCUMENT,
        },
    ),
    "backtest_rules": (
        "scoring",
        {
            "athena:GetQueryExecution",
            "athena:GetQueryResults",
            "athena:StartQueryExecution",
            "athena:StopQueryExecution",
            "dynamodb:BatchGetItem",
            "glue:GetDatabase",
            "glue:GetTable",
            "s3:AbortMultipartUpload",
            "s3:GetBucketLocation",
            "s3:GetObject",
            "s3:ListBucket",
            "s3:ListBucketMultipartUploads",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
            *READS_THE_DOCUMENT,
        },
    ),
    "record_outcome": ("scoring", {"dynamodb:GetItem", "dynamodb:PutItem"}),
    "record_label": ("scoring", {"dynamodb:GetItem", "dynamodb:PutItem"}),
    "relay_decisions": (
        "features",
        {
            "events:PutEvents",
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
            "sqs:SendMessage",
        },
    ),
    "update_features": (
        "features",
        {
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        },
    ),
    "plan_training": ("training", {"s3:ListBucket", *READS_THE_DOCUMENT}),
    "register_model": ("training", {"s3:GetObject", "s3:PutObject"}),
    "promote_model": (
        "training",
        {
            "s3:GetObject",
            "s3:ListBucket",
            "appconfig:CreateHostedConfigurationVersion",
            "appconfig:StartDeployment",
            *READS_THE_DOCUMENT,
        },
    ),
}

# AWS defines no resource for these, so a statement can only say "*".
WITHOUT_RESOURCES = {
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "dynamodb:ListStreams",
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(statements: list[dict[str, Any]]) -> set[str]:
    return {action for each in statements for action in listed(each["Action"])}


@pytest.mark.parametrize("verb_noun", FUNCTIONS)
def test_a_function_may_do_exactly_this(platform: Callable[[str], Any], verb_noun: str) -> None:
    part, own = FUNCTIONS[verb_noun]
    statements = platform("prod").statements(part, verb_noun.replace("_", "") + "role")
    assert actions(statements) == EVERY_FUNCTION | own


@pytest.mark.parametrize("name", ["local", "prod"])
@pytest.mark.parametrize("part", ["data", "scoring", "features", "training", "monitoring"])
def test_no_action_and_no_resource_is_a_wildcard(platform: Callable[[str], Any], name: str, part: str) -> None:
    for logical_id, policy in platform(name).resources(part, "AWS::IAM::Policy").items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not [each for each in listed(statement["Action"]) if "*" in each], logical_id
            if "*" in listed(statement["Resource"]):
                assert set(listed(statement["Action"])) <= WITHOUT_RESOURCES, logical_id


def test_functions_have_roles_of_their_own_and_no_managed_policy(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    used = [json.dumps(prod.function(each)["Role"]) for each in FUNCTIONS]
    assert len(set(used)) == len(FUNCTIONS)
    for part in ("scoring", "features", "training"):
        for logical_id, role in prod.resources(part, "AWS::IAM::Role").items():
            # API Gateway's account-wide log role is the one that AWS wants to be a managed one.
            assert ("ManagedPolicyArns" in role["Properties"]) == ("CloudWatchRole" in logical_id), logical_id


def test_only_the_job_role_can_be_passed_and_only_to_sagemaker(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "retrainingrole")
    (passing,) = [each for each in statements if "iam:PassRole" in listed(each["Action"])]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    (target,) = listed(passing["Resource"])
    assert target["Fn::GetAtt"][0].startswith("jobsrole")
    everywhere = [
        action
        for part in ("data", "scoring", "features", "training", "monitoring")
        for policy in platform("prod").resources(part, "AWS::IAM::Policy").values()
        for action in actions(policy["Properties"]["PolicyDocument"]["Statement"])
    ]
    assert everywhere.count("iam:PassRole") == 1


def test_the_state_machine_knows_only_its_own_jobs_rules_and_functions(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "retrainingrole")
    jobs = [each for each in statements if any("sagemaker:" in action for action in listed(each["Action"]))]
    names = {
        json.dumps(resource).rsplit(":", 1)[-1].rstrip('"]}')
        for each in jobs
        for resource in listed(each["Resource"])
    }
    assert names == {"processing-job/*-dataset", "processing-job/*-evaluate", "training-job/*-train"}
    (rules,) = [each for each in statements if "events:PutRule" in listed(each["Action"])]
    assert {json.dumps(each).rsplit("rule/", 1)[-1].rstrip('"]}') for each in listed(rules["Resource"])} == {
        "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
        "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    }
    (calls,) = [each for each in statements if "lambda:InvokeFunction" in listed(each["Action"])]
    called = {each["Fn::GetAtt"][0] for each in listed(calls["Resource"])}
    assert {each.partition("function")[0] for each in called} == {"plantraining", "registermodel", "promotemodel"}


def test_a_job_reads_the_lake_and_writes_runs_only(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "jobsrole")
    writing = [each for each in statements if "s3:PutObject" in listed(each["Action"])]
    assert [json.dumps(each["Resource"]).count("/runs/*") for each in writing] == [1]
    assert "s3:DeleteObject" not in actions(statements)
    listing = [each for each in statements if "s3:ListBucket" in listed(each["Action"])]
    prefixes = [set(each["Condition"]["StringLike"]["s3:prefix"]) for each in listing]
    assert prefixes == [{f"{folder}/*" for folder in LEARNT_FROM}, {"bundles/*", "runs/*"}]
    (reading,) = [each for each in statements if "s3:GetObject" in listed(each["Action"])]
    found = json.dumps(reading["Resource"])
    assert [folder for folder in (*LEARNT_FROM, "bundles", "runs") if f'"/{folder}/*"' not in found] == []
    assert len(reading["Resource"]) == len(LEARNT_FROM) + 2
    (metrics,) = [each for each in statements if "cloudwatch:PutMetricData" in listed(each["Action"])]
    assert "cloudwatch:namespace" in metrics["Condition"]["StringLike"]


def test_the_plan_looks_for_everything_that_a_job_reads(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "plantrainingrole")
    (listing,) = [each for each in statements if "s3:ListBucket" in listed(each["Action"])]
    assert listing["Condition"]["StringLike"]["s3:prefix"] == [f"{folder}/*" for folder in LEARNT_FROM]


@pytest.mark.parametrize("verb_noun", ["record_outcome", "record_label"])
def test_a_report_touches_the_ledger_and_no_other_table(platform: Callable[[str], Any], verb_noun: str) -> None:
    statements = platform("prod").statements("scoring", verb_noun.replace("_", "") + "role")
    (ledger,) = [each for each in statements if "dynamodb:PutItem" in listed(each["Action"])]
    (table,) = listed(ledger["Resource"])
    assert "decisions" in json.dumps(table)


@pytest.mark.parametrize("verb_noun", ["score_transaction", "read_decision", "promote_model"])
def test_bundles_are_read_and_nothing_else_of_the_models(platform: Callable[[str], Any], verb_noun: str) -> None:
    statements = platform("prod").statements(FUNCTIONS[verb_noun][0], verb_noun.replace("_", "") + "role")
    (reading,) = [each for each in statements if "s3:GetObject" in listed(each["Action"])]
    assert json.dumps(reading["Resource"]).endswith('"/bundles/*"]]}')


@pytest.mark.parametrize("verb_noun", ["score_transaction", "read_decision", "promote_model"])
def test_an_absent_bundle_is_told_from_a_denied_one(platform: Callable[[str], Any], verb_noun: str) -> None:
    # S3 answers 404 to a read of what is not there only if the caller may list the bucket; a read has no prefix.
    statements = platform("prod").statements(FUNCTIONS[verb_noun][0], verb_noun.replace("_", "") + "role")
    (listing,) = [each for each in statements if "s3:ListBucket" in listed(each["Action"])]
    assert "Condition" not in listing
    (bucket,) = listed(listing["Resource"])
    assert "models" in json.dumps(bucket)
    assert "/*" not in json.dumps(bucket)
