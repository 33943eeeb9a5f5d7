"""The stack of an account: the policies of its bootstrap, and the roles of the pipeline."""

from collections.abc import Mapping, Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.account.execution import POLICIES, Allowed, Denied
from infra.environment import Environment
from infra.stacks.base import tags_of

__all__ = ["AccountStack"]

_GITHUB: Final = "token.actions.githubusercontent.com"
_AUDIENCE: Final = "sts.amazonaws.com"
_BOOTSTRAP_ROLES: Final = ("deploy", "file-publishing", "image-publishing", "lookup")


class AccountStack(cdk.Stack):
    """Policies `paywarden-<environment>-execution-*`; with a repository, an OIDC provider and roles for workflows.

    An administrator deploys it with their own credentials, before the bootstrap: so it uses nothing of that. The
    policies do not let what deploys later change it; they do not bind the roles that a deployment makes.

    Parameters
    ----------
    repository : str or None
        ``organisation/name`` on GitHub, or ``organisation@ID/name@ID``; None makes no provider and no roles.
    provider_exists : bool
        The account trusts GitHub's tokens already; AWS takes one provider for an address.
    qualifier : str
        Of the bootstrap.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        environment: Environment,
        repository: str | None,
        qualifier: str,
        provider_exists: bool = False,
    ) -> None:
        super().__init__(
            scope,
            "account",
            stack_name=f"{environment.prefix}-account",
            description="Paywarden: who may deploy to this account, and what that may do",
            env=cdk.Environment(account=environment.account, region=environment.region),
            synthesizer=cdk.BootstraplessSynthesizer(),
            termination_protection=environment.termination_protection,
        )
        for key, value in tags_of(environment).items():
            cdk.Tags.of(self).add(key, value)
        self._environment = environment
        self._qualifier = qualifier
        policies = [self._execution(name, allowed) for name, allowed in POLICIES.items()]
        cdk.CfnOutput(self, "ExecutionPolicies", value=cdk.Fn.join(",", policies))
        if repository is not None:
            self._pipeline(repository, self._provider(exists=provider_exists))

    def _execution(self, name: str, statements: Sequence[Allowed]) -> str:
        policy = iam.ManagedPolicy(
            self,
            f"execution-{name}",
            managed_policy_name=f"{self._environment.prefix}-execution-{name}",
            description=f"Paywarden: what CloudFormation may do in {self._environment.name}",
            statements=[self._statement(each) for each in statements],
        )
        return policy.managed_policy_arn

    def _statement(self, allowed: Allowed) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            effect=iam.Effect.DENY if isinstance(allowed, Denied) else iam.Effect.ALLOW,
            actions=list(allowed.actions),
            resources=[
                each if each == "*" else f"arn:{self.partition}:{self._filled(each)}" for each in allowed.on
            ],
            conditions=self._filled_in(allowed.when) if allowed.when else None,
        )

    def _filled_in(self, when: Mapping[str, Mapping[str, str | list[str]]]) -> dict[str, dict[str, object]]:
        return {
            operator: {
                key: [self._filled(one) for one in value] if isinstance(value, list) else self._filled(value)
                for key, value in each.items()
            }
            for operator, each in when.items()
        }

    def _filled(self, text: str) -> str:
        return text.format(
            here=f"{self.region}:{self.account}",
            account=self.account,
            region=self.region,
            prefix=self._environment.prefix,
            schema=self._environment.prefix.replace("-", "_"),
            environment=self._environment.name,
            qualifier=self._qualifier,
        )

    def _provider(self, *, exists: bool) -> str:
        """The ARN of what vouches for GitHub's tokens, which follows from their issuer."""
        if exists:
            return f"arn:{self.partition}:iam::{self.account}:oidc-provider/{_GITHUB}"
        made = iam.CfnOIDCProvider(self, "github", url=f"https://{_GITHUB}", client_id_list=[_AUDIENCE])
        return made.attr_arn

    def _pipeline(self, repository: str, provider: str) -> None:
        """A role for deployments that GitHub's environment of this name allows, and one to compare templates."""
        deploy = self._role(
            "deploy",
            provider,
            subject=f"repo:{repository}:environment:{self._environment.name}",
            description="deploys, by the roles of the bootstrap",
            statement=iam.PolicyStatement(
                actions=["sts:AssumeRole", "sts:TagSession"],
                resources=[
                    f"arn:{self.partition}:iam::{self.account}:role/"
                    f"cdk-{self._qualifier}-{each}-role-{self.account}-{self.region}"
                    for each in _BOOTSTRAP_ROLES
                ],
            ),
        )
        compare = self._role(
            "compare",
            provider,
            subject=f"repo:{repository}:pull_request",
            description="reads the templates that are deployed, to compare them with a pull request's",
            # Not the bootstrap's role for looking things up, which may read nearly all of the account.
            statement=iam.PolicyStatement(
                actions=[
                    "cloudformation:DescribeStacks",
                    "cloudformation:DescribeStackResources",
                    "cloudformation:GetTemplate",
                    "cloudformation:ListStackResources",
                ],
                resources=[
                    f"arn:{self.partition}:cloudformation:{self.region}:{self.account}:stack/{self._environment.prefix}-*"
                ],
            ),
        )
        cdk.CfnOutput(self, "DeployRole", value=deploy.role_arn)
        cdk.CfnOutput(self, "CompareRole", value=compare.role_arn)

    def _role(
        self,
        name: str,
        provider: str,
        *,
        subject: str,
        description: str,
        statement: iam.PolicyStatement,
    ) -> iam.Role:
        return iam.Role(
            self,
            name,
            role_name=f"{self._environment.prefix}-account-{name}",
            description=f"Paywarden: {description}",
            assumed_by=iam.WebIdentityPrincipal(
                provider,
                {"StringEquals": {f"{_GITHUB}:aud": _AUDIENCE, f"{_GITHUB}:sub": subject}},
            ),
            max_session_duration=cdk.Duration.hours(1),
            inline_policies={"allowed": iam.PolicyDocument(statements=[statement])},
        )
