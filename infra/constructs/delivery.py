"""One kind of event on its way from the bus to the lake, as Parquet."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.alarm import Topics, watch
from infra.constructs.keys import Keys
from infra.constructs.lifetime import log_retention, removal_policy
from infra.constructs.roles import complete_before, service_role
from infra.environment import Environment

__all__ = ["LakeDelivery"]


class LakeDelivery(Construct):
    """A rule on the bus, and a Firehose stream that writes the events' details to the table's folder.

    Attributes
    ----------
    rule : aws_events.CfnRule
    stream : aws_kinesisfirehose.CfnDeliveryStream
    folder : str
        Of the lake.
    freshness : aws_cloudwatch.Alarm
        Rows have waited too long for their way to S3.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        bus: events.IEventBus,
        detail_types: Sequence[str],
        lake: s3.IBucket,
        database: glue.CfnDatabase,
        table: glue.CfnTable,
        folder: str,
        undelivered: sqs.IQueue,
        topics: Topics,
        keys: Keys,
    ) -> None:
        super().__init__(scope, id_)
        self._lake, self._database, self._table, self.folder = lake, database, table, folder
        self._keys = keys
        log_group = logs.LogGroup(
            self,
            "logs",
            retention=log_retention(environment),
            encryption_key=keys.logs,
            removal_policy=removal_policy(environment),
        )
        log_stream = logs.LogStream(
            self, "log-stream", log_group=log_group, removal_policy=removal_policy(environment)
        )
        role = self._role(log_group)
        self.stream = firehose.CfnDeliveryStream(
            self,
            "stream",
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=(
                firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(
                    key_type="CUSTOMER_MANAGED_CMK", key_arn=keys.messages.key_arn
                )
            ),
            extended_s3_destination_configuration=self._destination(environment, role, log_group, log_stream),
        )
        complete_before(role, self.stream)
        self.rule = self._rule(bus, detail_types, undelivered)
        self.freshness = watch(
            self,
            "freshness-alarm",
            "lake-behind",
            environment=environment,
            topics=topics,
            metric=cloudwatch.Metric(
                namespace="AWS/Firehose",
                metric_name="DeliveryToS3.DataFreshness",
                dimensions_map={"DeliveryStreamName": self.stream.ref},
                statistic=cloudwatch.Stats.MAXIMUM,
                period=cdk.Duration.minutes(5),
            ),
            threshold=cdk.Duration.minutes(15).to_seconds(),
            periods=3,
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            of=folder,
        )

    def _rule(self, bus: events.IEventBus, detail_types: Sequence[str], undelivered: sqs.IQueue) -> events.CfnRule:
        role = service_role(
            self,
            "rule-role",
            service="events",
            description=f"hands events to the lake's {self.folder}",
            source=cdk.Stack.of(self).format_arn(
                service="events", resource="rule", resource_name=f"{bus.event_bus_name}/*"
            ),
            statements=[
                iam.PolicyStatement(
                    actions=["firehose:PutRecord", "firehose:PutRecordBatch"], resources=[self.stream.attr_arn]
                )
            ],
        )
        # The library's target for Firehose has no place for a dead-letter queue; the resource itself has.
        rule = events.CfnRule(
            self,
            "rule",
            event_bus_name=bus.event_bus_name,
            description=f"Paywarden: {', '.join(detail_types)} to the lake",
            event_pattern={"source": ["paywarden"], "detail-type": list(detail_types)},
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id="lake",
                    arn=self.stream.attr_arn,
                    role_arn=role.role_arn,
                    input_path="$.detail",
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=undelivered.queue_arn),
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_event_age_in_seconds=cdk.Duration.hours(6).to_seconds(), maximum_retry_attempts=10
                    ),
                )
            ],
        )
        complete_before(role, rule)
        undelivered.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sqs:SendMessage"],
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                resources=[undelivered.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
            )
        )
        return rule

    def _role(self, log_group: logs.ILogGroup) -> iam.Role:
        stack = cdk.Stack.of(self)
        catalog = [
            stack.format_arn(service="glue", resource="catalog"),
            stack.format_arn(service="glue", resource="database", resource_name=self._database.ref),
            stack.format_arn(
                service="glue", resource="table", resource_name=f"{self._database.ref}/{self._table.ref}"
            ),
        ]
        statements = (
            iam.PolicyStatement(
                actions=["s3:AbortMultipartUpload", "s3:PutObject"],
                resources=[
                    self._lake.arn_for_objects(f"{self.folder}/*"),
                    self._lake.arn_for_objects(f"errors/{self.folder}/*"),
                ],
            ),
            iam.PolicyStatement(
                actions=["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                resources=[self._lake.bucket_arn],
            ),
            iam.PolicyStatement(
                actions=["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"], resources=catalog
            ),
            iam.PolicyStatement(actions=["logs:PutLogEvents"], resources=[log_group.log_group_arn]),
            *self._keys.unlocking("s3:PutObject"),
        )
        return service_role(
            self,
            "role",
            service="firehose",
            description=f"writes the lake's {self.folder}",
            statements=statements,
        )

    def _destination(
        self,
        environment: Environment,
        role: iam.Role,
        log_group: logs.LogGroup,
        log_stream: logs.LogStream,
    ) -> firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty:
        stream = firehose.CfnDeliveryStream
        conversion = stream.DataFormatConversionConfigurationProperty(
            enabled=True,
            input_format_configuration=stream.InputFormatConfigurationProperty(
                deserializer=stream.DeserializerProperty(
                    open_x_json_ser_de=stream.OpenXJsonSerDeProperty(case_insensitive=False)
                )
            ),
            output_format_configuration=stream.OutputFormatConfigurationProperty(
                serializer=stream.SerializerProperty(
                    parquet_ser_de=stream.ParquetSerDeProperty(compression="SNAPPY")
                )
            ),
            schema_configuration=stream.SchemaConfigurationProperty(
                database_name=self._database.ref,
                table_name=self._table.ref,
                region=cdk.Stack.of(self).region,
                role_arn=role.role_arn,
                version_id="LATEST",
            ),
        )
        return stream.ExtendedS3DestinationConfigurationProperty(
            bucket_arn=self._lake.bucket_arn,
            role_arn=role.role_arn,
            prefix=f"{self.folder}/day=!{{timestamp:yyyy-MM-dd}}/",
            error_output_prefix=(
                f"errors/{self.folder}/!{{firehose:error-output-type}}/day=!{{timestamp:yyyy-MM-dd}}/"
            ),
            # Firehose takes no less than 64 MiB where it converts; the time decides in practice.
            buffering_hints=stream.BufferingHintsProperty(
                interval_in_seconds=environment.lake_buffer_seconds, size_in_m_bs=64
            ),
            compression_format="UNCOMPRESSED",
            encryption_configuration=stream.EncryptionConfigurationProperty(
                kms_encryption_config=stream.KMSEncryptionConfigProperty(awskms_key_arn=self._keys.objects.key_arn)
            ),
            data_format_conversion_configuration=conversion,
            cloud_watch_logging_options=stream.CloudWatchLoggingOptionsProperty(
                enabled=True, log_group_name=log_group.log_group_name, log_stream_name=log_stream.log_stream_name
            ),
        )
