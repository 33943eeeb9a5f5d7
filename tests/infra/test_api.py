"""The merchants' API, the serving document and the lake's tables."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fraud.decision import label_row, outcome_row
from fraud.events import Label, Outcome, Transaction
from fraud.passing import MOST_SHARE, PassThrough
from fraud.policy import Costs, Policy, Thresholds
from fraud.serving import Canary, Serving
from infra.assembly import application
from infra.constructs import api
from infra.constructs.lake import DECISION_COLUMNS, LABEL_COLUMNS, OUTCOME_COLUMNS
from infra.constructs.serving import INITIAL_DOCUMENT, SCHEMA
from infra.environments import lookup

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("local", "dev", "staging", "prod")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_call_names_its_merchant(platform: Callable[[str], Any], name: str) -> None:
    methods = platform(name).resources("scoring", "AWS::ApiGateway::Method")
    assert methods
    for method in methods.values():
        assert method["Properties"]["AuthorizationType"] == "CUSTOM"
        assert method["Properties"]["AuthorizerId"]
    (authorizer,) = platform(name).resources("scoring", "AWS::ApiGateway::Authorizer").values()
    assert authorizer["Properties"]["IdentitySource"] == "method.request.header.Authorization"
    # How long a revoked key may still be accepted.
    assert authorizer["Properties"]["AuthorizerResultTtlInSeconds"] <= 60


def routes(found: Any) -> dict[tuple[str, str], str]:
    """Method and path to the integration's target."""
    resources = found.resources("scoring", "AWS::ApiGateway::Resource")

    def path(logical_id: str) -> str:
        above = resources[logical_id]["Properties"]["ParentId"].get("Ref")
        return (path(above) if above else "") + "/" + str(resources[logical_id]["Properties"]["PathPart"])

    methods = found.resources("scoring", "AWS::ApiGateway::Method").values()
    return {
        (each["Properties"]["HttpMethod"], path(each["Properties"]["ResourceId"]["Ref"])): json.dumps(
            each["Properties"]["Integration"]["Uri"]
        )
        for each in methods
    }


def test_every_call_reaches_its_function_and_other_methods_the_one_that_knows_the_path(
    platform: Callable[[str], Any],
) -> None:
    found = routes(platform("prod"))
    for (method, path), function in {
        ("POST", "/v1/decisions"): "scoretransactionlive",
        ("POST", "/v1/decisions/batch"): "scoretransactionlive",
        ("GET", "/v1/decisions/{transaction_id}"): "readdecisionlive",
        ("POST", "/v1/decisions/{transaction_id}/outcome"): "recordoutcomelive",
        ("GET", "/v1/health"): "scoretransactionlive",
        ("POST", "/v1/labels"): "recordlabellive",
    }.items():
        assert function in found[method, path]
    for path in {path for _, path in found}:
        assert len({target for (_, each), target in found.items() if each == path}) == 1, path
        assert ("ANY", path) in found


def test_the_contract_and_the_deployed_calls_are_the_same(platform: Callable[[str], Any]) -> None:
    document = json.loads((ROOT / "docs/api/openapi.json").read_text())
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {call for call in routes(platform("prod")) if call[0] != "ANY"}


def test_merchants_reach_the_alias_and_not_the_newest_code(platform: Callable[[str], Any]) -> None:
    aliases = platform("prod").resources("scoring", "AWS::Lambda::Alias")
    assert {each["Properties"]["Name"] for each in aliases.values()} == {"live"}
    for method in platform("prod").resources("scoring", "AWS::ApiGateway::Method").values():
        assert any(alias in json.dumps(method["Properties"]["Integration"]["Uri"]) for alias in aliases)


@pytest.mark.parametrize(("name", "policy"), [("dev", "Delete"), ("prod", "RetainExceptOnCreate")])
def test_there_is_a_version_to_go_back_to(platform: Callable[[str], Any], name: str, policy: str) -> None:
    versions = platform(name).resources("scoring", "AWS::Lambda::Version").values()
    aliases = platform(name).resources("scoring", "AWS::Lambda::Alias")
    assert len(versions) == len(aliases) >= 5
    assert {each["DeletionPolicy"] for each in versions} == {policy}


def test_usage_is_counted_per_merchant_where_that_can_be(platform: Callable[[str], Any]) -> None:
    (api,) = platform("prod").resources("scoring", "AWS::ApiGateway::RestApi").values()
    assert api["Properties"]["ApiKeySourceType"] == "AUTHORIZER"
    declared = platform("prod").resources("scoring", "AWS::ApiGateway::UsagePlan")
    plans = {each["Properties"]["UsagePlanName"]: each["Properties"] for each in declared.values()}
    assert {name: (each["Throttle"], each["Quota"]) for name, each in plans.items()} == {
        "paywarden-prod-standard": (
            {"RateLimit": 500, "BurstLimit": 1_000},
            {"Limit": 100_000_000, "Period": "MONTH"},
        ),
        "paywarden-prod-high": (
            {"RateLimit": 2_000, "BurstLimit": 4_000},
            {"Limit": 1_000_000_000, "Period": "MONTH"},
        ),
    }
    outputs = platform("prod").raw("scoring")["Outputs"]
    named = {outputs[f"UsagePlan{name}"]["Value"]["Ref"] for name in ("Standard", "High")}
    assert named == set(declared)
    for plan in plans.values():
        assert plan["ApiStages"][0]["Stage"], "a plan without a stage counts nothing"
    for name, planned in (("prod", True), ("local", False)):
        for method in platform(name).resources("scoring", "AWS::ApiGateway::Method").values():
            assert method["Properties"]["ApiKeyRequired"] is planned
    assert not platform("local").resources("scoring", "AWS::ApiGateway::UsagePlan")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_stage_is_throttled_and_logs_no_bodies_and_no_keys(platform: Callable[[str], Any], name: str) -> None:
    (stage,) = platform(name).resources("scoring", "AWS::ApiGateway::Stage").values()
    for settings in stage["Properties"]["MethodSettings"]:
        assert settings["DataTraceEnabled"] is False
        assert settings["LoggingLevel"] == "OFF"
        assert settings["MetricsEnabled"] is True
        assert 0 < settings["ThrottlingRateLimit"] < settings["ThrottlingBurstLimit"]
    written = json.loads(stage["Properties"]["AccessLogSetting"]["Format"])
    # The public half of the key.
    assert written.pop("key_id") == "$context.authorizer.key_id"
    for secret in ("body", "authorizer.key", "apiKey", "sourceIp", "input", "header"):
        assert not [each for each in written.values() if secret in each]
    assert stage["Properties"]["TracingEnabled"] is True


@pytest.mark.parametrize(("name", "rate", "burst"), [("local", 200, 400), ("prod", 1, 5)])
def test_backtests_come_less_often_than_decisions(
    platform: Callable[[str], Any], name: str, rate: int, burst: int
) -> None:
    (stage,) = platform(name).resources("scoring", "AWS::ApiGateway::Stage").values()
    throttles = {
        (each["HttpMethod"], each["ResourcePath"]): (each["ThrottlingRateLimit"], each["ThrottlingBurstLimit"])
        for each in stage["Properties"]["MethodSettings"]
    }
    assert throttles.keys() == {("*", "/*"), ("POST", "/~1v1~1rules~1backtest")}
    assert throttles["POST", "/~1v1~1rules~1backtest"] == (rate, burst)
    assert rate < throttles["*", "/*"][0]


def test_api_gateway_answers_with_problems_as_our_code_does(platform: Callable[[str], Any]) -> None:
    answers = platform("prod").resources("scoring", "AWS::ApiGateway::GatewayResponse").values()
    by_type = {each["Properties"]["ResponseType"]: each["Properties"] for each in answers}
    for response, status in {
        **{"UNAUTHORIZED": 401, "ACCESS_DENIED": 403, "MISSING_AUTHENTICATION_TOKEN": 404},
        **{"DEFAULT_4XX": 400, "REQUEST_TOO_LARGE": 413},
        **{"THROTTLED": 429, "QUOTA_EXCEEDED": 429, "DEFAULT_5XX": 500},
    }.items():
        properties = by_type[response]
        problem = json.loads(properties["ResponseTemplates"]["application/json"])
        assert set(problem) == {"type", "title", "status", "detail", "request_id"}
        assert problem["type"].startswith("/problems/")
        assert int(properties["StatusCode"]) == problem["status"] == status
        parameters = properties["ResponseParameters"]
        assert parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert parameters["gatewayresponse.header.Paywarden-Request-Id"] == "context.requestId"


def test_another_answer_of_api_gateway_reaches_the_stage(
    platform: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = platform("local").resources("scoring", "AWS::ApiGateway::GatewayResponse")
    ((name, deployment),) = platform("local").resources("scoring", "AWS::ApiGateway::Deployment").items()
    assert answers.keys() <= set(deployment["DependsOn"])
    first, *others = api._PROBLEMS
    monkeypatch.setattr(api, "_PROBLEMS", (replace(first, detail="Send a key."), *others))
    assembly = application(lookup("local"), tmp_path).synth()
    changed = assembly.get_stack_artifact("scoring").template["Resources"]
    assert answers.keys() <= changed.keys()
    assert name not in changed


def test_the_first_document_is_one_that_serving_reads() -> None:
    document = msgspec.convert(INITIAL_DOCUMENT, Serving)
    assert document.champion is None
    assert document.challengers == ()


def test_the_schema_knows_every_field_of_the_document_and_no_other() -> None:
    def names(kind: type[msgspec.Struct]) -> set[str]:
        return {each.name for each in msgspec.structs.fields(kind)}

    schema: Any = SCHEMA
    policy = schema["properties"]["policy"]
    assert set(schema["properties"]) == names(Serving)
    assert set(policy["properties"]) == names(Policy)
    assert set(policy["properties"]["thresholds"]["properties"]) == names(Thresholds)
    assert set(policy["properties"]["costs"]["properties"]) == names(Costs)
    assert set(schema["properties"]["canary"]["properties"]) == names(Canary)
    passing = policy["properties"]["pass_through"]
    assert set(passing["properties"]) == names(PassThrough)
    inner = (
        passing,
        policy["properties"]["thresholds"],
        policy["properties"]["costs"],
        schema["properties"]["canary"],
    )
    for each in (schema, policy, *inner):
        assert each["additionalProperties"] is False


def test_the_schema_lets_as_much_through_as_serving_takes() -> None:
    schema: Any = SCHEMA
    share = schema["properties"]["policy"]["properties"]["pass_through"]["properties"]["share"]
    assert share["maximum"] == MOST_SHARE


def test_the_document_is_validated_deployed_at_once_and_rolled_back_without_waiting(
    platform: Callable[[str], Any],
) -> None:
    (profile,) = platform("prod").resources("data", "AWS::AppConfig::ConfigurationProfile").values()
    (validator,) = profile["Properties"]["Validators"]
    assert json.loads(validator["Content"]) == SCHEMA
    (strategy,) = platform("prod").resources("data", "AWS::AppConfig::DeploymentStrategy").values()
    assert strategy["Properties"]["DeploymentDurationInMinutes"] == 0
    assert strategy["Properties"]["FinalBakeTimeInMinutes"] == 0
    assert len(platform("prod").resources("data", "AWS::AppConfig::Deployment")) == 1


_HIVE = {"string": "str", "bigint": "int"}


def test_the_lake_has_a_column_for_every_field_of_a_transaction() -> None:
    for columns in (DECISION_COLUMNS, LABEL_COLUMNS, OUTCOME_COLUMNS):
        for field in msgspec.structs.fields(Transaction):
            assert _HIVE[columns[field.name]] == getattr(field.type, "__name__", field.type)


def test_the_lake_has_a_column_for_every_field_of_a_label_and_of_an_outcome() -> None:
    transaction = Transaction(
        transaction_id="t", merchant_id="m", event_time=1, amount=2, currency="EUR", card="a", customer="b"
    )
    row = label_row(Label(transaction=transaction, kind="chargeback", known_at=3), 4)
    assert set(row) == set(LABEL_COLUMNS)
    row = outcome_row(Outcome(transaction=transaction, kind="declined", event_time=3), 4)
    assert set(row) == set(OUTCOME_COLUMNS)


def test_athena_writes_results_where_the_workgroup_says(platform: Callable[[str], Any]) -> None:
    (workgroup,) = platform("prod").resources("data", "AWS::Athena::WorkGroup").values()
    configuration = workgroup["Properties"]["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["ResultConfiguration"]["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"


def test_days_are_found_without_a_crawler(platform: Callable[[str], Any]) -> None:
    tables = platform("prod").resources("data", "AWS::Glue::Table").values()
    assert {each["Properties"]["TableInput"]["Name"] for each in tables} == {"decisions", "labels", "outcomes"}
    for table in tables:
        given = table["Properties"]["TableInput"]
        assert given["Parameters"]["projection.enabled"] == "true"
        assert "day=${day}/" in json.dumps(given["Parameters"]["storage.location.template"])
        assert given["PartitionKeys"] == [{"Name": "day", "Type": "string"}]


OUTPUTS = {
    "data": {
        *("LakeBucket", "ModelsBucket", "FeaturesTable", "DecisionsTable", "MerchantsTable", "EventBus"),
        *("TokenSecret", "TokenKeysBucket"),
        *("AppConfigApplication", "AppConfigEnvironment", "AppConfigProfile", "AppConfigStrategy"),
        *("KeySecret", "SettingsTable", "GlueDatabase", "AthenaWorkgroup", "PageTopic", "TicketTopic"),
    },
    "features": {"UpdateQueueUrl", "UpdateDeadLetterQueueUrl", "UnrelayedQueueUrl", "UndeliveredQueueUrl"},
    "scoring": {"ApiUrl", "ApiId", "ApiStage"},
    "training": {"RetrainStateMachine"},
}


@pytest.mark.parametrize("part", OUTPUTS)
def test_operators_find_the_outputs_they_look_for(platform: Callable[[str], Any], part: str) -> None:
    found = platform("local")
    assert OUTPUTS[part] <= set(found.raw(part)["Outputs"])
    assert found.stacks[part].stack_name == f"paywarden-local-{part}"
