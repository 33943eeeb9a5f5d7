"""What stands before the API: the firewall, TLS, and, if it is private, a network without a way out."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.network import GATEWAYS, INTERFACES
from infra.constructs.web_acl import COUNTED, MANAGED_RULES, MOST_BYTES
from infra.environments import ENVIRONMENTS, PROD
from ops.contract.problems import PROBLEMS
from runtime import clients
from runtime.api import MOST_BATCH_BYTES
from runtime.api import MOST_BYTES as MOST_BYTES_OF_A_CALL

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = ("AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::Route")


@pytest.fixture(scope="module")
def acl(platform: Callable[[str], Any]) -> dict[str, Any]:
    (found,) = platform("prod").resources("scoring", "AWS::WAFv2::WebACL").values()
    properties: dict[str, Any] = found["Properties"]
    return properties


@pytest.fixture(scope="module")
def rules(acl: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["Name"]: each for each in sorted(acl["Rules"], key=lambda rule: rule["Priority"])}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_firewall_stands_before_the_stage_wherever_there_is_one(
    platform: Callable[[str], Any], name: str
) -> None:
    found = platform(name)
    associations = found.resources("scoring", "AWS::WAFv2::WebACLAssociation").values()
    assert len(associations) == ENVIRONMENTS[name].capabilities.web_acl
    for each in associations:
        (stage,) = found.resources("scoring", "AWS::ApiGateway::Stage")
        (firewall,) = found.resources("scoring", "AWS::WAFv2::WebACL")
        assert {"Ref": stage} in each["Properties"]["ResourceArn"]["Fn::Join"][1]
        assert each["Properties"]["WebACLArn"] == {"Fn::GetAtt": [firewall, "Arn"]}


def test_managed_rules_stop_what_they_find_but_for_those_that_would_stop_payments(
    rules: Mapping[str, dict[str, Any]],
) -> None:
    assert tuple(rules) == ("requests-per-address", "body-size", *MANAGED_RULES)
    for name in MANAGED_RULES:
        group = rules[name]["Statement"]["ManagedRuleGroupStatement"]
        assert rules[name]["OverrideAction"] == {"None": {}}
        assert "ExcludedRules" not in group
        assert {each["Name"] for each in group.get("RuleActionOverrides", ())} == set(COUNTED.get(name, ()))
        for each in group.get("RuleActionOverrides", ()):
            assert each["ActionToUse"] == {"Count": {}}
    assert all(reason for group in COUNTED.values() for reason in group.values())


def test_bodies_end_where_the_calls_say_and_all_that_is_let_in_is_looked_at(
    acl: dict[str, Any], rules: Mapping[str, dict[str, Any]]
) -> None:
    """Batches alone may be longer than what WAF inspects, and are cut off by the function that reads them."""
    assert MOST_BYTES == MOST_BYTES_OF_A_CALL < MOST_BATCH_BYTES
    limit = acl["AssociationConfig"]["RequestBody"]["API_GATEWAY"]["DefaultSizeInspectionLimit"]
    assert int(limit.removeprefix("KB_")) * 1_024 == MOST_BYTES
    size, batch = rules["body-size"]["Statement"]["AndStatement"]["Statements"]
    assert size["SizeConstraintStatement"]["Size"] == MOST_BYTES
    assert size["SizeConstraintStatement"]["ComparisonOperator"] == "GT"
    assert size["SizeConstraintStatement"]["FieldToMatch"] == {"Body": {"OversizeHandling": "MATCH"}}
    path = batch["NotStatement"]["Statement"]["ByteMatchStatement"]
    assert (path["PositionalConstraint"], path["SearchString"]) == ("ENDS_WITH", "/v1/decisions/batch")


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=lambda each: each.name)
def test_one_address_may_send_what_the_largest_plan_allows_a_merchant(environment: Any) -> None:
    assert environment.edge.requests_per_address >= 300 * max(plan.throttle.rate for plan in environment.plans)


def test_addresses_are_counted_one_by_one(rules: Mapping[str, dict[str, Any]]) -> None:
    assert rules["requests-per-address"]["Statement"] == {
        "RateBasedStatement": {
            "AggregateKeyType": "IP",
            "EvaluationWindowSec": 300,
            "Limit": PROD.edge.requests_per_address,
        }
    }


def test_what_the_firewall_answers_is_in_the_catalogue_of_problems(
    acl: dict[str, Any], rules: Mapping[str, dict[str, Any]]
) -> None:
    catalogued = {(each.name, each.status, each.title) for each in PROBLEMS}
    answers = {name: json.loads(body["Content"]) for name, body in acl["CustomResponseBodies"].items()}
    given = {}
    for rule in ("requests-per-address", "body-size"):
        answer = rules[rule]["Action"]["Block"]["CustomResponse"]
        given[answer["CustomResponseBodyKey"]] = answer["ResponseCode"]
    assert given.keys() == answers.keys()
    for name, body in answers.items():
        assert body["type"] == f"/problems/{name}"
        assert body["status"] == given[name]
        assert (name, body["status"], body["title"]) in catalogued


def test_no_key_and_nothing_that_was_sent_is_shown_anywhere(
    acl: dict[str, Any], platform: Callable[[str], Any]
) -> None:
    protected = {
        each["Field"]["FieldType"]: each["Field"].get("FieldKeys")
        for each in acl["DataProtectionConfig"]["DataProtections"]
        if each["Action"] == "SUBSTITUTION" and not each.get("ExcludeRuleMatchDetails")
    }
    assert protected == {"SINGLE_HEADER": ["authorization"], "QUERY_STRING": None, "BODY": None}
    for each in (acl, *acl["Rules"]):
        assert each["VisibilityConfig"]["SampledRequestsEnabled"] is False
        assert each["VisibilityConfig"]["CloudWatchMetricsEnabled"] is True
    (logged,) = platform("prod").resources("scoring", "AWS::WAFv2::LoggingConfiguration").values()
    (destination,) = logged["Properties"]["LogDestinationConfigs"]
    assert destination["Fn::Join"][1][-1].endswith(":log-group:aws-waf-logs-paywarden-prod")
    assert logged["Properties"]["LoggingFilter"]["DefaultBehavior"] == "DROP"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_old_versions_of_tls_are_refused(platform: Callable[[str], Any], name: str) -> None:
    (api,) = platform(name).resources("scoring", "AWS::ApiGateway::RestApi").values()
    assert api["Properties"]["SecurityPolicy"] == "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
    assert api["Properties"]["EndpointAccessMode"] == "STRICT"


PARTS = ("data", "features", "scoring", "training", "monitoring")


def of_type(templates: Mapping[str, dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for template in templates.values():
        for each in template["Resources"].values():
            if each["Type"] == kind:
                yield each["Properties"]


def test_a_private_network_has_no_way_to_the_internet_and_none_from_it(
    private: Mapping[str, dict[str, Any]],
) -> None:
    for kind in PUBLIC:
        assert not list(of_type(private, kind)), kind
    subnets = list(of_type(private, "AWS::EC2::Subnet"))
    assert len(subnets) == 2
    assert not any(each["MapPublicIpOnLaunch"] for each in subnets)
    (api,) = of_type(private, "AWS::ApiGateway::RestApi")
    assert api["EndpointConfiguration"]["Types"] == ["PRIVATE"]
    allowed, denied = api["Policy"]["Statement"]
    assert (allowed["Effect"], denied["Effect"]) == ("Allow", "Deny")
    entrance = allowed["Condition"]["StringEquals"]["aws:SourceVpce"]
    assert denied["Condition"] == {"StringNotEquals": {"aws:SourceVpce": entrance}}
    assert api["EndpointConfiguration"]["VpcEndpointIds"] == [entrance]


def test_there_is_an_endpoint_for_each_service_that_functions_call_and_for_no_other(
    private: Mapping[str, dict[str, Any]],
) -> None:
    # X-Ray is told of by Lambda's own daemon, which stands beside the function.
    assert set(GATEWAYS) | set(INTERFACES) == {*clients._SERVICES, "xray"}
    endpoints = list(of_type(private, "AWS::EC2::VPCEndpoint"))
    assert {each["ServiceName"].rpartition("eu-west-1.")[2] for each in endpoints} == {
        *GATEWAYS,
        *INTERFACES.values(),
        "execute-api",
    }
    for each in endpoints:
        (statement,) = each["PolicyDocument"]["Statement"]
        if each["ServiceName"].endswith("execute-api"):
            assert statement["Action"] == "execute-api:Invoke"
        else:
            assert statement["Condition"]["StringEquals"]["aws:PrincipalAccount"] == "123456789012"
            gateway = each["VpcEndpointType"] == "Gateway"
            assert ("aws:ResourceAccount" in statement["Condition"]["StringEquals"]) is gateway


def test_every_function_runs_inside_and_nothing_is_open_but_https(private: Mapping[str, dict[str, Any]]) -> None:
    functions = list(of_type(private, "AWS::Lambda::Function"))
    assert functions
    for each in functions:
        assert len(each["VpcConfig"]["SubnetIds"]) == 2, each["Handler"]
        assert len(each["VpcConfig"]["SecurityGroupIds"]) == 1
    opened = [
        rule
        for each in of_type(private, "AWS::EC2::SecurityGroup")
        for rule in each.get("SecurityGroupIngress", ())
    ]
    assert {rule["CidrIp"] for rule in opened} == {"10.64.0.0/22", "10.1.0.0/16"}
    assert {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in opened} == {("tcp", 443, 443)}
    for each in of_type(private, "AWS::EC2::SecurityGroup"):
        (out,) = each["SecurityGroupEgress"]
        assert out["CidrIp"] == "255.255.255.255/32" or (out["FromPort"], out["ToPort"]) == (443, 443)


def test_the_network_cannot_be_taken_from_under_its_functions(private: Mapping[str, dict[str, Any]]) -> None:
    """CloudFormation deletes nothing that another stack imports."""
    (api,) = of_type(private, "AWS::ApiGateway::RestApi")
    joined = [each["VpcConfig"] for each in of_type(private, "AWS::Lambda::Function")]
    lasting = [group for each in joined for group in (*each["SubnetIds"], *each["SecurityGroupIds"])]
    lasting += api["EndpointConfiguration"]["VpcEndpointIds"]
    exported = {
        json.dumps(each["Export"]["Name"])
        for each in private["data"]["Outputs"].values()
        if "Export" in each and "network" in json.dumps(each["Value"])
    }
    assert {json.dumps(each["Fn::ImportValue"]) for each in lasting} == exported
    # Two subnets, the group of functions, the entrance.
    assert len(exported) == 4


def test_a_functions_own_code_makes_no_interfaces(private: Mapping[str, dict[str, Any]]) -> None:
    may, may_not = [], []
    for policy in of_type(private, "AWS::IAM::Policy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            if "ec2:CreateNetworkInterface" in statement["Action"]:
                (may if statement["Effect"] == "Allow" else may_not).append(statement)
    assert len(may) == len(may_not) == len(list(of_type(private, "AWS::Lambda::Function")))
    assert all(each["Resource"] != "*" for each in may)
    assert all("lambda:SourceFunctionArn" in each["Condition"]["ArnLike"] for each in may_not)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_environment_pays_for_a_network_that_did_not_ask_for_one(
    platform: Callable[[str], Any], name: str
) -> None:
    assert not ENVIRONMENTS[name].edge.private
    for part in PARTS:
        kinds = {each["Type"] for each in platform(name).raw(part)["Resources"].values()}
        assert not [kind for kind in kinds if kind.startswith("AWS::EC2::")]
