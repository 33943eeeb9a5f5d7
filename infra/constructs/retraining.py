"""The state machine `retrain`, with a role that may do just that, and what happens when it fails."""

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.function import Function, log_retention, notify, removal_policy
from infra.constructs.queue import DeadLetters
from infra.constructs.roles import complete_before, fixed, service_role
from infra.environments import Environment
from infra.workflows import FUNCTIONS, retrain

__all__ = ["Retraining"]

# Every job is named after its run, its step and the re-drive; the role knows no other jobs.
_JOBS = {"processing-job": ("dataset", "tune", "evaluate", "compare"), "training-job": ("train",)}

_RULE_PREFIX = "StepFunctionsGetEventsForSageMaker"
_ENDED_BADLY = ["FAILED", "TIMED_OUT", "ABORTED"]


class Retraining(Construct):
    """Attributes: state_machine, failed, unwithdrawn.

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
        alarm_topic: sns.ITopic,
        models: s3.IBucket,
    ) -> None:
        super().__init__(scope, id_)
        arns = {name: functions[name].function.function_arn for name in sorted(FUNCTIONS)}
        role = service_role(
            self,
            "role",
            service="states",
            description="what a retraining may do",
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(arns.values())),
                iam.PolicyStatement(actions=["sns:Publish"], resources=[alarm_topic.topic_arn]),
                *self._jobs(),
                iam.PolicyStatement(
                    actions=["iam:PassRole"],
                    resources=[job_role.role_arn],
                    conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
                ),
                _delivery(),
            ],
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
                "models_bucket": models.bucket_name,
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
        self._on_failure(functions["release_model"], alarm_topic)

    def _on_failure(self, release_model: Function, topic: sns.ITopic) -> None:
        """The one way of every failure: people are told, and what the run had released is taken out again.

        EventBridge keeps what it could not hand to Lambda, and Lambda what failed at all three attempts: a model
        that nobody watches any more must not go on unnoticed.
        """
        self.unwithdrawn = DeadLetters(
            self, "unwithdrawn", alarm_topic=topic, holds="models of failed retrainings that were not withdrawn"
        )
        queue = self.unwithdrawn.queue
        release_model.allow("sqs:SendMessage", on=[queue.queue_arn])
        lambda_.EventInvokeConfig(
            self,
            "withdrawals",
            function=release_model.function,
            on_failure=destinations.SqsDestination(queue),
            retry_attempts=2,
            max_event_age=cdk.Duration.hours(1),
        )
        rule = events.Rule(
            self,
            "failure",
            description="Paywarden: a retraining ended badly",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"status": _ENDED_BADLY, "stateMachineArn": [self.state_machine.state_machine_arn]},
            ),
        )
        name, status, execution, stopped = (
            events.EventField.from_path(f"$.detail.{field}")
            for field in ("name", "status", "executionArn", "stopDate")
        )
        rule.add_target(
            targets.SnsTopic(
                topic,
                message=events.RuleTargetInput.from_text(
                    f"Paywarden: run {name} ended as {status}. What it had released is being withdrawn; an alarm "
                    f"tells if that fails, and paywarden models show {name} what came of it. Read why in the "
                    f"execution, {execution}, and go on from there with: paywarden train --resume {name}"
                ),
            )
        )
        rule.add_target(
            targets.LambdaFunction(
                release_model.function,
                event=events.RuleTargetInput.from_object(
                    {
                        "action": "withdraw",
                        "execution": execution,
                        # What happened later, in an execution that was re-driven, is not undone.
                        "stopped_at": stopped,
                        "reason": f"the run ended as {status}",
                    }
                ),
                dead_letter_queue=queue,
                retry_attempts=185,
                max_event_age=cdk.Duration.hours(24),
            )
        )

    def _jobs(self) -> list[iam.PolicyStatement]:
        stack = cdk.Stack.of(self)
        statements = []
        for resource, steps in _JOBS.items():
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
                        stack.format_arn(service="sagemaker", resource=resource, resource_name=f"*-{step}-r*")
                        for step in steps
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


def _delivery() -> iam.PolicyStatement:
    # Delivering logs and traces are actions on no resource of ours: AWS offers none to name.
    return iam.PolicyStatement(
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
    )
