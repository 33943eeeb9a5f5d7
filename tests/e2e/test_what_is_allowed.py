"""What every role called in the whole run is held against what it may, both ways.

The file's name sorts last, since it looks back at all tests before it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ops.deployment import Deployment
from ops.localcloud import control
from ops.localcloud.permissions import Call, Grant, grants_of, read_calls, refused, unused
from ops.localcloud.settings import ACCOUNT, CALLS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

OURS = re.compile(r"paywarden-local-\w+?-(?P<name>\w+?)role[0-9A-F]{8}")

# What is allowed and was not called, as expressions for role, action and resource, each with its reason.
BY_SERVICES = "a service does it inside of the emulator, without a call"
NOT_CALLED = (
    (r"\w+tolake|\w+tolakerule|merchantsapiCloudWatch", r".*", BY_SERVICES),
    (
        r"retraining|monitoring",
        r".*",
        "Step Functions; held against its states by tests/infra/test_permissions.py",
    ),
    (r".*", r"kms:.*", "the emulator's services ask no key in their caller's name"),
    (r".*", r"xray:.*", "there is no X-Ray in the local cloud"),
    (r".*", r"logs:CreateLogStream|logs:PutLogEvents", BY_SERVICES),
    (
        r"relaydecisions|keepaudit",
        r"dynamodb:(DescribeStream|GetRecords|GetShardIterator|ListStreams)",
        BY_SERVICES,
    ),
    (
        r"updatefeatures|recordlabel",
        r"sqs:(ChangeMessageVisibility|DeleteMessage|GetQueueAttributes|ReceiveMessage)",
        BY_SERVICES,
    ),
    (r"relaydecisions|releasemodel|keepaudit", r"sqs:SendMessage", "Lambda sends there what it gives up"),
    (r"backtestrules|watchrelease", r"(glue|s3):.*", "Athena, which acts in its caller's name, and here does not"),
    (r"\w+", r"logs:(CreateLogGroup|DescribeLogStreams)|cloudwatch:PutMetricData", BY_SERVICES),
    (
        r"\w+",
        r"appconfig:(GetLatestConfiguration|StartConfigurationSession)",
        "the local cloud answers them without asking IAM",
    ),
    (r"\w+", r"sagemaker:.*", "the local cloud's SageMaker is ours, and stands before IAM"),
    (r"releasemodel", r"appconfig:.*", "AWS asks for every part of the path, the emulator for one"),
    (r"dataset|tune|train|evaluate|compare|monitor|replay", r"s3:AbortMultipartUpload", "uploads here are small"),
    (r"tune", r"s3:.*", "no run here tunes, which takes hours; its role is that of the other steps"),
    (r"monitor|replay", r"s3:ListBucket", "SageMaker looks for what a manifest names, which is read at once here"),
    (
        r"scoretransaction|readdecision|releasemodel",
        r"s3:ListBucket",
        "without it S3 says of a missing bundle that it is forbidden",
    ),
    (
        r"scoretransaction|recordlabel",
        r"dynamodb:GetItem",
        "only where a failed condition comes without the item, as AWS may answer",
    ),
    (r"backtestrules|watchrelease", r"athena:StopQueryExecution", "of a query that takes too long"),
    (r"plantraining", r"states:ListExecutions", "runs may overlap where nobody's money is at stake"),
    (r"plantraining", r"s3:GetObject", "the plan of a run that is planned a second time"),
    (r"registermodel", r"s3:GetObject", "the bundle of a model that is registered a second time"),
)


@pytest.fixture(scope="module")
def calls(deployment: Deployment, request: pytest.FixtureRequest) -> frozenset[Call]:
    here = Path(__file__).parent
    run = {Path(str(item.path)).name for item in request.session.items if Path(str(item.path)).parent == here}
    missing = {path.name for path in here.glob("test_*.py")} - run - {"test_drills.py"}
    assert not missing, (
        f"only a run of all of tests/e2e tells what is called; missing: {', '.join(sorted(missing))}"
    )
    return read_calls(control.state_directory(deployment.port) / CALLS)


def name_of(role: str) -> str:
    found = OURS.match(role)
    return found["name"] if found else ""


def test_no_role_called_what_it_may_not(calls: frozenset[Call]) -> None:
    # Also what a program bore with, such as a decision that is made without what could not be read.
    assert refused(each for each in calls if name_of(each.role)) == []


def test_every_function_and_every_job_ran_in_its_own_role(deployment: Deployment, calls: frozenset[Call]) -> None:
    called = {name_of(each.role) for each in calls}
    functions = deployment.client("lambda").get_paginator("list_functions").paginate()
    roles = {name_of(each["Role"].rpartition("/")[2]) for page in functions for each in page["Functions"]}
    assert roles - called == set()
    # No run here tunes.
    assert {"dataset", "train", "evaluate", "compare", "monitor", "replay"} <= called


def test_nothing_is_allowed_that_nobody_calls(deployment: Deployment, calls: frozenset[Call]) -> None:
    grants = [each for each in grants_of(deployment.client("iam")) if name_of(each.role)]
    assert grants
    idle = unused(grants, calls)

    def excused(grant: Grant, role: str, action: str) -> bool:
        return bool(re.fullmatch(role, name_of(grant.role)) and re.fullmatch(action, grant.action))

    unexplained = [each for each in idle if not any(excused(each, *rest[:2]) for rest in NOT_CALLED)]
    assert [f"{name_of(each.role)}: {each.action} on {each.resource}" for each in unexplained] == []
    # No reason outlives what it was given for.
    assert [rest for rest in NOT_CALLED if not any(excused(each, *rest[:2]) for each in idle)] == []


@pytest.fixture
def outcome_recorder(deployment: Deployment) -> Iterator[dict[str, str]]:
    """Credentials of a role with the very policies of record_outcome, which we may take on ourselves."""
    iam = deployment.client("iam")
    pages = iam.get_paginator("list_roles").paginate()
    theirs = next(each for page in pages for each in page["Roles"] if name_of(each["RoleName"]) == "recordoutcome")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    ours = iam.create_role(RoleName="as-record-outcome", AssumeRolePolicyDocument=document)["Role"]
    names = iam.list_role_policies(RoleName=theirs["RoleName"])["PolicyNames"]
    for name in names:
        policy = iam.get_role_policy(RoleName=theirs["RoleName"], PolicyName=name)["PolicyDocument"]
        iam.put_role_policy(RoleName=ours["RoleName"], PolicyName=name, PolicyDocument=json.dumps(policy))
    taken = deployment.client("sts").assume_role(RoleArn=ours["Arn"], RoleSessionName="tests")["Credentials"]
    yield {
        "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
        "AWS_SESSION_TOKEN": taken["SessionToken"],
    }
    for name in names:
        iam.delete_role_policy(RoleName=ours["RoleName"], PolicyName=name)
    iam.delete_role(RoleName=ours["RoleName"])


def test_a_role_is_refused_what_it_may_not_do(deployment: Deployment, outcome_recorder: dict[str, str]) -> None:
    session = control.session(deployment.port, credentials=outcome_recorder)
    table, ledger = session.client("dynamodb"), deployment["DecisionsTable"]
    absent = {"id": {"S": "nobody#nothing"}, "kind": {"S": "decision"}}
    assert "Item" not in table.get_item(TableName=ledger, Key=absent)
    for forbidden in (
        lambda: table.delete_item(TableName=ledger, Key=absent),
        lambda: table.scan(TableName=ledger),
        lambda: table.get_item(TableName=deployment["MerchantsTable"], Key={"key_id": {"S": "nobody"}}),
        lambda: session.client("secretsmanager").get_secret_value(SecretId=deployment["TokenSecret"]),
        lambda: session.client("s3").list_objects_v2(Bucket=deployment["LakeBucket"]),
    ):
        with pytest.raises(ClientError, match=r"AccessDenied"):
            forbidden()
