"""The merchants' API: its authorizer, throttles, access log and problem documents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict, cast

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.keys import Keys
from infra.constructs.lifetime import log_retention, removal_policy
from infra.constructs.network import Network
from infra.constructs.web_acl import WebAcl
from infra.environment import Environment, Plan, Throttle

__all__ = ["MerchantApi"]


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """An answer that API Gateway gives by itself, before any of our code runs."""

    response: str
    status: int
    kind: str
    title: str
    detail: str
    headers: Mapping[str, str] | None = None


_PROBLEMS = (
    _Problem(
        response="UNAUTHORIZED",
        status=401,
        kind="unauthorized",
        title="No valid merchant key was given",
        detail="Send the header `Authorization: Bearer <merchant key>`.",
        headers={"WWW-Authenticate": "'Bearer'"},
    ),
    _Problem(
        response="ACCESS_DENIED",
        status=403,
        kind="forbidden",
        title="The merchant key does not allow this",
        detail="The key is unknown, revoked, or not meant for this call. Use a live key of this merchant.",
    ),
    _Problem(
        response="WAF_FILTERED",
        status=403,
        kind="blocked",
        title="The firewall stopped the request",
        detail="It looks like an attack, or its address is one that attacks came from. Tell the operators.",
    ),
    _Problem(
        response="INVALID_API_KEY",
        status=403,
        kind="forbidden",
        title="The merchant key does not allow this",
        detail="The key is known but not part of a usage plan. Ask the operators to onboard the merchant.",
    ),
    _Problem(
        response="MISSING_AUTHENTICATION_TOKEN",
        status=404,
        kind="not-found",
        title="There is no such call",
        detail="Check the method and the path, for instance `POST /v1/decisions`.",
    ),
    _Problem(
        response="DEFAULT_4XX",
        status=400,
        kind="bad-request",
        title="The request was refused",
        detail="Check the path, the method and the headers, for instance `POST /v1/decisions`.",
    ),
    _Problem(
        response="REQUEST_TOO_LARGE",
        status=413,
        kind="body-too-large",
        title="Body too large",
        detail="The body is larger than any call takes. Send less in one request.",
    ),
    _Problem(
        response="THROTTLED",
        status=429,
        kind="throttled",
        title="Too many requests",
        detail="Wait a moment, then send the same request again: it will not be decided twice.",
        headers={"Retry-After": "'1'"},
    ),
    _Problem(
        response="QUOTA_EXCEEDED",
        status=429,
        kind="quota-exceeded",
        title="The merchant's quota is used up",
        detail="Ask the operators for a larger quota, or wait for the next month.",
    ),
    _Problem(
        response="DEFAULT_5XX",
        status=500,
        kind="internal",
        title="The platform failed",
        detail="Send the same request again: it will not be decided twice. Tell the operators if it goes on.",
    ),
)

# What is needed to follow a request, and nothing of what it said: neither body, nor secret, nor address. The id of
# the key is its public half; it tells whether a key that is to end is still used.
_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "merchant_id": "$context.authorizer.merchant_id",
    "key_id": "$context.authorizer.key_id",
    "method": "$context.httpMethod",
    "resource": "$context.resourcePath",
    "status": "$context.status",
    "latency_ms": "$context.responseLatency",
    "integration_latency_ms": "$context.integrationLatency",
    "error": "$context.error.responseType",
}


class _Watched(TypedDict):
    metrics_enabled: bool
    logging_level: apigateway.MethodLoggingLevel
    data_trace_enabled: bool


# Execution logs would hold bodies and keys.
_WATCHED: _Watched = {
    "metrics_enabled": True,
    "logging_level": apigateway.MethodLoggingLevel.OFF,
    "data_trace_enabled": False,
}

_TLS = apigateway.SecurityPolicy.TLS13_1_2_PFS_PQ_2025_09
"""TLS 1.3, or 1.2 with keys that last for one connection; what a regional API has by default is TLS 1.0."""


class MerchantApi(Construct):
    """A REST API on which every call names its merchant.

    Parameters
    ----------
    throttles : mapping of (method, path) to Throttle
        For calls that are not to come as often as the stage lets the others come; over all merchants.
    network : Network or None
        Through whose entrance alone the API is called; None for one on the internet.

    Attributes
    ----------
    api : aws_apigateway.RestApi
    methods : mapping of (method, path) to aws_apigateway.Method
    usage_plans : mapping of str to aws_apigateway.UsagePlan
        By the name of the plan; empty where the environment lacks `usage_plan_by_authorizer`.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        authorizer: lambda_.IFunction,
        calls: Mapping[tuple[str, str], lambda_.IFunction],
        throttles: Mapping[tuple[str, str], Throttle],
        keys: Keys,
        network: Network | None = None,
    ) -> None:
        super().__init__(scope, id_)
        planned = environment.capabilities.usage_plan_by_authorizer
        self.api = apigateway.RestApi(
            self,
            "api",
            rest_api_name=environment.prefix,
            description="Paywarden: the merchants' API",
            endpoint_configuration=self._endpoint(network),
            policy=None if network is None else self._entrance_only(network),
            api_key_source_type=(
                apigateway.ApiKeySourceType.AUTHORIZER if planned else apigateway.ApiKeySourceType.HEADER
            ),
            # The account's role for access logs; shared by every API of the account, so never deleted.
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.RETAIN,
            deploy_options=self._stage(environment, throttles, keys),
        )
        self._demand_tls()
        if environment.capabilities.web_acl:
            WebAcl(self, "firewall", environment=environment, stage=self.api.deployment_stage, log_key=keys.logs)
        request_authorizer = apigateway.RequestAuthorizer(
            self,
            "authorizer",
            handler=authorizer,
            identity_sources=[apigateway.IdentitySource.header("Authorization")],
            # How long an ended key may still be accepted.
            results_cache_ttl=cdk.Duration.seconds(environment.authorizer_cache_seconds),
        )
        # Each path's other methods reach its function too, which knows the ones it has: an integration of API
        # Gateway's own would answer some bodies with a 500.
        others = {("ANY", path): function for (_, path), function in calls.items()}
        self.methods = {
            (method, path): self.api.root.resource_for_path(path).add_method(
                method,
                apigateway.LambdaIntegration(function, allow_test_invoke=False),
                authorizer=request_authorizer,
                authorization_type=apigateway.AuthorizationType.CUSTOM,
                api_key_required=planned,
            )
            for (method, path), function in {**calls, **others}.items()
        }
        for problem in _PROBLEMS:
            self._answer(problem)
        plans = environment.plans if planned else ()
        self.usage_plans = {plan.name: self._usage_plan(environment, plan) for plan in plans}

    def _endpoint(self, network: Network | None) -> apigateway.EndpointConfiguration:
        if network is None:
            return apigateway.EndpointConfiguration(types=[apigateway.EndpointType.REGIONAL])
        entrance = ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(
            self, "entrance", vpc_endpoint_id=network.entrance.ref, port=443
        )
        return apigateway.EndpointConfiguration(types=[apigateway.EndpointType.PRIVATE], vpc_endpoints=[entrance])

    @staticmethod
    def _entrance_only(network: Network) -> iam.PolicyDocument:
        # Both: whoever comes through is still to show a key, and nothing else may ever let anybody in elsewhere.
        def statement(effect: iam.Effect, operator: str) -> iam.PolicyStatement:
            return iam.PolicyStatement(
                effect=effect,
                principals=[iam.AnyPrincipal()],
                actions=["execute-api:Invoke"],
                resources=["execute-api:/*"],
                conditions={operator: {"aws:SourceVpce": network.entrance.ref}},
            )

        return iam.PolicyDocument(
            statements=[
                statement(iam.Effect.ALLOW, "StringEquals"),
                statement(iam.Effect.DENY, "StringNotEquals"),
            ]
        )

    def _demand_tls(self) -> None:
        resource = cast("apigateway.CfnRestApi", self.api.node.default_child)
        resource.security_policy = f"SecurityPolicy_{_TLS.value}"
        # The host that TLS is made for is the host that is asked for.
        resource.endpoint_access_mode = "STRICT"

    def _stage(
        self, environment: Environment, throttles: Mapping[tuple[str, str], Throttle], keys: Keys
    ) -> apigateway.StageOptions:
        access = logs.LogGroup(
            self,
            "access-log",
            retention=log_retention(environment),
            encryption_key=keys.logs,
            removal_policy=removal_policy(environment),
        )
        return apigateway.StageOptions(
            stage_name="live",
            throttling_rate_limit=environment.stage_throttle.rate,
            throttling_burst_limit=environment.stage_throttle.burst,
            **_WATCHED,
            # What a method has of its own takes the place of all that the stage has.
            method_options={
                f"{path}/{method}": apigateway.MethodDeploymentOptions(
                    throttling_rate_limit=throttle.rate, throttling_burst_limit=throttle.burst, **_WATCHED
                )
                for (method, path), throttle in throttles.items()
            },
            tracing_enabled=True,
            access_log_destination=apigateway.LogGroupLogDestination(access),
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
        )

    def _usage_plan(self, environment: Environment, plan: Plan) -> apigateway.UsagePlan:
        # A merchant's API key joins its plan when the merchant is onboarded, not when the stack is deployed.
        return self.api.add_usage_plan(
            f"{plan.name}-plan",
            name=f"{environment.prefix}-{plan.name}",
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
            throttle=apigateway.ThrottleSettings(rate_limit=plan.throttle.rate, burst_limit=plan.throttle.burst),
            quota=apigateway.QuotaSettings(limit=plan.monthly_quota, period=apigateway.Period.MONTH),
        )

    def _answer(self, problem: _Problem) -> None:
        body = {
            "type": f"/problems/{problem.kind}",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "request_id": "$context.requestId",
        }
        answer = apigateway.CfnGatewayResponse(
            self,
            f"{problem.response.lower().replace('_', '-')}-response",
            rest_api_id=self.api.rest_api_id,
            response_type=problem.response,
            status_code=str(problem.status),
            response_templates={"application/json": json.dumps(body)},
            response_parameters={
                "gatewayresponse.header.Content-Type": "'application/problem+json'",
                "gatewayresponse.header.Paywarden-Request-Id": "context.requestId",
                **{f"gatewayresponse.header.{name}": value for name, value in (problem.headers or {}).items()},
            },
        )
        # `live` answers as the API was when it was deployed last: so another answer is another deployment.
        deployment = cast("apigateway.Deployment", self.api.latest_deployment)
        deployment.node.add_dependency(answer)
        deployment.add_to_logical_id(
            [answer.response_type, answer.status_code, answer.response_templates, answer.response_parameters]
        )
