"""The keys that data lies under: one for each kind of place, each of use only on its way through those places.

A key's policy lets the account administer it, and lets nobody use it: what encrypts or decrypts is allowed only
through a service (`kms:ViaService`), or to a service itself for the things of this deployment. So a permission of
IAM alone decrypts nothing, and whoever may read a table still has to be allowed its key.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, cast

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.constructs.lifetime import removal_policy
from infra.environment import Environment

__all__ = ["PURPOSES", "Keys", "Purpose"]

type Purpose = Literal["tables", "objects", "messages", "logs", "secrets"]

PURPOSES: Final[Mapping[Purpose, str]] = {
    "tables": "what DynamoDB keeps, with its streams and backups",
    "objects": "what lies in S3, what serves, the disks of jobs, what the bus could not deliver",
    "messages": "what is on its way: queues, topics, Firehose",
    "logs": "log groups",
    "secrets": "secrets, and what functions hold of them",
}

_READS: Final = ("kms:Decrypt",)
_WRITES: Final = ("kms:Decrypt", "kms:GenerateDataKey")
_KEEPS: Final = (
    *_WRITES,
    "kms:Encrypt",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)

_THROUGH: Final[Mapping[Purpose, Mapping[str, Sequence[str]]]] = {
    "tables": {"dynamodb": _KEEPS},
    "objects": {
        # A job encrypts what it writes: see `Keys.naming`.
        "s3": (*_WRITES, "kms:Encrypt"),
        "appconfig": _WRITES,
        "sqs": _WRITES,
        # The disks of jobs belong to EC2, which SageMaker asks for them.
        "sagemaker": _KEEPS,
        "ec2": _KEEPS,
    },
    "messages": {"sqs": _WRITES, "sns": _WRITES, "firehose": _WRITES},
    "logs": {},
    "secrets": {"secretsmanager": _WRITES, "s3": _WRITES, "lambda": _KEEPS},
}
"""The services through which a key may be used, and for what."""

_LASTING: Final = frozenset({"dynamodb", "ec2", "firehose", "lambda", "sagemaker"})
"""Those that go on using it by a grant, after the call that asked for that."""

_ADMINISTRATION: Final = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)

_NEEDS: Final[Mapping[str, tuple[Purpose, Sequence[str]]]] = {
    # DynamoDB decrypts its table's key in the name of who reads and who writes.
    **dict.fromkeys(
        (
            f"dynamodb:{action}"
            for action in (
                "BatchGetItem",
                "BatchWriteItem",
                "ConditionCheckItem",
                "DeleteItem",
                "GetItem",
                "GetRecords",
                "PutItem",
                "Query",
                "Scan",
                "UpdateItem",
            )
        ),
        ("tables", _READS),
    ),
    "s3:GetObject": ("objects", _READS),
    # An upload in parts reads the key that its first part was written under.
    "s3:PutObject": ("objects", _WRITES),
    "appconfig:GetLatestConfiguration": ("objects", _READS),
    "appconfig:GetHostedConfigurationVersion": ("objects", _READS),
    "appconfig:CreateHostedConfigurationVersion": ("objects", _WRITES),
    "appconfig:StartDeployment": ("objects", _WRITES),
    "sqs:ReceiveMessage": ("messages", _READS),
    "sqs:SendMessage": ("messages", _WRITES),
    "sns:Publish": ("messages", _WRITES),
    "secretsmanager:GetSecretValue": ("secrets", _READS),
    "secretsmanager:PutSecretValue": ("secrets", _WRITES),
}
"""What a permission is worth nothing without, by the action that it is for."""


class Keys(Construct):
    """Five keys of KMS, which rotate every year and wait 30 days before they are deleted.

    Attributes
    ----------
    tables, objects, messages, logs, secrets : aws_kms.IKey
        As references to which the library adds nothing, so that their policies are these and stay these.
    """

    tables: kms.IKey
    objects: kms.IKey
    messages: kms.IKey
    logs: kms.IKey
    secrets: kms.IKey

    def __init__(self, scope: Construct, id_: str, *, environment: Environment) -> None:
        super().__init__(scope, id_)
        self._environment = environment
        for purpose, what in PURPOSES.items():
            setattr(self, purpose, self._key(purpose, what))

    def unlocking(self, *actions: str, under: kms.IKey | None = None) -> list[iam.PolicyStatement]:
        """What has to be allowed of the keys to whoever is allowed `actions`, so that these work.

        Parameters
        ----------
        under : aws_kms.IKey, optional
            The key that it is about, where that is not the one for the kind of place.
        """
        needed: dict[tuple[str, str], set[str]] = {}
        for action in actions:
            if action in _NEEDS:
                purpose, uses = _NEEDS[action]
                needed.setdefault((purpose, action.partition(":")[0]), set()).update(uses)
        return [
            iam.PolicyStatement(
                actions=sorted(uses),
                resources=[(under or self._of(purpose)).key_arn],
                conditions={"StringEquals": {"kms:ViaService": self._service(service)}},
            )
            for (purpose, service), uses in needed.items()
        ]

    def keep(self, table: dynamodb.TableV2) -> None:
        """Put a table under the key of tables; make it with `TableEncryptionV2.aws_managed_key()`.

        The library names no other key where it does not know the region, as in a template for any of them.
        """
        resource = cast(dynamodb.CfnGlobalTable, table.node.default_child)
        resource.add_property_override("Replicas.0.SSESpecification.KMSMasterKeyId", self.tables.key_arn)

    def lending(self, key: kms.IKey, *, through: str) -> iam.PolicyStatement:
        """That a service may be given the use of a key for as long as it keeps something: the disk of a job."""
        return iam.PolicyStatement(
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={
                "Bool": {"kms:GrantIsForAWSResource": "true"},
                "StringEquals": {"kms:ViaService": self._service(through)},
            },
        )

    def naming(self, key: kms.IKey, *, through: Sequence[str]) -> iam.PolicyStatement:
        """That a job's output may name a key, for which SageMaker wants one permission more than S3 does."""
        return iam.PolicyStatement(
            actions=["kms:Encrypt"],
            resources=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": [self._service(each) for each in through]}},
        )

    def _of(self, purpose: str) -> kms.IKey:
        key: kms.IKey = getattr(self, purpose)
        return key

    def _key(self, purpose: Purpose, what: str) -> kms.IKey:
        key = kms.Key(
            self,
            purpose,
            alias=f"{self._environment.prefix}-{purpose}",
            description=f"Paywarden: {what}",
            enable_key_rotation=True,
            rotation_period=cdk.Duration.days(365),
            pending_window=cdk.Duration.days(30),
            policy=iam.PolicyDocument(statements=[self._administered(), *self._used(purpose)]),
            removal_policy=removal_policy(self._environment),
        )
        return kms.Key.from_key_arn(key, "fixed", key.key_arn)

    def _administered(self) -> iam.PolicyStatement:
        # By whom, IAM decides; without this nobody could ever change or delete the key again.
        return self._statement("Administered", iam.AccountRootPrincipal(), _ADMINISTRATION)

    def _used(self, purpose: Purpose) -> list[iam.PolicyStatement]:
        account = cdk.Stack.of(self).account
        ours = {"kms:CallerAccount": account}
        statements = [
            self._statement(
                f"Through{service.capitalize()}",
                iam.AccountRootPrincipal(),
                uses,
                StringEquals={**ours, "kms:ViaService": self._service(service)},
            )
            for service, uses in _THROUGH[purpose].items()
        ]
        if lasting := sorted(_LASTING.intersection(_THROUGH[purpose])):
            statements.append(
                self._statement(
                    "Lent",
                    iam.AccountRootPrincipal(),
                    ["kms:CreateGrant"],
                    Bool={"kms:GrantIsForAWSResource": "true"},
                    StringEquals={**ours, "kms:ViaService": [self._service(each) for each in lasting]},
                )
            )
        if purpose in ("messages", "objects"):
            statements.append(self._delivered())
        if purpose == "messages":
            statements.append(self._told(account))
        if purpose == "logs":
            statements.append(self._logged())
        return statements

    def _delivered(self) -> iam.PolicyStatement:
        """Rules of the bus send to queues in the name of EventBridge."""
        queues = {"kms:EncryptionContext:aws:sqs:arn": self._arn("sqs", f"{self._environment.prefix}-*")}
        rules = iam.ServicePrincipal("events.amazonaws.com")
        return self._statement("RulesToQueues", rules, _WRITES, ArnLike=queues)

    def _told(self, account: str) -> iam.PolicyStatement:
        """Alarms and budgets tell people something in the services' own names."""
        told = [iam.ServicePrincipal(f"{service}.amazonaws.com") for service in ("cloudwatch", "budgets")]
        return self._statement(
            "Told",
            iam.CompositePrincipal(*told),
            _WRITES,
            StringEquals={"aws:SourceAccount": account},
            ArnLike={"kms:EncryptionContext:aws:sns:topicArn": self._arn("sns", f"{self._environment.prefix}-*")},
        )

    def _logged(self) -> iam.PolicyStatement:
        prefix, region = self._environment.prefix, cdk.Stack.of(self).region
        groups = [f"{prefix}-*", f"/aws/vendedlogs/*/{prefix}*", f"aws-waf-logs-{prefix}*"]
        return self._statement(
            "Logged",
            iam.ServicePrincipal(f"logs.{region}.amazonaws.com"),
            [*_KEEPS, "kms:DescribeKey"],
            ArnLike={
                "kms:EncryptionContext:aws:logs:arn": [self._arn("logs", f"log-group:{name}") for name in groups]
            },
        )

    @staticmethod
    def _statement(
        sid: str, principal: iam.IPrincipal, actions: Sequence[str], **conditions: Mapping[str, object]
    ) -> iam.PolicyStatement:
        # In a key's own policy, every resource is that key.
        return iam.PolicyStatement(
            sid=sid,
            principals=[principal],
            actions=sorted(actions),
            resources=["*"],
            conditions=conditions or None,
        )

    def _service(self, name: str) -> str:
        return f"{name}.{cdk.Stack.of(self).region}.amazonaws.com"

    def _arn(self, service: str, resource: str) -> str:
        stack = cdk.Stack.of(self)
        return f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{resource}"
