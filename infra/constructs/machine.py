"""A state machine over Lambdas and SageMaker jobs, with a role that may do just that, and its log."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.function import Function
from infra.constructs.job_role import JobRole, logs_and_traces, passes_to_jobs, runs_jobs
from infra.constructs.keys import Keys
from infra.constructs.lifetime import log_retention, removal_policy
from infra.constructs.roles import complete_before, fixed, service_role
from infra.environment import Environment

__all__ = ["state_machine"]


def state_machine(
    scope: Construct,
    name: str,
    *,
    environment: Environment,
    definition: Mapping[str, Any],
    description: str,
    keys: Keys,
    functions: Sequence[Function],
    jobs: Mapping[str, JobRole],
    training_image: str,
    placeholders: Mapping[str, str] | None = None,
    statements: Sequence[iam.PolicyStatement] = (),
) -> sfn.StateMachine:
    """The machine ``<prefix>-<name>``, all of whose executions are logged and traced.

    Parameters
    ----------
    definition : mapping
        In Amazon States Language; its placeholders are the functions' names, each step's ``<step>_role``,
        `training_image`, `objects_key` and `placeholders`.
    description : str
        What its role may do, in words.
    jobs : mapping of str to JobRole
        The steps that it runs as jobs, by their names.
    statements : sequence of PolicyStatement
        What it may do besides.
    """
    arns = {each.verb_noun: each.function.function_arn for each in functions}
    stack = cdk.Stack.of(scope)
    role = service_role(
        scope,
        "role",
        service="states",
        description=description,
        source=stack.format_arn(
            service="states",
            resource="stateMachine",
            resource_name=f"{environment.prefix}-{name}",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        ),
        statements=[
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(arns.values())),
            *statements,
            *runs_jobs(scope, jobs.values()),
            passes_to_jobs(jobs.values()),
            logs_and_traces(),
        ],
    )
    log_group = logs.LogGroup(
        scope,
        "logs",
        # The prefix that keeps the account's log resource policy short.
        log_group_name=f"/aws/vendedlogs/states/{environment.prefix}-{name}",
        retention=log_retention(environment),
        encryption_key=keys.logs,
        removal_policy=removal_policy(environment, in_the_way=True),
    )
    machine = sfn.StateMachine(
        scope,
        name,
        state_machine_name=f"{environment.prefix}-{name}",
        definition_body=sfn.DefinitionBody.from_string(json.dumps(definition, indent=1)),
        definition_substitutions={
            **arns,
            **{f"{step}_role": job.role.role_arn for step, job in jobs.items()},
            "training_image": training_image,
            "objects_key": keys.objects.key_arn,
            **(placeholders or {}),
        },
        role=fixed(role),
        tracing_enabled=True,
        logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    complete_before(role, machine)
    return machine
