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
from infra.constructs.job_role import JobRole
from infra.constructs.keys import Keys
from infra.constructs.machine import state_machine
from infra.constructs.queue import DeadLetters
from infra.environment import Environment
from infra.workflows import FUNCTIONS, retrain

__all__ = ["Retraining"]

_STEPS = ("dataset", "tune", "train", "evaluate", "compare")

_ENDED_BADLY = ["FAILED", "TIMED_OUT", "ABORTED"]


class Retraining(Construct):
    """Attributes: state_machine, failed, unwithdrawn.

    Parameters
    ----------
    functions : mapping of str to Function
        At least those that the machine calls.
    jobs : mapping of str to JobRole
        At least those of its steps.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        functions: Mapping[str, Function],
        jobs: Mapping[str, JobRole],
        training_image: str,
        topics: Topics,
        keys: Keys,
        models: s3.IBucket,
    ) -> None:
        super().__init__(scope, id_)
        self.state_machine = state_machine(
            self,
            "retrain",
            environment=environment,
            definition=retrain(),
            description="what a retraining may do",
            keys=keys,
            functions=[functions[name] for name in sorted(FUNCTIONS)],
            jobs={step: jobs[step] for step in _STEPS},
            training_image=training_image,
            placeholders={"alarm_topic": topics.tickets.topic_arn, "models_bucket": models.bucket_name},
            statements=[
                iam.PolicyStatement(actions=["sns:Publish"], resources=[topics.tickets.topic_arn]),
                *keys.unlocking("sns:Publish"),
            ],
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
        self._on_failure(functions["release_model"], environment, topics, keys)

    def _on_failure(self, release_model: Function, environment: Environment, topics: Topics, keys: Keys) -> None:
        """The one way of every failure: what the run had released is taken out again, and people are told.

        EventBridge keeps what it could not hand to Lambda, and Lambda what failed at all three attempts: a model
        that nobody watches any more must not go on unnoticed. The function tells people, and not the rule: a topic
        cannot be opened to EventBridge for one rule or one account only.
        """
        self.unwithdrawn = DeadLetters(
            self, "unwithdrawn", environment=environment, topics=topics, key=keys.messages, kind="unwithdrawn"
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
        status, execution, stopped = (
            events.EventField.from_path(f"$.detail.{field}") for field in ("status", "executionArn", "stopDate")
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
