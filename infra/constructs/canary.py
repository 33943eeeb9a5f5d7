"""How a new version of a function takes over: a share of the calls first, and back if an alarm goes off."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarms import name_of
from infra.constructs.release_alarms import rollback_alarms
from infra.constructs.roles import complete_before, fixed, service_role
from infra.environment import Canary, Environment

__all__ = ["CanaryDeployment", "back_alarms"]


def back_alarms(environment: Environment, verb_noun: str) -> list[str]:
    """The names of the alarms of other stacks that send a function's new version back.

    They are fixed, and those stacks are deployed later: CodeDeploy asks for the alarms only when a version follows
    another.
    """
    if verb_noun == "score_transaction":
        # What sends a model back sends code back: calls fail or are slow, decisions fail or are degraded.
        return rollback_alarms(environment)
    if verb_noun == "authorize_merchant":
        # Its errors are how it refuses callers, so it counts what is trouble itself. One that cannot start counts
        # nothing, but calls of decisions fail.
        return [name_of(kind, prefix=environment.prefix) for kind in ("authorizer-failures", "release-errors")]
    return []


class CanaryDeployment(Construct):
    """Lets CodeDeploy move an alias, which CloudFormation does otherwise.

    It sends `shift.percent` of the calls to the new version, and the rest after `shift.minutes`. If an alarm
    goes off meanwhile, or is on at the beginning, all calls go to the version before, and the deployment fails.

    Parameters
    ----------
    alarms : sequence of Alarm
        Of this function; `back_alarms` come on top.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        verb_noun: str,
        function: lambda_.IFunction,
        alias: lambda_.Alias,
        alarms: Sequence[cloudwatch.IAlarm],
        environment: Environment,
        shift: Canary,
    ) -> None:
        super().__init__(scope, id_)
        name = environment.deployment_name(verb_noun)
        role = service_role(
            self,
            "role",
            service="codedeploy",
            description=f"moves calls of {verb_noun} from one version to the next",
            statements=[
                iam.PolicyStatement(
                    actions=["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"],
                    resources=[function.function_arn, f"{function.function_arn}:{alias.alias_name}"],
                ),
                # Alarms that are composite can be asked for among all of the account only.
                iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=["*"]),
            ],
        )
        group = codedeploy.LambdaDeploymentGroup(
            self,
            "group",
            application=codedeploy.LambdaApplication(self, "application", application_name=name),
            deployment_group_name=name,
            alias=alias,
            alarms=[*alarms, *self._elsewhere(back_alarms(environment, verb_noun))],
            auto_rollback=codedeploy.AutoRollbackConfig(
                failed_deployment=True, stopped_deployment=True, deployment_in_alarm=True
            ),
            # An alarm that cannot be asked for is no reason to go on.
            ignore_poll_alarms_failure=False,
            deployment_config=_steps(cdk.Stack.of(self), shift),
            role=fixed(role),
        )
        complete_before(role, group)

    def _elsewhere(self, names: Sequence[str]) -> list[cloudwatch.IAlarm]:
        return [cloudwatch.Alarm.from_alarm_name(self, name, name) for name in names]


def _steps(stack: cdk.Stack, shift: Canary) -> codedeploy.ILambdaDeploymentConfig:
    """The one configuration of a stack for canaries of a kind."""
    id_ = f"canary-{shift.percent}-{shift.minutes}"
    existing = stack.node.try_find_child(id_)
    if isinstance(existing, codedeploy.LambdaDeploymentConfig):
        return existing
    return codedeploy.LambdaDeploymentConfig(
        stack,
        id_,
        traffic_routing=codedeploy.TimeBasedCanaryTrafficRouting(
            interval=cdk.Duration.minutes(shift.minutes),
            percentage=shift.percent,
        ),
    )
