"""The audit trail: a table that functions only add to, and a locked copy of every entry that nobody can change."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.alarm import Topics, watch
from infra.constructs.code import CodeLayers
from infra.constructs.function import Function
from infra.constructs.keys import Keys
from infra.constructs.lake import private_bucket
from infra.constructs.metric import Ours
from infra.constructs.network import Network
from infra.environment import Environment

__all__ = ["ALTERED", "ENTRIES", "Audit", "keep_audit"]

ENTRIES, ALTERED = "entries", "altered"
"""Folders of the bucket: copies of entries, and what was done to entries in the table since."""


class Audit(Construct):
    """Who changed what, from what to what.

    Attributes
    ----------
    table : aws_dynamodb.TableV2
        Entries. DynamoDB lets whoever may add an item replace one too, so that the stream is watched for that.
    bucket : aws_s3.Bucket
        Their copies under S3 Object Lock, for as long as `Environment.audit_lock` says.
    """

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, keys: Keys, table: dynamodb.TableV2
    ) -> None:
        super().__init__(scope, id_)
        self.table = table
        lock = environment.audit_lock
        retention = s3.ObjectLockRetention.compliance if lock.compliance else s3.ObjectLockRetention.governance
        self.bucket = private_bucket(
            self,
            "bucket",
            environment=environment,
            key=keys.objects,
            locked=retention(cdk.Duration.days(lock.days)),
        )

    def allow_telling(self, function: Function) -> None:
        """Let a function add entries to the table, which it knows from its variable ``AUDIT_TABLE``."""
        function.allow("dynamodb:PutItem", on=[self.table.table_arn])


def keep_audit(
    scope: Construct,
    *,
    environment: Environment,
    audit: Audit,
    layers: CodeLayers,
    topics: Topics,
    keys: Keys,
    network: Network | None,
) -> Function:
    """The function that copies entries into the locked bucket, and sounds the alarm if one is altered."""
    function = Function(
        scope,
        verb_noun="keep_audit",
        environment=environment,
        layers=layers,
        topics=topics,
        keys=keys,
        network=network,
        description="Paywarden: copies the audit trail to where it cannot be changed",
        timeout=cdk.Duration.seconds(30),
        memory=512,
        variables={"AUDIT_BUCKET": audit.bucket.bucket_name},
    )
    function.allow(
        "s3:PutObject", on=[audit.bucket.arn_for_objects(f"{folder}/*") for folder in (ENTRIES, ALTERED)]
    )
    # Of any stream of the table: made again after it was lost, it has another one.
    function.allow(
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        on=[f"{audit.table.table_arn}/stream/*"],
    )
    # Lists the account's streams; it has no resource to name.
    function.allow("dynamodb:ListStreams", on=["*"])
    function.function.add_event_source(
        sources.DynamoEventSource(
            audit.table,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100,
            # Tried for as long as the stream has it, a day. An entry that is given up then is in the table still,
            # and `paywarden audit keep` copies it as it is by then. Whether somebody altered it before, nothing
            # can tell any more: so such copies are marked, and `paywarden audit verify` names them.
            bisect_batch_on_error=True,
            retry_attempts=-1,
        )
    )
    watch(
        scope,
        "audit-altered",
        "audit-altered",
        environment=environment,
        topics=topics,
        metric=Ours(environment)("AuditAltered", of="keep_audit"),
        threshold=1,
        periods=1,
    )
    return function
