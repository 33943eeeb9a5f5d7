"""The firewall before the merchants' API: rules that fit a JSON API whose callers are servers (docs/edge.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.constructs.lifetime import log_retention, removal_policy
from infra.environment import Environment

__all__ = ["COUNTED", "CUSTOM_RULES", "MANAGED_RULES", "MOST_BYTES", "WebAcl"]

MOST_BYTES: Final = 65_536
"""Of a body, but for batches; a test holds that the calls take no more. WAF can inspect as many."""

MANAGED_RULES: Final = (
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesCommonRuleSet",
)
"""AWS's groups of rules, in the order in which they look.

Not among them: SQL injection, since there is no SQL to inject into, and names such as O'Brien look like it; nor
the list of anonymous addresses, half of which are hosting providers, where merchants' servers stand.
"""

CUSTOM_RULES: Final = ("requests-per-address", "body-size")

COUNTED: Final[Mapping[str, Mapping[str, str]]] = {
    "AWSManagedRulesCommonRuleSet": {
        "SizeRestrictions_BODY": "it ends bodies at 8 KB, and ten payments in a batch are more",
        "NoUserAgent_HEADER": "a server that names no browser is what calls here",
        "CrossSiteScripting_BODY": "conditions of rules compare with < and >, and no answer is ever a page",
        "GenericRFI_BODY": "list entries and rules may hold addresses; nothing here follows one",
        "RestrictedExtensions_URIPATH": "ids of payments are the merchants' own, and may end in .log or .ini",
    },
}
"""Rules that only count, and why: each would stop payments that are fine."""

_BATCHES: Final = "/v1/decisions/batch"


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """An answer that WAF gives by itself, as a document of the kind that our code answers with."""

    status: int
    kind: str
    title: str
    detail: str
    headers: Mapping[str, str] | None = None

    def body(self) -> wafv2.CfnWebACL.CustomResponseBodyProperty:
        document = {
            "type": f"/problems/{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return wafv2.CfnWebACL.CustomResponseBodyProperty(
            content=json.dumps(document), content_type="APPLICATION_JSON"
        )

    def stop(self) -> wafv2.CfnWebACL.RuleActionProperty:
        headers = [
            wafv2.CfnWebACL.CustomHTTPHeaderProperty(name=name, value=value)
            for name, value in (self.headers or {}).items()
        ]
        answer = wafv2.CfnWebACL.CustomResponseProperty(
            response_code=self.status, custom_response_body_key=self.kind, response_headers=headers or None
        )
        return wafv2.CfnWebACL.RuleActionProperty(
            block=wafv2.CfnWebACL.BlockActionProperty(custom_response=answer)
        )


_THROTTLED: Final = _Problem(
    status=429,
    kind="throttled",
    title="Too many requests",
    detail="This address sent too many requests in five minutes. Wait, then send the same requests again.",
    headers={"Retry-After": "300"},
)
_TOO_LARGE: Final = _Problem(
    status=413,
    kind="body-too-large",
    title="Body too large",
    detail=f"The body has more than {MOST_BYTES} bytes. Send less in one request, or payments as a batch.",
)


class WebAcl(Construct):
    """A web ACL before a stage, with its log of what it stopped.

    What it stops is answered with a problem document: by the gateway, but for the two rules of our own, whose
    statuses only the firewall knows. Those two are called JSON, since WAF lets nobody name another type.
    """

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, stage: apigateway.Stage, log_key: kms.IKey
    ) -> None:
        super().__init__(scope, id_)
        self._environment = environment
        acl = wafv2.CfnWebACL(
            self,
            "acl",
            name=environment.prefix,
            description="Paywarden: before the merchants API",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=self._seen(environment.prefix),
            association_config=wafv2.CfnWebACL.AssociationConfigProperty(
                request_body={
                    "API_GATEWAY": wafv2.CfnWebACL.RequestBodyAssociatedResourceTypeConfigProperty(
                        default_size_inspection_limit="KB_64"
                    )
                }
            ),
            # Wherever a request is shown, in logs or samples: without its key, and without what it said.
            data_protection_config=wafv2.CfnWebACL.DataProtectionConfigProperty(
                data_protections=[
                    self._protected("SINGLE_HEADER", "authorization"),
                    self._protected("QUERY_STRING"),
                    self._protected("BODY"),
                ]
            ),
            custom_response_bodies={each.kind: each.body() for each in (_THROTTLED, _TOO_LARGE)},
            rules=[
                *(
                    self._rule(priority, name, statement, action=action)
                    for priority, (name, statement, action) in enumerate(self._own())
                ),
                *(
                    self._managed(priority, name)
                    for priority, name in enumerate(MANAGED_RULES, start=len(CUSTOM_RULES))
                ),
            ],
        )
        wafv2.CfnWebACLAssociation(self, "association", resource_arn=stage.stage_arn, web_acl_arn=acl.attr_arn)
        self._log(acl, log_key)

    def _own(
        self,
    ) -> tuple[tuple[str, wafv2.CfnWebACL.StatementProperty, wafv2.CfnWebACL.RuleActionProperty], ...]:
        statement = wafv2.CfnWebACL.StatementProperty
        plain = [wafv2.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")]
        large = statement(
            size_constraint_statement=wafv2.CfnWebACL.SizeConstraintStatementProperty(
                comparison_operator="GT",
                size=MOST_BYTES,
                field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(
                    body=wafv2.CfnWebACL.BodyProperty(oversize_handling="MATCH")
                ),
                text_transformations=plain,
            )
        )
        # The path has the stage before it, at the gateway's own address.
        batch = statement(
            byte_match_statement=wafv2.CfnWebACL.ByteMatchStatementProperty(
                field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(uri_path={}),
                positional_constraint="ENDS_WITH",
                search_string=_BATCHES,
                text_transformations=plain,
            )
        )
        no_batch = statement(not_statement=wafv2.CfnWebACL.NotStatementProperty(statement=batch))
        often = statement(
            rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                aggregate_key_type="IP",
                limit=self._environment.edge.requests_per_address,
                evaluation_window_sec=300,
            )
        )
        both = statement(and_statement=wafv2.CfnWebACL.AndStatementProperty(statements=[large, no_batch]))
        return (
            (CUSTOM_RULES[0], often, _THROTTLED.stop()),
            (CUSTOM_RULES[1], both, _TOO_LARGE.stop()),
        )

    def _rule(
        self,
        priority: int,
        name: str,
        statement: wafv2.CfnWebACL.StatementProperty,
        *,
        action: wafv2.CfnWebACL.RuleActionProperty | None = None,
    ) -> wafv2.CfnWebACL.RuleProperty:
        return wafv2.CfnWebACL.RuleProperty(
            name=name,
            priority=priority,
            statement=statement,
            action=action,
            # Of a group: as its rules say.
            override_action=None if action else wafv2.CfnWebACL.OverrideActionProperty(none={}),
            visibility_config=self._seen(f"{self._environment.prefix}-{name}"),
        )

    def _managed(self, priority: int, name: str) -> wafv2.CfnWebACL.RuleProperty:
        counted = [
            wafv2.CfnWebACL.RuleActionOverrideProperty(
                name=each, action_to_use=wafv2.CfnWebACL.RuleActionProperty(count={})
            )
            for each in COUNTED.get(name, ())
        ]
        group = wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
            vendor_name="AWS", name=name, rule_action_overrides=counted or None
        )
        statement = wafv2.CfnWebACL.StatementProperty(managed_rule_group_statement=group)
        return self._rule(priority, name, statement)

    def _log(self, acl: wafv2.CfnWebACL, key: kms.IKey) -> None:
        # WAF takes no other beginning of the name, and no `:*` at the end of the ARN.
        name = f"aws-waf-logs-{self._environment.prefix}"
        group = logs.LogGroup(
            self,
            "log",
            log_group_name=name,
            retention=log_retention(self._environment),
            encryption_key=key,
            removal_policy=removal_policy(self._environment, in_the_way=True),
        )
        logged = wafv2.CfnLoggingConfiguration(
            self,
            "logging",
            resource_arn=acl.attr_arn,
            log_destination_configs=[
                cdk.Stack.of(self).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=name,
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            # What is only counted is every other batch; metrics tell how many. To the library this is plain JSON.
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [{"ActionCondition": {"Action": "BLOCK"}}],
                    }
                ],
            },
        )
        logged.node.add_dependency(group)

    @staticmethod
    def _protected(kind: str, *names: str) -> wafv2.CfnWebACL.DataProtectProperty:
        return wafv2.CfnWebACL.DataProtectProperty(
            action="SUBSTITUTION",
            field=wafv2.CfnWebACL.FieldToProtectProperty(field_type=kind, field_keys=list(names) or None),
        )

    @staticmethod
    def _seen(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
        return wafv2.CfnWebACL.VisibilityConfigProperty(
            cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
        )
