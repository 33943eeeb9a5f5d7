"""The state machine `retrain`, with a role that may do just that, and what happens when it fails."""

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.alarm import Topics, watch
from infra.constructs.function import Function, log_retention, removal_policy
from infra.constructs.job_role import logs_and_traces, passes_to_jobs, runs_jobs
from infra.constructs.queue import DeadLetters
from infra.constructs.roles import complete_before, fixed, service_role
from infra.environments import Environment
from infra.workflows import FUNCTIONS, retrain

__all__ = ["Retraining"]

# Every job is named after its run, its step and the re-drive; the role knows no other jobs.
_JOBS = {"processing-job": ("dataset", "tune", "evaluate", "compare"), "training-job": ("train",)}

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
        topics: Topics,
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
                iam.PolicyStatement(actions=["sns:Publish"], resources=[topics.tickets.topic_arn]),
                *runs_jobs(self, _JOBS),
                passes_to_jobs(job_role),
                logs_and_traces(),
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
                "alarm_topic": topics.tickets.topic_arn,
                "models_bucket": models.bucket_name,
            },
            role=fixed(role),
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        complete_before(role, self.state_machine)
        self.failed = watch(
            self,
            "failed-alarm",
            "retraining-failed",
            environment=environment,
            topics=topics,
            metric=self.state_machine.metric_failed(period=cdk.Duration.minutes(5)),
            threshold=1,
            periods=1,
        )
        self._on_failure(functions["release_model"], environment, topics)

    def _on_failure(self, release_model: Function, environment: Environment, topics: Topics) -> None:
        """The one way of every failure: people are told, and what the run had released is taken out again.

        EventBridge keeps what it could not hand to Lambda, and Lambda what failed at all three attempts: a model
        that nobody watches any more must not go on unnoticed.
        """
        self.unwithdrawn = DeadLetters(
            self, "unwithdrawn", environment=environment, topics=topics, kind="unwithdrawn"
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
                topics.tickets,
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
