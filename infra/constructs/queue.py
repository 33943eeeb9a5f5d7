"""A queue of work with its dead-letter queue and alarms."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.alarm import Topics, watch
from infra.constructs.keys import Keys
from infra.environment import Environment

__all__ = ["DeadLetters", "WorkQueue"]

_MINUTE = cdk.Duration.minutes(1)
# How long SQS goes on with a key for data before it asks KMS for another one: a request an hour and sender, not
# one for each message.
_REUSE = cdk.Duration.hours(1)


class DeadLetters(Construct):
    """A queue for what could not be handled: kept as long as SQS keeps anything, and alarmed at the first message.

    Parameters
    ----------
    kind : str
        Of its alarm, see `infra.alarms`.

    Attributes
    ----------
    queue : aws_sqs.Queue
    depth : aws_cloudwatch.Alarm
    """

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, topics: Topics, key: kms.IKey, kind: str
    ) -> None:
        super().__init__(scope, id_)
        self.queue = sqs.Queue(
            self,
            "queue",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=_REUSE,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        self.depth = watch(
            self,
            "depth-alarm",
            kind,
            environment=environment,
            topics=topics,
            metric=self.queue.metric_approximate_number_of_messages_visible(
                period=_MINUTE, statistic=cloudwatch.Stats.MAXIMUM
            ),
            threshold=1,
            periods=1,
        )


class WorkQueue(Construct):
    """A standard queue whose messages get `attempts` chances and then go to the dead-letter queue.

    Parameters
    ----------
    holds : str
        What is in it, in one word: its alarms are of the kinds ``dead-letters-<holds>`` and ``<holds>-behind``.

    Attributes
    ----------
    queue, dead_letters : aws_sqs.Queue
    depth : aws_cloudwatch.Alarm
        There are dead letters.
    age : aws_cloudwatch.Alarm
        The oldest message is older than `oldest`. SQS leaves out of this age what was received more than three
        times, so `oldest` has to be less than three times the visibility timeout to catch a consumer that fails.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        topics: Topics,
        keys: Keys,
        holds: str,
        consumer_timeout: cdk.Duration,
        attempts: int,
        oldest: cdk.Duration,
    ) -> None:
        super().__init__(scope, id_)
        letters = DeadLetters(
            self,
            "dead-letters",
            environment=environment,
            topics=topics,
            key=keys.messages,
            kind=f"dead-letters-{holds}",
        )
        self.dead_letters = letters.queue
        self.depth = letters.depth
        self.queue = sqs.Queue(
            self,
            "queue",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=keys.messages,
            data_key_reuse=_REUSE,
            enforce_ssl=True,
            # Six times the consumer's timeout, as Lambda advises: a throttled batch is not given out twice.
            visibility_timeout=cdk.Duration.seconds(6 * consumer_timeout.to_seconds()),
            retention_period=cdk.Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=attempts, queue=self.dead_letters),
        )
        self.age = watch(
            self,
            "age-alarm",
            f"{holds}-behind",
            environment=environment,
            topics=topics,
            metric=self.queue.metric_approximate_age_of_oldest_message(
                period=_MINUTE, statistic=cloudwatch.Stats.MAXIMUM
            ),
            threshold=oldest.to_seconds(),
            periods=3,
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        )
