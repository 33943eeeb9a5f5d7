"""What outlives a deployment: tables, buckets, the bus, the token secret and the serving document."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.alarm import make_topics
from infra.constructs.function import removal_policy
from infra.constructs.lake import Lake, private_bucket
from infra.constructs.serving import Serving
from infra.environments import Environment
from infra.stacks.base import PaywardenStack

__all__ = ["PASSING", "DataStack"]

PASSING = ("monitoring", "replays")
"""Folders of the models bucket whose objects go after 90 days."""


class DataStack(PaywardenStack):
    """Attributes: features, decisions, merchants, settings, releases, lake, models, bus, secrets, serving.

    And topics, which alarms tell. The secrets are `token_secret` and `key_secret`.
    """

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        super().__init__(
            scope,
            part="data",
            environment=environment,
            description="Paywarden: tables, lake, models, event bus, serving document",
        )
        self._environment = environment
        self.features = self._table("features", partition_key="key", ttl="expires_at")
        self.decisions = self._table(
            "decisions", partition_key="id", sort_key="kind", stream=dynamodb.StreamViewType.NEW_IMAGE
        )
        self.merchants = self._table("merchants", partition_key="key_id")
        self.settings = self._table("settings", partition_key="id", sort_key="part", ttl="expires_at")
        # No time to live: what served when is asked for as long as a decision can be disputed.
        self.releases = self._table("releases", partition_key="id", sort_key="part")
        self.lake = Lake(self, "lake", environment=environment)
        self.models = private_bucket(
            self,
            "models",
            environment=environment,
            # Reports, which people have copied by then; what a model was made of is kept as long as the model.
            lifecycle=[
                s3.LifecycleRule(id=f"old-{folder}", prefix=f"{folder}/", expiration=cdk.Duration.days(90))
                for folder in PASSING
            ],
        )
        self.bus = events.EventBus(
            self,
            "bus",
            event_bus_name=f"{environment.prefix}-transactions",
            description="Paywarden: what happened to transactions",
        )
        self.token_secret = secretsmanager.Secret(
            self,
            "token-secret",
            description="Paywarden: the key under which emails, addresses and devices become tokens",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
            removal_policy=removal_policy(environment),
        )
        self.key_secret = secretsmanager.Secret(
            self,
            "key-secret",
            description="Paywarden: the pepper under which merchants' keys are hashed",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
            removal_policy=removal_policy(environment),
        )
        self.serving = Serving(self, "serving", environment=environment)
        self.topics = make_topics(self)
        self._outputs()

    def _table(
        self,
        id_: str,
        *,
        partition_key: str,
        sort_key: str | None = None,
        ttl: str | None = None,
        stream: dynamodb.StreamViewType | None = None,
    ) -> dynamodb.TableV2:
        def text(name: str) -> dynamodb.Attribute:
            return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)

        return dynamodb.TableV2(
            self,
            id_,
            partition_key=text(partition_key),
            sort_key=None if sort_key is None else text(sort_key),
            billing=dynamodb.Billing.on_demand(),
            encryption=dynamodb.TableEncryptionV2.aws_managed_key(),
            time_to_live_attribute=ttl,
            dynamo_stream=stream,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=self._environment.point_in_time_recovery
            ),
            deletion_protection=self._environment.termination_protection,
            removal_policy=removal_policy(self._environment),
        )

    def _outputs(self) -> None:
        self.outputs(
            LakeBucket=self.lake.bucket.bucket_name,
            ModelsBucket=self.models.bucket_name,
            FeaturesTable=self.features.table_name,
            DecisionsTable=self.decisions.table_name,
            MerchantsTable=self.merchants.table_name,
            SettingsTable=self.settings.table_name,
            ReleasesTable=self.releases.table_name,
            EventBus=self.bus.event_bus_name,
            TokenSecret=self.token_secret.secret_arn,
            KeySecret=self.key_secret.secret_arn,
            AppConfigApplication=self.serving.application.ref,
            AppConfigEnvironment=self.serving.environment.ref,
            AppConfigProfile=self.serving.profile.ref,
            AppConfigStrategy=self.serving.strategy.ref,
            GlueDatabase=self.lake.database.ref,
            AthenaWorkgroup=self.lake.workgroup.ref,
            PageTopic=self.topics.pages.topic_arn,
            TicketTopic=self.topics.tickets.topic_arn,
        )
