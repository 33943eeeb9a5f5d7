"""What each role may do: exactly this, and on nothing but what it names."""

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.job_role import STEPS
from infra.constructs.lake import LEARNT_FROM
from infra.workflows import FUNCTIONS as MACHINE_CALLS
from infra.workflows import retrain
from infra.workflows.monitor import monitor
from ops.replaying.running import job_name
from tests.infra.asl import evaluate

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
            "s3:GetObject",
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
    "keep_audit": (
        "features",
        {
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
            "s3:PutObject",
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
            "ecr:BatchGetImage",
            "ecr:DescribeImages",
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
            "sns:Publish",
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

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("data", "scoring", "features", "training", "monitoring")

# AWS defines no resource for these (Service Authorization Reference), so a statement can only say "*".
WITHOUT_RESOURCES = {
    **dict.fromkeys(
        ("xray:PutTelemetryRecords", "xray:PutTraceSegments", "xray:GetSamplingRules", "xray:GetSamplingTargets"),
        "traces belong to the account",
    ),
    "dynamodb:ListStreams": "lists the account's streams; Lambda asks for it of a function with a stream",
    "ecr:GetAuthorizationToken": "one token for all of the account's repositories",
    "cloudwatch:PutMetricData": "metrics have no ARN; the namespace bounds it",
    "cloudwatch:DescribeAlarms": "of composite alarms, which CodeDeploy watches too",
    **dict.fromkeys(
        (
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ),
        "how Step Functions sets up its log; none names a group",
    ),
    **dict.fromkeys(
        (
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
        ),
        "Lambda checks a function's role for them without naming an interface",
    ),
}
# Where AWS offers a condition in the place of a resource, it has to be there.
BOUNDED_BY = {"cloudwatch:PutMetricData": "cloudwatch:namespace"}

# What a service says of whom it takes on a role for. Lambda documents no such key, and API Gateway none for the
# account's log role: neither takes on a role that somebody of the account did not pass to it.
TRUSTED_FOR = {
    "codedeploy": "aws:SourceAccount",
    "events": "aws:SourceAccount",
    "firehose": "sts:ExternalId",
    "sagemaker": "aws:SourceAccount",
    "states": "aws:SourceAccount",
    "vpc-flow-logs": "aws:SourceAccount",
    "lambda": None,
    "apigateway": None,
}
NAMED_SOURCES = {"events", "sagemaker", "states"}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(statements: list[dict[str, Any]]) -> set[str]:
    return {action for each in statements for action in listed(each["Action"])}


def text_of(value: Any) -> str:
    """An ARN with a sign for each part that is filled in when it is deployed."""
    if isinstance(value, str):
        return value
    ((function, inner),) = value.items()
    return "".join(map(text_of, inner[1])) if function == "Fn::Join" else "$"


def names_nothing(resource: Any) -> bool:
    """Whether a statement's resource is all there is of its kind."""
    parts = text_of(resource).split(":", 5)
    if len(parts) < 6:
        return parts[-1].startswith("*") or parts == ["arn", "$", "s3", "", ""]
    last = re.split("[:/]", parts[5])
    # ("rule", name), (table's name,), ("function", name, version): something behind the type has to be told.
    return not any(each.strip("*?") for each in (last[1:] or last)) or "*" in "".join(parts[:5])


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ("*", True),
        ("arn:aws:s3:::*", True),
        ("arn:aws:dynamodb:eu-west-1:1:table/*", True),
        ("arn:aws:sagemaker:eu-west-1:1:processing-job/*", True),
        ("arn:aws:states:*:1:stateMachine:paywarden-prod-retrain", True),
        ("arn:aws:sagemaker:eu-west-1:1:processing-job/*-tune-r*", False),
        ({"Fn::GetAtt": ["table", "Arn"]}, False),
        ({"Fn::Join": ["", [{"Fn::GetAtt": ["bucket", "Arn"]}, "/runs/*"]]}, False),
        ({"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":glue:", "e", ":", "1", ":catalog"]]}, False),
    ],
)
def test_what_names_nothing_is_told_from_what_names_something(resource: Any, found: bool) -> None:
    assert names_nothing(resource) == found


def policies(platform: Callable[[str], Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every role that is made anywhere, with the place that it stands in."""
    for part in PARTS:
        for kind, documents in (
            ("AWS::IAM::Policy", lambda each: [each["PolicyDocument"]]),
            ("AWS::IAM::ManagedPolicy", lambda each: [each["PolicyDocument"]]),
            ("AWS::IAM::Role", lambda each: [inner["PolicyDocument"] for inner in each.get("Policies", [])]),
        ):
            for logical_id, resource in platform(name).resources(part, kind).items():
                for document in documents(resource["Properties"]):
                    for statement in document["Statement"]:
                        yield f"{part}/{logical_id}", statement


def through_keys(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The statements on keys, which tests/infra/test_encryption.py holds to what the others need."""
    return [each for each in statements if all(action.startswith("kms:") for action in listed(each["Action"]))]


@pytest.mark.parametrize("verb_noun", FUNCTIONS)
def test_a_function_may_do_exactly_this(platform: Callable[[str], Any], verb_noun: str) -> None:
    part, own = FUNCTIONS[verb_noun]
    statements = platform("prod").statements(part, verb_noun.replace("_", "") + "role")
    keys = through_keys(statements)
    assert [each for each in keys if "kms:ViaService" not in json.dumps(each.get("Condition", {}))] == []
    assert actions([each for each in statements if each not in keys]) == EVERY_FUNCTION | own


@pytest.mark.parametrize("name", ["local", "prod"])
def test_no_action_and_no_resource_is_a_wildcard(platform: Callable[[str], Any], name: str) -> None:
    broad = set()
    for place, statement in policies(platform, name):
        assert statement["Effect"] == "Allow", place
        assert not {"NotAction", "NotResource"} & statement.keys(), place
        told = set(listed(statement["Action"]))
        assert not [each for each in told if "*" in each], place
        if any(names_nothing(each) for each in listed(statement["Resource"])):
            assert told <= set(WITHOUT_RESOURCES), place
            broad |= told
            for action in told & set(BOUNDED_BY):
                assert BOUNDED_BY[action] in json.dumps(statement["Condition"]), place
    if name == "prod":
        private = {each for each in WITHOUT_RESOURCES if each.startswith("ec2:")}
        # No exception outlives what it was made for.
        assert set(WITHOUT_RESOURCES) - broad <= private


@pytest.mark.parametrize("name", ["local", "prod"])
def test_a_service_takes_on_a_role_for_this_account_alone(platform: Callable[[str], Any], name: str) -> None:
    for part in PARTS:
        for logical_id, role in platform(name).resources(part, "AWS::IAM::Role").items():
            (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            service = statement["Principal"]["Service"].removesuffix(".amazonaws.com")
            key, conditions = TRUSTED_FOR[service], statement.get("Condition", {})
            if key is not None:
                assert conditions["StringEquals"] == {key: {"Ref": "AWS::AccountId"}}, logical_id
            if service in NAMED_SOURCES:
                assert not names_nothing(conditions["ArnLike"]["aws:SourceArn"]), logical_id


def test_functions_have_roles_of_their_own_and_no_managed_policy(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    used = [json.dumps(prod.function(each)["Role"]) for each in FUNCTIONS]
    assert len(set(used)) == len(FUNCTIONS)
    for part in ("scoring", "features", "training"):
        for logical_id, role in prod.resources(part, "AWS::IAM::Role").items():
            # API Gateway's account-wide log role is the one that AWS wants to be a managed one.
            assert ("ManagedPolicyArns" in role["Properties"]) == ("CloudWatchRole" in logical_id), logical_id


def test_only_the_roles_of_jobs_can_be_passed_and_only_to_sagemaker(platform: Callable[[str], Any]) -> None:
    statements = platform("prod").statements("training", "retrainingrole")
    (passing,) = [each for each in statements if "iam:PassRole" in listed(each["Action"])]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    passed = {each["Fn::GetAtt"][0].partition("role")[0] for each in listed(passing["Resource"])}
    assert passed == {"dataset", "tune", "train", "evaluate", "compare"}
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


def test_the_jobs_of_a_step_have_names_that_its_role_is_taken_on_for(platform: Callable[[str], Any]) -> None:
    named = {"replay": job_name("paywarden-prod", "replay-20260101-100000-1a2b")}
    context = {"Execution": {"RedriveCount": 0}}
    for machine in (retrain(), monitor()):
        for state in machine["States"].values():
            asked = state.get("Parameters", {})
            if isinstance(asked, dict) and (role := asked.get("RoleArn")):
                name = asked.get("ProcessingJobName.$") or asked["TrainingJobName.$"]
                named[role.removeprefix("${").removesuffix("_role}")] = evaluate(name, {"run_id": "r-1"}, context)
    assert named.keys() == STEPS.keys()
    roles = platform("prod").resources("training", "AWS::IAM::Role")
    for step, name in named.items():
        (role,) = [each for logical_id, each in roles.items() if logical_id.startswith(f"{step}role")]
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        source = text_of(trust["Condition"]["ArnLike"]["aws:SourceArn"])
        assert fnmatchcase(f"{STEPS[step].kind}/{name}", source.rpartition(":")[2]), step


def folders(statements: list[dict[str, Any]], action: str) -> set[str]:
    """What a statement on objects names below its bucket."""
    return {
        text_of(resource).removeprefix("$/").removesuffix("/*")
        for each in statements
        if action in listed(each["Action"])
        for resource in listed(each["Resource"])
    }


@pytest.mark.parametrize("step", STEPS)
def test_a_step_reads_and_writes_its_own_folders_and_nothing_else(
    platform: Callable[[str], Any], step: str
) -> None:
    statements = platform("prod").statements("training", f"{step}role")
    assert folders(statements, "s3:GetObject") == {*STEPS[step].lake, *STEPS[step].reads}
    assert folders(statements, "s3:PutObject") == set(STEPS[step].writes)
    listing = [
        each["Condition"]["StringLike"]["s3:prefix"] for each in statements if "s3:ListBucket" in each["Action"]
    ]
    assert {prefix.removesuffix("/*") for each in listing for prefix in listed(each)} == {
        *STEPS[step].lake,
        *STEPS[step].reads,
    }
    # Logs, SageMaker's own metrics, the image and the key are all else: no table, queue, bus, secret or function.
    assert {each.partition(":")[0] for each in actions(statements)} == {"s3", "logs", "cloudwatch", "ecr", "kms"}
    assert not [each for each in actions(statements) if "Delete" in each]


def test_a_step_writes_only_what_a_later_one_is_meant_to_read() -> None:
    # Learning decides about people: what it learnt from cannot be changed by the step that learns, or by a look.
    assert not {"runs/*/dataset", "runs/*/plan", "bundles"} & {
        folder
        for name in ("tune", "train", "evaluate", "compare", "monitor", "replay")
        for folder in STEPS[name].writes
    }
    assert [name for name, step in STEPS.items() if "runs/*/model" in step.writes] == ["train"]
    assert [name for name, step in STEPS.items() if "runs/*/evaluation" in step.writes] == ["evaluate"]


# What a state's resource needs, beside the functions and jobs that it names.
WAITS_FOR_JOBS = {"events:DescribeRule", "events:PutRule", "events:PutTargets", "iam:PassRole"}
STATES_NEED = {
    "lambda:invoke": {"lambda:InvokeFunction"},
    "lambda:invoke.waitForTaskToken": {"lambda:InvokeFunction"},
    "sns:publish": {"sns:Publish"},
    **{
        f"sagemaker:create{kind}.sync": {
            *(f"sagemaker:{verb}{kind}" for verb in ("Create", "Describe", "Stop")),
            *("sagemaker:AddTags", "sagemaker:ListTags"),
            *WAITS_FOR_JOBS,
        }
        for kind in ("ProcessingJob", "TrainingJob")
    },
}
LOGS_AND_TRACES = {each for each in WITHOUT_RESOURCES if each.startswith(("logs:", "xray:"))}


@pytest.mark.parametrize(("role", "machine"), [("retrainingrole", retrain()), ("monitoringrole", monitor())])
def test_a_machine_may_do_exactly_what_its_states_do(
    platform: Callable[[str], Any], role: str, machine: dict[str, Any]
) -> None:
    resources = {each["Resource"] for each in machine["States"].values() if each["Type"] == "Task"}
    needed = {action for each in resources for action in STATES_NEED[each.removeprefix("arn:aws:states:::")]}
    statements = platform("prod").statements("training", role)
    keys = through_keys(statements)
    assert actions([each for each in statements if each not in keys]) == needed | LOGS_AND_TRACES


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
    read = [
        json.dumps(place)
        for each in statements
        if "s3:GetObject" in listed(each["Action"])
        for place in listed(each["Resource"])
    ]
    (models,) = [each for each in read if "tokenkeys" not in each]
    assert models.endswith('"/bundles/*"]]}')


def test_token_keys_are_read_by_those_who_make_tokens_and_written_by_nobody(
    platform: Callable[[str], Any],
) -> None:
    synthesized, readers = platform("prod"), set()
    for part in synthesized.stacks:
        for policy in synthesized.resources(part, "AWS::IAM::Policy").values():
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                places = [json.dumps(each) for each in listed(statement["Resource"])]
                if keys := [place for place in places if "tokenkeys" in place]:
                    assert listed(statement["Action"]) == ["s3:GetObject"]
                    assert all(place.endswith('"/trees/*"]]}') for place in keys)
                    readers |= {role["Ref"].partition("role")[0] for role in policy["Properties"]["Roles"]}
    assert readers == {"scoretransaction", "managesettings"}


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


def in_words(allowed: set[str]) -> str:
    """Actions by their service, as docs/permissions.md has them."""
    services: dict[str, list[str]] = {}
    for action in sorted(allowed):
        service, _, name = action.partition(":")
        services.setdefault(service, []).append(name)
    return "; ".join(f"{service}: {', '.join(names)}" for service, names in services.items())


def test_the_page_tells_what_functions_and_steps_may_do() -> None:
    page = (ROOT / "docs" / "permissions.md").read_text().splitlines()
    rows = [f"| `{name}` | {in_words(own)} |" for name, (_, own) in FUNCTIONS.items()]
    rows += [
        f"| `{name}` | {', '.join(step.lake) or '-'} | {', '.join(step.reads)} | {', '.join(step.writes)} |"
        for name, step in STEPS.items()
    ]
    assert [each for each in rows if each not in page] == []
    told = [each for each in page if each.startswith("| `") and not each.startswith("| `retrain`, ")]
    assert sorted(told) == sorted(rows)
