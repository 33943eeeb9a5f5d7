"""New code reaches merchants by and by and goes back by itself; and whoever deploys may do little else."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
import yaml
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Template

from infra.constructs.budget import SpendingBudget
from infra.constructs.canary import back_alarms
from infra.environment import Canary
from infra.environments import ENVIRONMENTS, PROD

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("data", "features", "scoring", "training", "monitoring")
GROUP, ALIAS, ALARMS = (
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Lambda::Alias",
    ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"),
)

type Platform = Callable[[str], Any]


def everything(synthesized: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Part, logical id and resource."""
    for part in PARTS:
        for key, each in synthesized.raw(part)["Resources"].items():
            yield part, key, each


def groups(synthesized: Any) -> Mapping[str, dict[str, Any]]:
    """The deployment groups by function."""
    prefix = "paywarden-prod-"
    found = (each["Properties"] for _, _, each in everything(synthesized) if each["Type"] == GROUP)
    return {each["DeploymentGroupName"].removeprefix(prefix): each for each in found}


def alarm_names(synthesized: Any, group: Mapping[str, Any]) -> set[str]:
    def name(told: Any) -> str:
        if isinstance(told, str):
            return told
        return str(synthesized.raw("scoring")["Resources"][told["Ref"]]["Properties"]["AlarmName"])

    return {name(each["Name"]) for each in group["AlarmConfiguration"]["Alarms"]}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_whatever_callers_reach_is_moved_by_codedeploy_where_there_is_a_canary(
    platform: Platform, environment: str
) -> None:
    found = platform(environment)
    aliases = [each for _, _, each in everything(found) if each["Type"] == ALIAS]
    moved = [each for each in aliases if "CodeDeployLambdaAliasUpdate" in each.get("UpdatePolicy", {})]
    assert len(aliases) == 7
    assert moved == (aliases if environment in ("staging", "prod") else [])


def test_a_new_version_gets_a_tenth_of_the_calls_for_five_minutes(platform: Platform) -> None:
    prod = platform("prod")
    ((key, config),) = [
        (key, each["Properties"])
        for _, key, each in everything(prod)
        if each["Type"] == "AWS::CodeDeploy::DeploymentConfig"
    ]
    assert config["ComputePlatform"] == "Lambda"
    assert config["TrafficRoutingConfig"] == {
        "Type": "TimeBasedCanary",
        "TimeBasedCanary": {"CanaryInterval": 5, "CanaryPercentage": 10},
    }
    assert [each["DeploymentConfigName"] for each in groups(prod).values()] == [{"Ref": key}] * 7


def test_every_function_goes_back_on_its_own_alarms_which_exist(platform: Platform) -> None:
    prod = platform("prod")
    existing = {each["Properties"].get("AlarmName") for _, _, each in everything(prod) if each["Type"] in ALARMS}
    found = groups(prod)
    assert len(found) == 7
    for function, group in found.items():
        assert group["AutoRollbackConfiguration"] == {
            "Enabled": True,
            "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM"],
        }
        assert group["AlarmConfiguration"]["Enabled"] is True
        assert not group["AlarmConfiguration"].get("IgnorePollAlarmFailure")
        names = alarm_names(prod, group)
        # More than ten CodeDeploy does not take.
        assert 1 <= len(names) <= 10
        assert names <= existing
        own = set() if function == "authorize_merchant" else {f"paywarden-prod-function-errors-{function}"}
        assert names == own | set(back_alarms(PROD, function))
    assert "paywarden-prod-release-latency" in alarm_names(prod, found["score_transaction"])
    assert alarm_names(prod, found["authorize_merchant"]) == {
        "paywarden-prod-authorizer-failures",
        "paywarden-prod-release-errors",
    }


def test_codedeploy_may_move_the_alias_of_one_function_and_look_at_alarms(platform: Platform) -> None:
    prod = platform("prod")
    resources = prod.raw("scoring")["Resources"]
    for function, group in groups(prod).items():
        role = group["ServiceRoleArn"]["Fn::GetAtt"][0]
        assert resources[role]["Properties"].get("ManagedPolicyArns") is None
        move, look = prod.statements("scoring", role)
        assert move["Action"] == [
            "lambda:GetAlias",
            "lambda:GetProvisionedConcurrencyConfig",
            "lambda:UpdateAlias",
        ]
        assert f"{function.replace('_', '')}function" in json.dumps(move["Resource"])
        assert look["Action"] == "cloudwatch:DescribeAlarms"


def test_a_canary_that_shifts_nothing_or_everything_is_refused() -> None:
    for wrong in ({"percent": 0}, {"percent": 100}, {"minutes": 0}, {"minutes": 3_000}):
        with pytest.raises(ValueError, match=r"^canary\.(percent|minutes): "):
            Canary(**wrong)
    assert replace(PROD, canary=None).shift is None


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_month_of_spending_is_watched_where_people_pay(platform: Platform, environment: str) -> None:
    found = platform(environment).resources("monitoring", "AWS::Budgets::Budget")
    if environment in ("local", "dev"):
        assert not found
        return
    (budget,) = (each["Properties"] for each in found.values())
    assert budget["Budget"]["BudgetLimit"] == {
        "Amount": {"staging": 500, "prod": 5_000}[environment],
        "Unit": "USD",
    }
    assert [each["Tags"]["Values"] for each in budget["Budget"]["FilterExpression"]["And"]] == [
        ["paywarden"],
        [environment],
    ]
    told = [
        (each["Notification"]["NotificationType"], each["Notification"]["Threshold"])
        for each in budget["NotificationsWithSubscribers"]
    ]
    assert told == [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]
    assert budget["Budget"]["BudgetName"] == f"paywarden-{environment}-month-a80-a100-f100"
    policy = json.dumps(platform(environment).resources("data", "AWS::SNS::TopicPolicy"))
    assert policy.count("budgets.amazonaws.com") == 1
    assert policy.count("aws:SourceArn") == 1


def test_a_budget_that_tells_at_something_else_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    # CloudFormation would replace it, and the one before still has its name.
    def name() -> str:
        stack = cdk.Stack()
        SpendingBudget(stack, "budget", environment=PROD, dollars=1, tickets=sns.Topic(stack, "tickets"))
        (budget,) = Template.from_stack(stack).find_resources("AWS::Budgets::Budget").values()
        return str(budget["Properties"]["Budget"]["BudgetName"])

    before = name()
    monkeypatch.setattr("infra.constructs.budget._TOLD", (("ACTUAL", 90), ("FORECASTED", 100)))
    assert name() != before


UNTAGGED = re.compile(
    "AWS::(ApiGateway::(Account|Authorizer|Deployment|GatewayResponse|Method|Resource)"
    "|AppConfig::(Deployment|HostedConfigurationVersion)|CodeDeploy::DeploymentConfig|Glue::(Database|Table)"
    "|IAM::Policy|KMS::Alias|Lambda::(Alias|EventInvokeConfig|LayerVersion|Permission|Version)|Logs::LogStream"
    "|S3::BucketPolicy|SNS::TopicPolicy|SQS::QueuePolicy|WAFv2::(LoggingConfiguration|WebACLAssociation)"
    "|EC2::(Route|SubnetRouteTableAssociation|SecurityGroupIngress|SecurityGroupEgress))"
)
"""What CloudFormation cannot tag, but for AppConfig's deployment, which a changed tag would make again."""


def test_all_that_can_be_tagged_says_whose_it_is(platform: Platform) -> None:
    expected = {
        "application": "paywarden",
        "environment": "prod",
        "owner": PROD.owner,
        "cost-centre": PROD.cost_centre,
    }
    for part, key, each in everything(platform("prod")):
        if UNTAGGED.fullmatch(each["Type"]):
            continue
        properties = each["Properties"]
        if each["Type"] == "AWS::DynamoDB::GlobalTable":
            (properties,) = properties["Replicas"]
        tags = next((properties[name] for name in ("Tags", "ResourceTags") if name in properties), [])
        found = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
        assert found | expected == found, f"{part}: {key} ({each['Type']})"


STATEFUL = frozenset(
    {
        "AWS::AppConfig::HostedConfigurationVersion",
        "AWS::DynamoDB::GlobalTable",
        "AWS::KMS::Key",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SageMaker::ModelPackageGroup",
        "AWS::SecretsManager::Secret",
    }
)


def test_the_page_names_what_stands_in_the_way_of_a_stack_that_is_made_again(platform: Platform) -> None:
    """Of every stack but that of the data, which is not."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    (commands,) = [each for each in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "delete-log-group" in each]
    told = set(re.findall(r"[\w/-]*paywarden-prod[\w-]*", commands))
    assert told == {
        each["Properties"]["LogGroupName"]
        for part, _, each in everything(platform("prod"))
        if part != "data" and each["Type"] == "AWS::Logs::LogGroup" and "LogGroupName" in each["Properties"]
    }


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_data_keys_logs_and_versions_outlive_their_stacks(platform: Platform, environment: str) -> None:
    seen = set()
    for part, key, each in everything(platform(environment)):
        if each["Type"] not in STATEFUL:
            continue
        kept = (each.get("DeletionPolicy"), each.get("UpdateReplacePolicy"))
        # What has a name of ours, keeps its profile, or is the version of this code, would stand in the way of the
        # next attempt, if a deployment failed.
        stands = {"LogGroupName", "ModelPackageGroupName"} & each["Properties"].keys()
        stands = stands or each["Type"] in ("AWS::AppConfig::HostedConfigurationVersion", "AWS::Lambda::Version")
        assert kept[0] == ("RetainExceptOnCreate" if stands else "Retain"), f"{part}: {key}"
        # A version is never made anew in its own place.
        assert each["Type"] == "AWS::Lambda::Version" or kept[1] == "Retain", f"{part}: {key}"
        seen.add(each["Type"])
    assert seen == STATEFUL


def test_production_refuses_to_be_deleted(platform: Platform) -> None:
    prod = platform("prod")
    assert all(stack.termination_protection for stack in prod.stacks.values())
    for _, key, each in everything(prod):
        if each["Type"] == "AWS::DynamoDB::GlobalTable":
            (replica,) = each["Properties"]["Replicas"]
            assert replica["DeletionProtectionEnabled"] is True, key


WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").rglob("action.yml"))


def test_workflows_are_well_formed_and_hold_to_what_zizmor_asks() -> None:
    assert len(WORKFLOWS) == 3
    commands = (
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)],
        ["check-jsonschema", "--builtin-schema", "vendor.github-actions", *map(str, ACTIONS)],
        ["zizmor", "--offline", "--no-progress", "--strict-collection", str(ROOT / ".github")],
    )
    for program, *arguments in commands:
        done = subprocess.run(
            [ROOT / ".venv/bin" / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def used(document: Any) -> Iterator[str]:
    """What a workflow or an action uses, wherever it says so."""
    if isinstance(document, dict):
        if isinstance(document.get("uses"), str):
            yield document["uses"]
        for each in document.values():
            yield from used(each)
    elif isinstance(document, list):
        for each in document:
            yield from used(each)


def test_workflows_use_pinned_actions_few_permissions_and_no_secret() -> None:
    pins: dict[str, set[str]] = {}
    for path in (*WORKFLOWS, *ACTIONS):
        text = path.read_text()
        assert "secrets." not in text
        document = yaml.safe_load(text)
        for each in used(document):
            if each.startswith("./"):
                assert (ROOT / each).exists()
                continue
            action, _, commit = each.partition("@")
            assert re.fullmatch("[0-9a-f]{40}", commit), each
            pins.setdefault(action, set()).add(commit)
        jobs = document.get("jobs", {})
        assert path in ACTIONS or document["permissions"] == {}
        for name, job in jobs.items():
            assert set(job["permissions"]) <= {"contents", "id-token"}
            assert job["permissions"]["contents"] == "read"
            needs = job.get("needs", [])
            assert {needs} if isinstance(needs, str) else set(needs) <= set(jobs), name
    assert pins
    assert all(len(commits) == 1 for commits in pins.values()), pins


def test_production_follows_staging_and_waits_for_its_reviewers() -> None:
    deploy = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
    jobs = deploy["jobs"]
    assert (jobs["staging"]["needs"], jobs["prod"]["needs"]) == ("ci", "staging")
    assert [jobs[name]["with"] for name in ("staging", "prod")] == [
        {"environment": "staging"},
        {"environment": "prod"},
    ]
    assert deploy["concurrency"] == {"group": "deploy", "cancel-in-progress": False}
    (job,) = yaml.safe_load((ROOT / ".github/workflows/deploy-to.yml").read_text())["jobs"].values()
    # GitHub asks the reviewers of an environment before a job that names it, and tells AWS the name.
    assert job["environment"] == "${{ inputs.environment }}"
