"""The state machine `retrain`, with a role that may do just that."""

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.function import Function, log_retention, notify, removal_policy
from infra.constructs.roles import complete_before, fixed, service_role
from infra.environments import Environment
from infra.workflows import retrain

__all__ = ["Retraining"]

# plan_training names every job after its run and its phase; the role knows no other jobs.
_JOBS = {"processing-job": ("dataset", "evaluate"), "training-job": ("train",)}

_RULE_PREFIX = "StepFunctionsGetEventsForSageMaker"


class Retraining(Construct):
    """Attributes: state_machine, failed."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        functions: Mapping[str, Function],
        job_role: iam.IRole,
        training_image: str,
        alarm_topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, id_)
        arns = {name: each.function.function_arn for name, each in functions.items()}
        statements = (
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(arns.values())),
            iam.PolicyStatement(actions=["sns:Publish"], resources=[alarm_topic.topic_arn]),
            *self._jobs(),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[job_role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            # Delivering logs and traces are actions on no resource of ours: AWS offers none to name.
            iam.PolicyStatement(
                actions=[
                    "logs:CreateLogDelivery",
                    "logs:DeleteLogDelivery",
                    "logs:DescribeLogGroups",
                    "logs:DescribeResourcePolicies",
                    "logs:GetLogDelivery",
                    "logs:ListLogDeliveries",
                    "logs:PutResourcePolicy",
                    "logs:UpdateLogDelivery",
                    "xray:GetSamplingRules",
                    "xray:GetSamplingTargets",
                    "xray:PutTelemetryRecords",
                    "xray:PutTraceSegments",
                ],
                resources=["*"],
            ),
        )
        role = service_role(
            self, "role", service="states", description="what a retraining may do", statements=statements
        )
        log_group = logs.LogGroup(
            self,
            "logs",
            # The prefix that keeps the account's log resource policy short.
            log_group_name=f"/aws/vendedlogs/states/{environment.prefix}-retrain",
            retention=log_retention(environment),
            removal_policy=removal_policy(environment),
        )
        self.state_machine = sfn.StateMachine(
            self,
            "retrain",
            state_machine_name=f"{environment.prefix}-retrain",
            definition_body=sfn.DefinitionBody.from_string(json.dumps(retrain(), indent=1)),
            definition_substitutions={
                **arns,
                "job_role": job_role.role_arn,
                "training_image": training_image,
                "alarm_topic": alarm_topic.topic_arn,
            },
            role=fixed(role),
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        complete_before(role, self.state_machine)
        self.failed = notify(
            cloudwatch.Alarm(
                self,
                "failed-alarm",
                metric=self.state_machine.metric_failed(period=cdk.Duration.minutes(5)),
                threshold=1,
                evaluation_periods=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
                alarm_description="A retraining failed: its execution says in which phase. See docs/runbooks.",
            ),
            alarm_topic,
        )

    def _jobs(self) -> list[iam.PolicyStatement]:
        stack = cdk.Stack.of(self)
        statements = []
        for resource, phases in _JOBS.items():
            kind = "ProcessingJob" if resource == "processing-job" else "TrainingJob"
            statements.append(
                iam.PolicyStatement(
                    actions=[
                        "sagemaker:AddTags",
                        f"sagemaker:Create{kind}",
                        f"sagemaker:Describe{kind}",
                        "sagemaker:ListTags",
                        f"sagemaker:Stop{kind}",
                    ],
                    resources=[
                        stack.format_arn(service="sagemaker", resource=resource, resource_name=f"*-{phase}")
                        for phase in phases
                    ],
                )
            )
        # Step Functions hears of a job's end through rules of its own, with these fixed names.
        statements.append(
            iam.PolicyStatement(
                actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"],
                resources=[
                    stack.format_arn(
                        service="events",
                        resource="rule",
                        resource_name=f"{_RULE_PREFIX}{kind}Rule",
                    )
                    for kind in ("ProcessingJobs", "TrainingJobs")
                ],
            )
        )
        return statements
