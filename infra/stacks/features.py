"""What a decision sets in motion: the bus, the feature table, the lake. And the keeping of the audit trail."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra.constructs import CodeLayers, Function, LakeDelivery, WorkQueue, watch
from infra.constructs.audit import keep_audit
from infra.constructs.code import STATE_FORMS
from infra.constructs.queue import DeadLetters
from infra.environment import Environment
from infra.stacks.base import PaywardenStack
from infra.stacks.data import DataStack

__all__ = ["FeaturesStack"]

_EVENTS = {"decisions": "transaction.decided", "labels": "label.recorded", "outcomes": "outcome.recorded"}
"""What features are folded from, by the lake's table that keeps it."""


class FeaturesStack(PaywardenStack):
    """Attributes: relay_decisions, update_features, updates, unrelayed, undelivered, iterator_age, deliveries.

    And keep_audit.
    """

    def __init__(self, scope: Construct, *, environment: Environment, data: DataStack) -> None:
        super().__init__(
            scope,
            part="features",
            environment=environment,
            description="Paywarden: decisions, labels and outcomes to feature table and lake; the audit trail",
        )
        self._data = data
        self._layers = CodeLayers(self, "layers", architecture=environment.architecture)
        self.unrelayed = DeadLetters(
            self,
            "unrelayed",
            environment=environment,
            topics=data.topics,
            key=data.keys.messages,
            kind="unrelayed",
        )
        # Under another key than what the bus delivers to, so that what a key stops is kept.
        self.undelivered = DeadLetters(
            self,
            "undelivered",
            environment=environment,
            topics=data.topics,
            key=data.keys.objects,
            kind="undelivered",
        )
        self.relay_decisions = self._relay_decisions(environment)
        self.iterator_age = self._iterator_age(environment)
        self.updates, self.update_features = self._update_features(environment)
        self.deliveries = self._deliveries(environment)
        self.keep_audit = keep_audit(
            self,
            environment=environment,
            audit=data.audit,
            layers=self._layers,
            topics=data.topics,
            keys=data.keys,
            network=data.network,
        )
        self.outputs(
            UpdateQueueUrl=self.updates.queue.queue_url,
            UpdateDeadLetterQueueUrl=self.updates.dead_letters.queue_url,
            UnrelayedQueueUrl=self.unrelayed.queue.queue_url,
            UndeliveredQueueUrl=self.undelivered.queue.queue_url,
        )

    def _relay_decisions(self, environment: Environment) -> Function:
        data = self._data
        function = Function(
            self,
            verb_noun="relay_decisions",
            environment=environment,
            layers=self._layers,
            topics=data.topics,
            keys=data.keys,
            network=data.network,
            description="Paywarden: from the decisions table's stream to the bus",
            timeout=cdk.Duration.seconds(30),
            memory=512,
            variables={"EVENT_BUS": data.bus.event_bus_name},
        )
        function.allow("events:PutEvents", on=[data.bus.event_bus_arn])
        # Of any stream of the table: made again after it was lost, it has another one (`paywarden restore table`).
        function.allow(
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            on=[f"{data.decisions.table_arn}/stream/*"],
        )
        # Lists the account's streams; it has no resource to name.
        function.allow("dynamodb:ListStreams", on=["*"])
        function.allow("sqs:SendMessage", on=[self.unrelayed.queue.queue_arn])
        function.function.add_event_source(
            sources.DynamoEventSource(
                data.decisions,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=100,
                report_batch_item_failures=True,
                # Halving finds a bad record. Age alone ends the retries (-1: any number): ten of them are over in
                # minutes, and an outage of the bus would end as dead letters. 12 h leave as long again to read
                # what was given up from the stream itself.
                bisect_batch_on_error=True,
                retry_attempts=-1,
                max_record_age=cdk.Duration.hours(12),
                on_failure=sources.SqsDlq(self.unrelayed.queue),
            )
        )
        return function

    def _iterator_age(self, environment: Environment) -> cloudwatch.Alarm:
        return watch(
            self,
            "iterator-age-alarm",
            "relay-behind",
            environment=environment,
            topics=self._data.topics,
            metric=self.relay_decisions.function.metric(
                "IteratorAge", statistic=cloudwatch.Stats.MAXIMUM, period=cdk.Duration.minutes(1)
            ),
            threshold=cdk.Duration.minutes(2).to_milliseconds(),
            periods=3,
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        )

    def _update_features(self, environment: Environment) -> tuple[WorkQueue, Function]:
        data = self._data
        timeout = cdk.Duration.seconds(30)
        work = WorkQueue(
            self,
            "updates",
            environment=environment,
            topics=data.topics,
            keys=data.keys,
            holds="updates",
            consumer_timeout=timeout,
            attempts=5,
            oldest=cdk.Duration.minutes(5),
        )
        rule = events.Rule(
            self,
            "to-features",
            event_bus=data.bus,
            description="Paywarden: decisions, labels and outcomes to the feature table",
            event_pattern=events.EventPattern(source=["paywarden"], detail_type=list(_EVENTS.values())),
        )
        rule.add_target(
            targets.SqsQueue(
                work.queue,
                dead_letter_queue=self.undelivered.queue,
                retry_attempts=10,
                max_event_age=cdk.Duration.hours(6),
            )
        )
        function = Function(
            self,
            verb_noun="update_features",
            environment=environment,
            layers=self._layers,
            topics=data.topics,
            keys=data.keys,
            network=data.network,
            description="Paywarden: folds events into the feature table, each exactly once",
            timeout=timeout,
            memory=1024,
            variables={
                "FEATURES_TABLE": data.features.table_name,
                "STATE_FORMS": STATE_FORMS,
                "REPLAY_TIME": str(environment.replay_time).lower(),
            },
        )
        # TransactWriteItems asks for the actions of its parts, and they are conditional puts.
        function.allow(
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            on=[data.features.table_arn],
        )
        function.allow(
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
            on=[work.queue.queue_arn],
        )
        function.function.add_event_source(
            sources.SqsEventSource(
                work.queue,
                # Ten events with a marker and nine states each fill one DynamoDB transaction of 100 items.
                batch_size=10,
                report_batch_item_failures=True,
                max_concurrency=environment.updater_concurrency,
            )
        )
        return work, function

    def _deliveries(self, environment: Environment) -> tuple[LakeDelivery, ...]:
        lake = self._data.lake
        return tuple(
            LakeDelivery(
                self,
                f"{table.node.id}-to-lake",
                environment=environment,
                bus=self._data.bus,
                detail_types=[_EVENTS[table.node.id]],
                lake=lake.bucket,
                database=lake.database,
                table=table,
                folder=table.node.id,
                undelivered=self.undelivered.queue,
                topics=self._data.topics,
                keys=self._data.keys,
            )
            for table in (lake.decisions, lake.labels, lake.outcomes)
        )
