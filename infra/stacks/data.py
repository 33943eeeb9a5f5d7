"""What outlives a deployment: tables, buckets, the bus, the token secret and the serving document."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.alarm import make_topics
from infra.constructs.audit import Audit
from infra.constructs.keys import Keys
from infra.constructs.lake import Lake, private_bucket
from infra.constructs.lifetime import removal_policy
from infra.constructs.network import Network
from infra.constructs.serving import Serving
from infra.environment import Environment
from infra.stacks.base import PaywardenStack

__all__ = ["PASSING", "DataStack"]

PASSING = ("monitoring", "replays")
"""Folders of the models bucket whose objects go after 90 days."""


class DataStack(PaywardenStack):
    """Attributes: keys, network, features, decisions, merchants, settings, releases, audit, lake, models, bus.

    And serving, secrets, and topics, which alarms tell. The secrets are `token_secret` and `key_secret`.
    """

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        super().__init__(
            scope,
            part="data",
            environment=environment,
            description="Paywarden: tables, lake, models, event bus, serving document",
        )
        self._environment = environment
        self.keys = Keys(self, "keys", environment=environment)
        self.network = (
            Network(self, "network", environment=environment, log_key=self.keys.logs)
            if environment.edge.private
            else None
        )
        self.features = self._table("features", partition_key="key", ttl="expires_at")
        self.decisions = self._table(
            "decisions", partition_key="id", sort_key="kind", stream=dynamodb.StreamViewType.NEW_IMAGE
        )
        self.merchants = self._table("merchants", partition_key="key_id")
        self.settings = self._table("settings", partition_key="id", sort_key="part", ttl="expires_at")
        # No time to live: what served when is asked for as long as a decision can be disputed.
        self.releases = self._table("releases", partition_key="id", sort_key="part")
        entries = self._table(
            "audit-entries",
            partition_key="subject",
            sort_key="id",
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
        )
        self.audit = Audit(self, "audit", environment=environment, keys=self.keys, table=entries)
        self.lake = Lake(self, "lake", environment=environment, keys=self.keys)
        self.models = private_bucket(
            self,
            "models",
            environment=environment,
            key=self.keys.objects,
            # Reports, which people have copied by then; what a model was made of is kept as long as the model.
            lifecycle=[
                s3.LifecycleRule(id=f"old-{folder}", prefix=f"{folder}/", expiration=cdk.Duration.days(90))
                for folder in PASSING
            ],
        )
        self._model_packages()
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
                password_length=64,
                exclude_punctuation=True,
                # A ring begins with it, and the emulator leaves out what is named only.
                exclude_characters="{",
            ),
            encryption_key=self.keys.secrets,
            removal_policy=removal_policy(environment),
        )
        self.token_keys = private_bucket(self, "token-keys", environment=environment, key=self.keys.secrets)
        self.key_secret = secretsmanager.Secret(
            self,
            "key-secret",
            description="Paywarden: the pepper under which merchants' keys are hashed",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
            encryption_key=self.keys.secrets,
            removal_policy=removal_policy(environment),
        )
        self.serving = Serving(self, "serving", environment=environment, keys=self.keys)
        self.topics = make_topics(self, keys=self.keys)
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

        table = dynamodb.TableV2(
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
        self.keys.keep(table)
        return table

    def _model_packages(self) -> None:
        """The group in which every model is a package, whose approval is the approval of the model."""
        group = sagemaker.CfnModelPackageGroup(
            self,
            "packages",
            model_package_group_name=f"{self._environment.prefix}-models",
            model_package_group_description="Paywarden: one package for each model, with its state of approval",
        )
        # SageMaker deletes no group that holds packages, and the packages are the record of who approved what.
        group.apply_removal_policy(removal_policy(self._environment, in_the_way=True))

    def _outputs(self) -> None:
        self.outputs(
            LakeBucket=self.lake.bucket.bucket_name,
            ModelsBucket=self.models.bucket_name,
            FeaturesTable=self.features.table_name,
            DecisionsTable=self.decisions.table_name,
            MerchantsTable=self.merchants.table_name,
            SettingsTable=self.settings.table_name,
            ReleasesTable=self.releases.table_name,
            AuditTable=self.audit.table.table_name,
            AuditBucket=self.audit.bucket.bucket_name,
            EventBus=self.bus.event_bus_name,
            TokenSecret=self.token_secret.secret_arn,
            TokenKeysBucket=self.token_keys.bucket_name,
            KeySecret=self.key_secret.secret_arn,
            AppConfigApplication=self.serving.application.ref,
            AppConfigEnvironment=self.serving.environment.ref,
            AppConfigProfile=self.serving.profile.ref,
            AppConfigStrategy=self.serving.strategy.ref,
            ObjectsKey=self.keys.objects.key_arn,
            GlueDatabase=self.lake.database.ref,
            AthenaWorkgroup=self.lake.workgroup.ref,
            PageTopic=self.topics.pages.topic_arn,
            TicketTopic=self.topics.tickets.topic_arn,
        )
