"""Who may deploy to an account, and what a deployment may do: all that the templates need, and little else."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from infra.account import AccountStack
from infra.account.execution import POLICIES
from infra.context import provider_exists
from infra.environments import PROD
from tests.infra.lifecycles import LIFECYCLES

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT, REGION = "123456789012", "eu-west-1"
FILLED = {"here": f"{REGION}:{ACCOUNT}", "account": ACCOUNT, "region": REGION, "schema": "paywarden_prod"}
OURS = {"application": "paywarden", "environment": "prod"}

type Templates = Mapping[str, dict[str, Any]]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    bound = replace(PROD, account=ACCOUNT, region=REGION)
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    def synthesize(repository: str | None = None, **more: bool) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("account")
        app = cdk.App(outdir=str(folder), context=context, analytics_reporting=False)
        AccountStack(app, environment=bound, repository=repository, qualifier="paywarden", **more)
        app.synth()
        template: dict[str, Any] = json.loads((folder / "account.template.json").read_text())
        return template

    return synthesize


def of_type(template: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


@pytest.mark.parametrize("repository", ["acme/paywarden", "acme@123456/paywarden@456789"])
def test_the_pipeline_is_trusted_for_one_repository_and_one_environment(account: Any, repository: str) -> None:
    assert "sts:AssumeRole" not in json.dumps(account(None))
    template = account(repository)
    # It uses nothing of the bootstrap, which comes after it.
    assert "BootstrapVersion" not in template.get("Parameters", {})
    roles = of_type(template, "AWS::IAM::Role")
    subjects = {}
    for role in roles:
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
        (operator, said) = next(iter(trust["Condition"].items()))
        assert operator == "StringEquals"
        assert said["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
        subjects[role["RoleName"]] = said["token.actions.githubusercontent.com:sub"]
        assert "ManagedPolicyArns" not in role
    assert subjects == {
        "paywarden-prod-account-deploy": f"repo:{repository}:environment:prod",
        "paywarden-prod-account-compare": f"repo:{repository}:pull_request",
    }
    for name, allowed in (("deploy", {"sts:AssumeRole", "sts:TagSession"}), ("compare", None)):
        (role,) = (each for each in roles if each["RoleName"].endswith(name))
        (policy,) = role["Policies"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert "*" not in listed(statement["Resource"])
        if allowed:
            assert set(statement["Action"]) == allowed
            assert all(":role/cdk-paywarden-" in each for each in listed(statement["Resource"]))
        else:
            assert all(re.match("cloudformation:(Describe|Get|List)", each) for each in statement["Action"])


def test_a_provider_that_the_account_has_is_used_and_not_made_again(account: Any) -> None:
    def trusted(template: Mapping[str, Any]) -> list[Any]:
        return [
            role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Federated"]
            for role in of_type(template, "AWS::IAM::Role")
        ]

    made = account("acme/paywarden")
    (key,) = (k for k, each in made["Resources"].items() if each["Type"] == "AWS::IAM::OIDCProvider")
    assert trusted(made) == [{"Fn::GetAtt": [key, "Arn"]}] * 2
    found = account("acme/paywarden", provider_exists=True)
    assert not of_type(found, "AWS::IAM::OIDCProvider")
    assert trusted(found) == [f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"] * 2


@pytest.mark.parametrize(("said", "exists"), [(None, False), ("new", False), ("existing", True)])
def test_the_command_line_says_whether_there_is_one(said: str | None, exists: bool) -> None:
    context = {} if said is None else {"provider": said}
    assert provider_exists(cdk.App(context=context, analytics_reporting=False).node) is exists


def test_another_word_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^provider: 'mine' is neither existing nor new$"):
        provider_exists(cdk.App(context={"provider": "mine"}, analytics_reporting=False).node)


@dataclass(frozen=True, slots=True)
class Call:
    """What CloudFormation asks a service to do, and what IAM knows of it."""

    action: str
    resource: str
    known: tuple[tuple[str, str], ...] = ()


def call(action: str, on: str, **known: str) -> Call:
    """On an ARN after ``arn:aws:``, or on ``*`` for an action that takes no resource."""
    resource = on if on == "*" else f"arn:aws:{on.format(**FILLED)}"
    everywhere = action.partition(":")[0] in ("budgets", "iam", "route53")
    known["aws:RequestedRegion"] = "us-east-1" if everywhere else REGION
    return Call(action, resource, tuple(sorted(known.items())))


def tagged(kind: str, tags: Mapping[str, str]) -> dict[str, str]:
    return {f"aws:{kind}/{key}": value for key, value in tags.items()}


def listed(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]


def holds(statement: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    operators = {
        "StringEquals": lambda value, said: value == said,
        "ArnLike": fnmatchcase,
    }
    return all(
        key in known and any(operators[operator](known[key], each) for each in listed(said))
        for operator, conditions in statement.get("Condition", {}).items()
        for key, said in conditions.items()
    )


def speaks_of(statement: Mapping[str, Any], asked: Call) -> bool:
    """Whether a statement is about a call: action, resource and conditions, as IAM compares them."""
    return (
        any(fnmatchcase(asked.action.lower(), each.lower()) for each in listed(statement["Action"]))
        and any(fnmatchcase(asked.resource, each) for each in listed(statement["Resource"]))
        and holds(statement, dict(asked.known))
    )


def is_allowed(statements: Sequence[Mapping[str, Any]], asked: Call) -> bool:
    effects = {each["Effect"] for each in statements if speaks_of(each, asked)}
    return effects == {"Allow"}


@pytest.fixture(scope="module")
def policies(account: Any) -> list[dict[str, Any]]:
    return of_type(account(), "AWS::IAM::ManagedPolicy")


@pytest.fixture(scope="module")
def statements(policies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]


def within(said: Any, name: str) -> Iterator[Any]:
    """The values under a name, wherever it is."""
    if isinstance(said, dict):
        for key, each in said.items():
            if key == name:
                yield each
            yield from within(each, name)
    elif isinstance(said, list):
        for each in said:
            yield from within(each, name)


def referred(said: Any) -> str:
    """The logical id that a value refers to."""
    return str(said["Ref"] if "Ref" in said else said["Fn::GetAtt"][0])


def name_of(part: str, key: str, resources: Mapping[str, Any]) -> str:
    """What a resource is called, or one like it that CloudFormation would call it."""
    resource = resources[key]
    said = resource["Properties"]
    for step in (LIFECYCLES[resource["Type"]].named or "nothing").split("."):
        said = said.get(step) if said else None
    if isinstance(said, list):
        (said,) = said
    if said is None:
        name = f"paywarden-prod-{part}-{key}-1A2B3C4D5E6F"
        return name.lower() if resource["Type"] == "AWS::S3::Bucket" else name
    return said if isinstance(said, str) else name_of(part, referred(said), resources)


def calls_of(part: str, key: str, resources: Mapping[str, Any]) -> Iterator[Call]:
    """Everything that is called for one resource."""
    resource = resources[key]
    life = LIFECYCLES[resource["Type"]]
    properties = resource["Properties"]
    tags = properties.get("Tags", [])
    tags = tags if isinstance(tags, dict) else {each["Key"]: each["Value"] for each in tags}
    before, after = tagged("RequestTag", tags), tagged("ResourceTag", tags)
    name = name_of(part, key, resources)

    def on(arn: str) -> str:
        return arn.replace("{name}", name)

    service = life.on.partition(":")[0]
    yield from (call(f"{service}:{each}", on(life.on), **after) for each in life.calls.split())
    yield from (call(f"{service}:{each}", on(life.on), **before) for each in life.makes.split())
    yield from (call(each, "*", **before) for each in life.bare.split())
    for arn, actions in life.beside.items():
        yield from (call(each, on(arn)) for each in actions.split())
    through = {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"}
    yield from (call(f"kms:{each}", "kms:{here}:key/1a2b3c4d-1a2b", **through) for each in life.unlocks.split())
    for lent in {referred(each) for each in within(properties, life.lends)} if life.lends else ():
        role = f"iam::{{account}}:role/{name_of(part, lent, resources)}"
        (service,) = within(resources[lent]["Properties"]["AssumeRolePolicyDocument"], "Service")
        yield call("iam:PassRole", role, **{"iam:PassedToService": service})
    for attached in properties.get("ManagedPolicyArns", ()) if resource["Type"] == "AWS::IAM::Role" else ():
        policy = "".join("aws" if each == {"Ref": "AWS::Partition"} else each for each in attached["Fn::Join"][1])
        for action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
            yield call(action, f"iam::{{account}}:role/{name}", **{"iam:PolicyARN": policy})


@pytest.fixture(scope="module")
def needed(private: Templates) -> list[Call]:
    """What the largest deployment asks for: production's, in a network of its own."""
    found = {call("ssm:GetParameters", "ssm:{here}:parameter/cdk-bootstrap/paywarden/version")}
    for part, template in private.items():
        for key in template["Resources"]:
            found.update(calls_of(part, key, template["Resources"]))
    return sorted(found, key=repr)


def test_iam_takes_the_policies(policies: Sequence[Mapping[str, Any]]) -> None:
    assert {each["ManagedPolicyName"] for each in policies} == {
        f"paywarden-prod-execution-{name}" for name in POLICIES
    }
    for each in policies:
        assert len(json.dumps(each["PolicyDocument"], separators=(",", ":"))) <= 6_144, "IAM takes no more"


def test_it_is_known_what_each_type_of_resource_asks_for(platform: Any, private: Templates) -> None:
    templates = [*private.values(), *(platform(name).raw(part) for name in ("dev", "staging") for part in private)]
    assert {each["Type"] for one in templates for each in one["Resources"].values()} == set(LIFECYCLES)


def test_cloudformation_may_do_all_that_the_templates_need(
    statements: Sequence[Mapping[str, Any]], needed: Sequence[Call]
) -> None:
    assert len(needed) > 1_000
    assert [each for each in needed if not is_allowed(statements, each)] == []


def test_nothing_is_allowed_that_no_template_needs(
    statements: Sequence[Mapping[str, Any]], needed: Sequence[Call]
) -> None:
    """Each statement alone allows something; so a wrong resource in any of them would have been missed above."""
    ours = [each for each in statements if each["Effect"] == "Allow"]
    alone: set[int] = set()
    for each in needed:
        allowing = [number for number, statement in enumerate(ours) if speaks_of(statement, each)]
        alone.update(allowing if len(allowing) == 1 else ())
    assert [each for number, each in enumerate(ours) if number not in alone] == []
    idle = []
    for statement in ours:
        about = [each for each in needed if speaks_of(statement, each)]
        idle += [
            pattern
            for part, pattern in (
                *(("action", each) for each in listed(statement["Action"])),
                *(("resource", each) for each in listed(statement["Resource"])),
            )
            if not any(fnmatchcase(getattr(each, part), pattern) for each in about)
        ]
    assert idle == []


def test_roles_are_lent_to_the_services_that_the_templates_lend_them_to(
    statements: Sequence[Mapping[str, Any]], needed: Sequence[Call]
) -> None:
    (lent,) = (
        each for each in statements if each["Effect"] == "Allow" and "iam:PassRole" in listed(each["Action"])
    )
    services = {dict(each.known)["iam:PassedToService"] for each in needed if each.action == "iam:PassRole"}
    assert lent["Condition"] == {"StringEquals": {"iam:PassedToService": sorted(services)}}


ROLE = "iam::{account}:role/paywarden-prod-scoring-role"
KEY, SECRET = "kms:{here}:key/1a2b", "secretsmanager:{here}:secret:other-1a2b3c"
OTHERS = {"application": "paywarden", "environment": "staging"}


@pytest.mark.parametrize(
    "asked",
    [
        call("iam:CreateUser", "iam::{account}:user/somebody"),
        call("iam:CreatePolicyVersion", "iam::{account}:policy/paywarden-prod-execution-code"),
        call("iam:CreateOpenIDConnectProvider", "iam::{account}:oidc-provider/example.com"),
        call("iam:PutRolePolicy", "iam::{account}:role/paywarden-prod-account-deploy"),
        call("iam:UpdateAssumeRolePolicy", "iam::{account}:role/paywarden-prod-account-compare"),
        call("iam:PutRolePolicy", "iam::{account}:role/somebody"),
        call("iam:PassRole", ROLE, **{"iam:PassedToService": "sagemaker.amazonaws.com"}),
        call("iam:PassRole", "iam::{account}:role/somebody", **{"iam:PassedToService": "lambda.amazonaws.com"}),
        call("iam:AttachRolePolicy", ROLE, **{"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        call("s3:GetObject", "s3:::paywarden-prod-data-lake/decisions/1"),
        call("s3:DeleteObjectVersion", "s3:::paywarden-prod-data-lake/decisions/1"),
        call("dynamodb:GetItem", "dynamodb:{here}:table/paywarden-prod-data-decisions"),
        call("dynamodb:DeleteTable", "dynamodb:{here}:table/orders"),
        call("cloudformation:DescribeStacks", "cloudformation:{here}:stack/paywarden-prod-data/1a2b"),
        *(
            call(action, on, **tags)
            for action, on in (
                ("kms:PutKeyPolicy", KEY),
                ("kms:ScheduleKeyDeletion", KEY),
                ("kms:Decrypt", KEY),
                ("kms:CreateGrant", KEY),
                ("secretsmanager:GetSecretValue", SECRET),
                ("secretsmanager:DeleteSecret", SECRET),
            )
            for tags in ({}, tagged("ResourceTag", OTHERS), tagged("RequestTag", OURS))
        ),
        call("kms:Decrypt", KEY, **{"kms:ViaService": f"s3.{REGION}.amazonaws.com"}),
        call("kms:Decrypt", KEY, **{"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}),
        call("kms:CreateGrant", "kms:{here}:alias/1a2b", **{"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}),
        call("kms:PutKeyPolicy", KEY, **{"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}),
        call("kms:CreateKey", "*"),
        call("kms:TagResource", KEY, **tagged("RequestTag", OTHERS)),
    ],
    ids=lambda each: f"{each.action}-{each.resource.rpartition(':')[2]}",
)
def test_it_may_not_do_what_no_deployment_does(statements: Sequence[Mapping[str, Any]], asked: Call) -> None:
    assert not is_allowed(statements, asked)
