"""A queue of work with its dead-letter queue and alarms."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import notify

__all__ = ["DeadLetters", "WorkQueue"]


class DeadLetters(Construct):
    """A queue for what could not be handled: kept as long as SQS keeps anything, and alarmed at the first message.

    Attributes
    ----------
    queue : aws_sqs.Queue
    depth : aws_cloudwatch.Alarm
    """

    def __init__(self, scope: Construct, id_: str, *, alarm_topic: sns.ITopic, holds: str) -> None:
        super().__init__(scope, id_)
        self.queue = sqs.Queue(
            self,
            "queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        self.depth = notify(
            cloudwatch.Alarm(
                self,
                "depth-alarm",
                metric=self.queue.metric_approximate_number_of_messages_visible(
                    period=cdk.Duration.minutes(1), statistic=cloudwatch.Stats.MAXIMUM
                ),
                threshold=1,
                evaluation_periods=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
                alarm_description=f"Dead letters: {holds}. Find the cause, then redrive. See docs/runbooks.",
            ),
            alarm_topic,
        )


class WorkQueue(Construct):
    """A standard queue whose messages get `attempts` chances and then go to the dead-letter queue.

    Attributes
    ----------
    queue, dead_letters : aws_sqs.Queue
    age : aws_cloudwatch.Alarm
        The oldest message is older than `oldest`.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        alarm_topic: sns.ITopic,
        holds: str,
        consumer_timeout: cdk.Duration,
        attempts: int,
        oldest: cdk.Duration,
    ) -> None:
        super().__init__(scope, id_)
        letters = DeadLetters(self, "dead-letters", alarm_topic=alarm_topic, holds=holds)
        self.dead_letters = letters.queue
        self.depth = letters.depth
        self.queue = sqs.Queue(
            self,
            "queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            # Six times the consumer's timeout, as Lambda advises: a throttled batch is not given out twice.
            visibility_timeout=cdk.Duration.seconds(6 * consumer_timeout.to_seconds()),
            retention_period=cdk.Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=attempts, queue=self.dead_letters),
        )
        self.age = notify(
            cloudwatch.Alarm(
                self,
                "age-alarm",
                metric=self.queue.metric_approximate_age_of_oldest_message(
                    period=cdk.Duration.minutes(1), statistic=cloudwatch.Stats.MAXIMUM
                ),
                threshold=oldest.to_seconds(),
                evaluation_periods=3,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
                alarm_description=f"The queue is behind: {holds}. See docs/runbooks.",
            ),
            alarm_topic,
        )
