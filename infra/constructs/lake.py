"""The lake: its bucket, its tables, and the workgroup that queries them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import aws_cdk as cdk
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.keys import Keys
from infra.constructs.lifetime import removal_policy
from infra.environment import Environment

__all__ = [
    "DECISION_COLUMNS",
    "LABEL_COLUMNS",
    "LEARNT_FROM",
    "OUTCOME_COLUMNS",
    "QUERY_RESULTS",
    "Lake",
    "private_bucket",
]

LEARNT_FROM = ("decisions", "history", "labels", "outcomes")
"""The lake's folders that a dataset is built from."""

_TRANSACTION: Mapping[str, str] = MappingProxyType(
    {
        "event_id": "string",
        "event_time": "bigint",
        "merchant_id": "string",
        "transaction_id": "string",
        "amount": "bigint",
        "currency": "string",
        "card": "string",
        "customer": "string",
        "device": "string",
        "ip": "string",
        "email": "string",
        "phone": "string",
        "bin": "string",
        "issuer_country": "string",
        "billing_country": "string",
        "shipping_country": "string",
        "mcc": "string",
        "channel": "string",
        "entry_mode": "string",
        "three_ds": "string",
    }
)

DECISION_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        **_TRANSACTION,
        "decision": "string",
        "score": "double",
        "raw_score": "double",
        "model_version": "string",
        "policy_version": "string",
        "rules_version": "string",
        "rules": "array<string>",
        "lists": "array<string>",
        "shadow": "map<string,double>",
        "degraded": "boolean",
        "features": "map<string,double>",
        "feature_set": "string",
        "previous_tokens": "map<string,string>",
        "correlation_id": "string",
        "recorded_at": "bigint",
        "would_be": "string",
        "propensity": "double",
    }
)
"""Column name to Hive type: a decided transaction, as the event `transaction.decided` carries it."""

LABEL_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        **_TRANSACTION,
        "label": "string",
        "is_fraud": "boolean",
        "known_at": "bigint",
        "recorded_at": "bigint",
        "source": "string",
        "confidence": "double",
        "correlation_id": "string",
    }
)
"""Column name to Hive type: what became known, as the event `label.recorded` carries it."""

OUTCOME_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        **_TRANSACTION,
        "outcome": "string",
        "outcome_time": "bigint",
        "recorded_at": "bigint",
        "correlation_id": "string",
    }
)
"""Column name to Hive type: what was done with a transaction, as the event `outcome.recorded` carries it."""

QUERY_RESULTS = "athena-results"


def private_bucket(
    scope: Construct,
    id_: str,
    *,
    environment: Environment,
    key: kms.IKey,
    lifecycle: Sequence[s3.LifecycleRule] = (),
    locked: s3.ObjectLockRetention | None = None,
) -> s3.Bucket:
    """A bucket under this key alone, versioned, never public and never read or written without TLS.

    Objects are locked for some time from when they are written, if that is given.
    """
    bucket = s3.Bucket(
        scope,
        id_,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        # One request to KMS for many objects, which then are bound to the bucket and not each to its name.
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        object_lock_default_retention=locked,
        removal_policy=removal_policy(environment),
        lifecycle_rules=[
            s3.LifecycleRule(
                id="old-versions",
                noncurrent_version_expiration=cdk.Duration.days(30),
                abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
            ),
            *lifecycle,
        ],
    )
    # Who names nothing gets the bucket's own key; who names something has to name that.
    for header, wanted in (
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", key.key_arn),
    ):
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=["s3:PutObject"],
                principals=[iam.AnyPrincipal()],
                resources=[bucket.arn_for_objects("*")],
                conditions={
                    "Null": {f"s3:{header}": "false"},
                    "StringNotEquals": {f"s3:{header}": wanted},
                },
            )
        )
    return bucket


class Lake(Construct):
    """What was decided, what was done with it and what became known of it, as Parquet that SQL can query.

    Attributes
    ----------
    bucket : aws_s3.Bucket
    database : aws_glue.CfnDatabase
    decisions, labels, outcomes : aws_glue.CfnTable
    workgroup : aws_athena.CfnWorkGroup
    """

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, keys: Keys) -> None:
        super().__init__(scope, id_)
        self.bucket = private_bucket(
            self,
            "bucket",
            environment=environment,
            key=keys.objects,
            lifecycle=[
                s3.LifecycleRule(id="query-results", prefix=f"{QUERY_RESULTS}/", expiration=cdk.Duration.days(14))
            ],
        )
        self.database = glue.CfnDatabase(
            self,
            "database",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=environment.prefix.replace("-", "_"), description="Paywarden: decisions, outcomes and labels"
            ),
        )
        self.decisions = self._table("decisions", DECISION_COLUMNS)
        self.labels = self._table("labels", LABEL_COLUMNS)
        self.outcomes = self._table("outcomes", OUTCOME_COLUMNS)
        self.workgroup = athena.CfnWorkGroup(
            self,
            "workgroup",
            name=environment.prefix,
            description="Paywarden: queries over the lake",
            recursive_delete_option=not environment.retain_data,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self.bucket.bucket_name}/{QUERY_RESULTS}/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=keys.objects.key_arn
                    ),
                ),
            ),
        )

    def _table(self, name: str, columns: Mapping[str, str]) -> glue.CfnTable:
        location = f"s3://{self.bucket.bucket_name}/{name}/"
        return glue.CfnTable(
            self,
            name,
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self.database.ref,
            table_input=glue.CfnTable.TableInputProperty(
                name=name,
                table_type="EXTERNAL_TABLE",
                partition_keys=[glue.CfnTable.ColumnProperty(name="day", type="string")],
                # Projected partitions: a new day is there without a crawler or a repair.
                parameters={
                    "EXTERNAL": "TRUE",
                    "classification": "parquet",
                    "projection.enabled": "true",
                    "projection.day.type": "date",
                    "projection.day.format": "yyyy-MM-dd",
                    "projection.day.range": "2024-01-01,NOW",
                    "projection.day.interval": "1",
                    "projection.day.interval.unit": "DAYS",
                    "storage.location.template": f"{location}day=${{day}}/",
                },
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[
                        glue.CfnTable.ColumnProperty(name=column, type=type_) for column, type_ in columns.items()
                    ],
                    location=location,
                    input_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                    output_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                    ),
                ),
            ),
        )
