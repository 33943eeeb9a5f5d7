"""The state machine `retrain`, with a role that may do just that, and what happens when it fails."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.alarm import Topics, watch
from infra.constructs.function import Function
from infra.constructs.machine import state_machine
from infra.constructs.queue import DeadLetters
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
        self.state_machine = state_machine(
            self,
            "retrain",
            environment=environment,
            definition=retrain(),
            description="what a retraining may do",
            functions=[functions[name] for name in sorted(FUNCTIONS)],
            jobs=_JOBS,
            job_role=job_role,
            training_image=training_image,
            placeholders={"alarm_topic": topics.tickets.topic_arn, "models_bucket": models.bucket_name},
            statements=[iam.PolicyStatement(actions=["sns:Publish"], resources=[topics.tickets.topic_arn])],
        )
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
