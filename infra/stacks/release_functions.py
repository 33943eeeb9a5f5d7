"""The functions that release a model, and who hears of an approval."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.constructs.bundles import allow_bundles
from infra.constructs.function import Function
from infra.constructs.queries import allow_queries
from infra.constructs.release_alarms import rollback_alarms
from infra.environment import Environment
from infra.stacks.data import DataStack

__all__ = [
    "allow_approval",
    "allow_asking",
    "allow_registration",
    "allow_release",
    "allow_watching",
    "on_word",
    "release_variables",
]


def release_variables(data: DataStack, *, environment: Environment) -> dict[str, dict[str, str]]:
    """The environment variables of each function that has a hand in a release, by its name."""
    releases = {"RELEASES_TABLE": data.releases.table_name}
    told = {**releases, "AUDIT_TABLE": data.audit.table.table_name}
    models = {"MODELS_BUCKET": data.models.bucket_name}
    people = {"ALARM_TOPIC": data.topics.tickets.topic_arn}
    return {
        "register_model": {**models, **told},
        "release_model": {
            **models,
            **told,
            **data.serving.variables,
            "APPCONFIG_STRATEGY": data.serving.strategy.ref,
            "APPCONFIG_KEY": data.serving.key.key_arn,
            **people,
        },
        "watch_release": {
            **releases,
            "ATHENA_WORKGROUP": data.lake.workgroup.ref,
            "GLUE_DATABASE": data.lake.database.ref,
            "ROLLBACK_ALARMS": ",".join(rollback_alarms(environment)),
        },
        "request_approval": {**told, **people},
        "settle_approval": told,
    }


def allow_registration(function: Function, data: DataStack, *, group: str, repositories: Sequence[str]) -> None:
    """Let a function write bundles, and enter packages in the registry whose image lies in `repositories`."""
    function.allow("s3:GetObject", on=[data.models.arn_for_objects("runs/*")])
    function.allow("s3:GetObject", "s3:PutObject", on=[data.models.arn_for_objects("bundles/*")])
    function.allow("dynamodb:BatchGetItem", "dynamodb:PutItem", on=[data.releases.table_arn])
    data.audit.allow_telling(function)
    # A package is made under its group, and both have to be named.
    function.allow("sagemaker:CreateModelPackage", on=[_group(function, group), _packages(function, group)])
    if repositories:
        # SageMaker looks at a package's image in the name of who makes the package.
        function.allow("ecr:BatchGetImage", "ecr:DescribeImages", on=repositories)


def allow_release(function: Function, data: DataStack, *, environment: Environment, group: str) -> None:
    """Let a function change what serves, look up or take back a model's approval, and tell that a run failed."""
    serving = data.serving
    allow_bundles(function, data.models)
    function.allow("dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query", on=[data.releases.table_arn])
    data.audit.allow_telling(function)
    function.allow(
        "sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage", on=[_packages(function, group)]
    )
    # A run that was re-driven sees to its model itself.
    function.allow(
        "states:DescribeExecution",
        on=[
            cdk.Stack.of(function).format_arn(
                service="states",
                resource="execution",
                resource_name=f"{environment.prefix}-retrain:*",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
        ],
    )
    application, profile = serving.application_arn(function), serving.profile_arn(function)
    function.allow("appconfig:CreateHostedConfigurationVersion", on=[application, profile])
    function.allow(
        "appconfig:GetHostedConfigurationVersion",
        on=[application, profile, f"{profile}/hostedconfigurationversion/*"],
    )
    place = serving.environment_arn(function)
    function.allow("appconfig:GetDeployment", on=[application, place, f"{place}/deployment/*"])
    function.allow("appconfig:ListDeployments", on=[application, place])
    function.allow("appconfig:StartDeployment", on=[application, place, profile, serving.strategy_arn(function)])
    function.allow("sns:Publish", on=[data.topics.tickets.topic_arn])


def allow_watching(function: Function, data: DataStack, *, environment: Environment) -> None:
    """Let a function count decisions in the lake, and look at the alarms that send a model back."""
    function.allow("dynamodb:Query", on=[data.releases.table_arn])
    allow_queries(function, data.lake, tables=("decisions",))
    function.allow(
        "cloudwatch:DescribeAlarmHistory",
        "cloudwatch:DescribeAlarms",
        on=[
            cdk.Stack.of(function).format_arn(
                service="cloudwatch",
                resource="alarm",
                resource_name=name,
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for name in rollback_alarms(environment)
        ],
    )


def allow_approval(function: Function, data: DataStack, *, environment: Environment, group: str) -> None:
    """Let a function read the word on a model, write it down, and tell it to the execution that waits."""
    # The token is deleted with the answer.
    function.allow(
        "dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", on=[data.releases.table_arn]
    )
    data.audit.allow_telling(function)
    function.allow("sagemaker:DescribeModelPackage", on=[_packages(function, group)])
    # By its name, since the machine calls the function, and so cannot be made before it.
    machine = cdk.Stack.of(function).format_arn(
        service="states",
        resource="stateMachine",
        resource_name=f"{environment.prefix}-retrain",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    function.allow("states:SendTaskSuccess", on=[machine])


def allow_asking(function: Function, data: DataStack, *, group: str) -> None:
    """Let a function ask people for their word, and say that of the bounds itself."""
    function.allow("sagemaker:UpdateModelPackage", on=[_packages(function, group)])
    function.allow("sns:Publish", on=[data.topics.tickets.topic_arn])


def on_word(scope: Construct, *, group: str, settle_approval: Function) -> events.Rule:
    """Tell a function that a package of the group was approved or rejected, by whomever and wherever."""
    rule = events.Rule(
        scope,
        "word",
        description="Paywarden: a model was approved or rejected in the registry",
        event_pattern=events.EventPattern(
            source=["aws.sagemaker"],
            detail_type=["SageMaker Model Package State Change"],
            detail={"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved", "Rejected"]},
        ),
    )
    rule.add_target(targets.LambdaFunction(settle_approval.function))
    return rule


def _group(function: Function, group: str) -> str:
    stack = cdk.Stack.of(function)
    return stack.format_arn(service="sagemaker", resource="model-package-group", resource_name=group)


def _packages(function: Function, group: str) -> str:
    stack = cdk.Stack.of(function)
    return stack.format_arn(service="sagemaker", resource="model-package", resource_name=f"{group}/*")
