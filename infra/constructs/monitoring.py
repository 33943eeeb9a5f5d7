"""The state machine `monitor`, with a role that may do just that, and its alarm."""

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.alarm import Topics, watch
from infra.constructs.function import Function, log_retention, removal_policy
from infra.constructs.job_role import logs_and_traces, passes_to_jobs, runs_jobs
from infra.constructs.roles import complete_before, fixed, service_role
from infra.environments import Environment
from infra.workflows.monitor import MONITOR_FUNCTIONS, monitor

__all__ = ["Monitoring"]


class Monitoring(Construct):
    """Attributes: state_machine, failed.

    Parameters
    ----------
    functions : mapping of str to Function
        At least those that the machine calls.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        functions: Mapping[str, Function],
        job_role: iam.IRole,
        training_image: str,
        topics: Topics,
    ) -> None:
        super().__init__(scope, id_)
        arns = {name: functions[name].function.function_arn for name in sorted(MONITOR_FUNCTIONS)}
        role = service_role(
            self,
            "role",
            service="states",
            description="what a look at models and data may do",
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(arns.values())),
                *runs_jobs(self, {"processing-job": ("monitor",)}),
                passes_to_jobs(job_role),
                logs_and_traces(),
            ],
        )
        log_group = logs.LogGroup(
            self,
            "logs",
            # The prefix that keeps the account's log resource policy short.
            log_group_name=f"/aws/vendedlogs/states/{environment.prefix}-monitor",
            retention=log_retention(environment),
            removal_policy=removal_policy(environment),
        )
        self.state_machine = sfn.StateMachine(
            self,
            "monitor",
            state_machine_name=f"{environment.prefix}-monitor",
            definition_body=sfn.DefinitionBody.from_string(json.dumps(monitor(), indent=1)),
            definition_substitutions={
                **arns,
                "job_role": job_role.role_arn,
                "training_image": training_image,
            },
            role=fixed(role),
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        complete_before(role, self.state_machine)
        period = cdk.Duration.minutes(5)
        self.failed = watch(
            self,
            "failed-alarm",
            "monitoring-failed",
            environment=environment,
            topics=topics,
            # One that hangs is counted as timed out, and as nothing else.
            metric=cloudwatch.MathExpression(
                expression="FILL(failed, 0) + FILL(late, 0)",
                label="failed",
                using_metrics={
                    "failed": self.state_machine.metric_failed(period=period),
                    "late": self.state_machine.metric_timed_out(period=period),
                },
                period=period,
            ),
            threshold=1,
            periods=1,
        )
