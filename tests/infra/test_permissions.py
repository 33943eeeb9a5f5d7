"""What each role may do: exactly this, and on nothing but what it names."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.constructs.lake import LEARNT_FROM
from infra.workflows import FUNCTIONS as MACHINE_CALLS

EVERY_FUNCTION = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
READS_THE_DOCUMENT = {"appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession"}
QUERIES_THE_LAKE = {
    "athena:GetQueryExecution",
    "athena:GetQueryResults",
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
    "glue:GetDatabase",
    "glue:GetTable",
    "s3:AbortMultipartUpload",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
}
ANSWERS_A_TASK = {
    "dynamodb:BatchGetItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "sagemaker:DescribeModelPackage",
    "states:SendTaskSuccess",
}
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
            "dynamodb:BatchGetItem",
            *QUERIES_THE_LAKE,
            *READS_THE_DOCUMENT,
        },
    ),
    "record_outcome": ("scoring", {"dynamodb:GetItem", "dynamodb:PutItem"}),
    "record_label": (
        "scoring",
        {
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        },
    ),
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
    "plan_training": (
        "training",
        {"s3:GetObject", "s3:ListBucket", "s3:PutObject", "states:ListExecutions", *READS_THE_DOCUMENT},
    ),
    "read_verdict": ("training", {"s3:GetObject"}),
    "register_model": (
        "training",
        {
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "s3:GetObject",
            "s3:PutObject",
            "sagemaker:CreateModelPackage",
        },
    ),
    "release_model": (
        "training",
        {
            "appconfig:CreateHostedConfigurationVersion",
            "appconfig:GetDeployment",
            "appconfig:GetHostedConfigurationVersion",
            "appconfig:ListDeployments",
            "appconfig:StartDeployment",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "s3:GetObject",
            "s3:ListBucket",
            "sagemaker:DescribeModelPackage",
            "sagemaker:UpdateModelPackage",
            "sqs:SendMessage",
            "states:DescribeExecution",
        },
    ),
    "watch_release": (
        "training",
        {
            "cloudwatch:DescribeAlarmHistory",
            "cloudwatch:DescribeAlarms",
            "dynamodb:Query",
            *QUERIES_THE_LAKE,
        },
    ),
    "request_approval": (
        "training",
        {*ANSWERS_A_TASK, "sagemaker:UpdateModelPackage", "sns:Publish"},
    ),
    "settle_approval": ("training", ANSWERS_A_TASK),
    "watch_drift": (
        "training",
        {
            "s3:GetObject",
            "s3:ListBucket",
            "s3:PutObject",
            "states:DescribeExecution",
            "states:ListExecutions",
            "states:StartExecution",
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
    # The other one is that of monitoring, which passes a role that writes reports alone.
    assert everywhere.count("iam:PassRole") == 2


def test_the_state_machine_knows_only_its_own_jobs_rules_and_functions(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "retrainingrole")
    jobs = [each for each in statements if any("sagemaker:" in action for action in listed(each["Action"]))]
    names = {
        json.dumps(resource).rsplit(":", 1)[-1].rstrip('"]}')
        for each in jobs
        for resource in listed(each["Resource"])
    }
    assert names == {
        *(f"processing-job/*-{step}-r*" for step in ("dataset", "tune", "evaluate", "compare")),
        "training-job/*-train-r*",
    }
    (rules,) = [each for each in statements if "events:PutRule" in listed(each["Action"])]
    assert {json.dumps(each).rsplit("rule/", 1)[-1].rstrip('"]}') for each in listed(rules["Resource"])} == {
        "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
        "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    }
    (calls,) = [each for each in statements if "lambda:InvokeFunction" in listed(each["Action"])]
    called = {each["Fn::GetAtt"][0] for each in listed(calls["Resource"])}
    assert {each.partition("function")[0] for each in called} == {each.replace("_", "") for each in MACHINE_CALLS}


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


def test_a_replay_reads_what_was_laid_out_for_it_and_writes_nowhere_else(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "replaysrole")
    told = set(actions(statements))
    assert {each for each in told if each.startswith("s3:")} == {
        *("s3:GetObject", "s3:ListBucket"),
        *("s3:AbortMultipartUpload", "s3:PutObject"),
    }
    # Logs, metrics of SageMaker's own and the image are all else: no table, no queue, no bus, no function.
    assert {each.partition(":")[0] for each in told} == {"s3", "logs", "cloudwatch", "ecr"}
    (writing,) = [each for each in statements if "s3:PutObject" in listed(each["Action"])]
    assert json.dumps(writing["Resource"]).count("/*") == json.dumps(writing["Resource"]).count("/replays/*") == 1
    (reading,) = [each for each in statements if "s3:GetObject" in listed(each["Action"])]
    found = json.dumps(reading["Resource"])
    assert [folder for folder in (*LEARNT_FROM, "replays") if f'"/{folder}/*"' not in found] == []
    assert len(reading["Resource"]) == len(LEARNT_FROM) + 1


def test_the_plan_looks_for_everything_that_a_job_reads(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "plantrainingrole")
    lake, evaluations = (
        each["Condition"]["StringLike"]["s3:prefix"]
        for each in statements
        if "s3:ListBucket" in listed(each["Action"])
    )
    assert lake == [f"{folder}/*" for folder in LEARNT_FROM]
    assert listed(evaluations) == ["runs/*/evaluation/*"]


def test_the_relay_reads_any_stream_of_the_ledger(platform: Callable[[str], Any]) -> None:
    # A table that is made again after it was lost has another stream than the one that was deployed.
    statements = platform("prod").statements("features", "relaydecisionsrole")
    (reading,) = [each for each in statements if "dynamodb:GetRecords" in listed(each["Action"])]
    (stream,) = listed(reading["Resource"])
    assert json.dumps(stream).endswith('"/stream/*"]]}')
    assert "decisions" in json.dumps(stream)
    sources = platform("prod").resources("features", "AWS::Lambda::EventSourceMapping").values()
    assert [each for each in sources if "streamarn" in json.dumps(each["Properties"]["EventSourceArn"]).lower()]


@pytest.mark.parametrize("verb_noun", ["record_outcome", "record_label"])
def test_a_report_touches_the_ledger_and_no_other_table(platform: Callable[[str], Any], verb_noun: str) -> None:
    statements = platform("prod").statements("scoring", verb_noun.replace("_", "") + "role")
    tables = {
        json.dumps(table)
        for each in statements
        if any(action.startswith("dynamodb:") for action in listed(each["Action"]))
        for table in listed(each["Resource"])
    }
    (ledger,) = tables
    assert "decisions" in ledger


@pytest.mark.parametrize("verb_noun", ["score_transaction", "read_decision", "release_model"])
def test_bundles_are_read_and_nothing_else_of_the_models(platform: Callable[[str], Any], verb_noun: str) -> None:
    statements = platform("prod").statements(FUNCTIONS[verb_noun][0], verb_noun.replace("_", "") + "role")
    (reading,) = [each for each in statements if "s3:GetObject" in listed(each["Action"])]
    assert json.dumps(reading["Resource"]).endswith('"/bundles/*"]]}')


@pytest.mark.parametrize("verb_noun", ["score_transaction", "read_decision", "release_model"])
def test_an_absent_bundle_is_told_from_a_denied_one(platform: Callable[[str], Any], verb_noun: str) -> None:
    # S3 answers 404 to a read of what is not there only if the caller may list the bucket; a read has no prefix.
    statements = platform("prod").statements(FUNCTIONS[verb_noun][0], verb_noun.replace("_", "") + "role")
    (listing,) = [each for each in statements if "s3:ListBucket" in listed(each["Action"])]
    assert "Condition" not in listing
    (bucket,) = listed(listing["Resource"])
    assert "models" in json.dumps(bucket)
    assert "/*" not in json.dumps(bucket)


@pytest.mark.parametrize("verb_noun", ["register_model", "release_model", "request_approval", "settle_approval"])
def test_only_packages_of_the_one_group_are_touched(platform: Callable[[str], Any], verb_noun: str) -> None:
    statements = platform("prod").statements("training", verb_noun.replace("_", "") + "role")
    touched = [
        json.dumps(resource)
        for each in statements
        if any(action.startswith("sagemaker:") for action in listed(each["Action"]))
        for resource in listed(each["Resource"])
    ]
    assert touched
    assert not [each for each in touched if "/paywarden-prod-models" not in each]


def test_a_plan_writes_its_own_files_and_a_verdict_is_read_from_a_run(platform: Callable[[str], Any]) -> None:
    (*_, plan), (verdict,) = (
        [
            each
            for each in platform("prod").statements("training", role)
            if any(action.startswith(("s3:Get", "s3:Put")) for action in listed(each["Action"]))
        ]
        for role in ("plantrainingrole", "readverdictrole")
    )
    assert [
        key
        for key in (
            "/runs/*/parameters/given.json",
            "/monitoring/*/plan/plan.json",
            "/monitoring/*/inputs/*.manifest",
        )
        if f'"{key}"]]}}' not in json.dumps(plan["Resource"])
    ] == []
    assert len(plan["Resource"]) == 3
    assert json.dumps(verdict["Resource"]).endswith('"/runs/*.json"]]}')


def test_alarms_are_looked_at_by_their_names(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    (looking,) = [
        each
        for each in prod.statements("training", "watchreleaserole")
        if "cloudwatch:DescribeAlarms" in listed(each["Action"])
    ]
    allowed = {json.dumps(each).rsplit(":", 1)[-1].rstrip('"]}') for each in listed(looking["Resource"])}
    alarms = prod.resources("monitoring", "AWS::CloudWatch::Alarm").values()
    made = {each["Properties"].get("AlarmName", "") for each in alarms}
    told = {f"paywarden-prod-release-{each}-change" for each in ("approval", "score")}
    assert allowed == {each for each in made if each.startswith("paywarden-prod-release-")} - told
    assert told < made
    assert {each.rpartition("release-")[2] for each in allowed} == {
        *("errors", "latency", "failed", "degraded", "stale-serving")
    }
    assert set(prod.function("watch_release")["Environment"]["Variables"]["ROLLBACK_ALARMS"].split(",")) == allowed
