"""What CloudFormation may do when it deploys Paywarden, in place of AdministratorAccess.

Written from AWS's service authorization reference. What carries the stack's name is limited to names of the
environment; keys and secrets to the environment's tags; what AWS names by itself, to the account and the region.
An action that takes no resource is allowed on ``*``, or it is not allowed at all.

It bounds mistakes, not whoever means harm: a role that is made here may be given more rights than these, and lent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["POLICIES", "Allowed", "Denied"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """Actions of one service on these resources.

    Attributes
    ----------
    on : sequence of str
        Resources, as ARNs after ``arn:<partition>:``, with ``{here}`` for region and account, ``{account}``,
        ``{region}``, ``{prefix}`` for how the environment's names begin and ``{schema}`` for that in Glue, and
        ``{qualifier}`` for the bootstrap's.
    when : mapping, optional
        Conditions.
    """

    actions: Sequence[str]
    on: Sequence[str]
    when: Mapping[str, Mapping[str, str | list[str]]] | None = None


@dataclass(frozen=True, slots=True)
class Denied(Allowed):
    """The same, refused whatever else is allowed."""


_OURS: Final = {
    "StringEquals": {"aws:ResourceTag/application": "paywarden", "aws:ResourceTag/environment": "{environment}"}
}
_KEEP_UNDER_KEYS: Final = ("appconfig", "dynamodb", "firehose", "lambda", "secretsmanager")
"""The services that use a key in the name of whoever makes something there."""

_TO_BE_OURS: Final = {
    "StringEquals": {"aws:RequestTag/application": "paywarden", "aws:RequestTag/environment": "{environment}"}
}

_DATA: Final = (
    Allowed(("dynamodb:*",), ("dynamodb:{here}:table/{prefix}-*",)),
    # CloudFormation asks how a table scales, also of one that is paid by the call.
    Allowed(("application-autoscaling:Describe*",), ("*",)),
    Allowed(("s3:*",), ("s3:::{prefix}-*",)),
    Allowed(("secretsmanager:*",), ("secretsmanager:{here}:secret:*",), _OURS),
    Allowed(
        ("secretsmanager:CreateSecret", "secretsmanager:TagResource"),
        ("secretsmanager:{here}:secret:*",),
        _TO_BE_OURS,
    ),
    Allowed(("secretsmanager:GetRandomPassword",), ("*",)),
    # A key has no name. Until its tags count, which may take minutes, it is described and set up without them, and
    # used through the services that keep things under it: what is made with a key does not wait for them.
    Allowed(("kms:*",), ("kms:{here}:key/*",), _OURS),
    Allowed(("kms:CreateKey",), ("*",), _TO_BE_OURS),
    Allowed(("kms:TagResource",), ("kms:{here}:key/*",), _TO_BE_OURS),
    Allowed(
        (
            "kms:CreateAlias",
            "kms:DescribeKey",
            "kms:EnableKeyRotation",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListResourceTags",
        ),
        ("kms:{here}:key/*",),
    ),
    Allowed(
        ("kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"),
        ("kms:{here}:key/*",),
        {"StringEquals": {"kms:ViaService": [f"{each}.{{region}}.amazonaws.com" for each in _KEEP_UNDER_KEYS]}},
    ),
    Allowed(
        ("kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"),
        ("kms:{here}:alias/{prefix}-*",),
    ),
    Allowed(("kms:ListAliases",), ("*",)),
    Allowed(
        ("glue:*",),
        (
            "glue:{here}:catalog",
            "glue:{here}:database/{schema}",
            "glue:{here}:table/{schema}/*",
            "glue:{here}:userDefinedFunction/{schema}/*",
        ),
    ),
    Allowed(("athena:*",), ("athena:{here}:workgroup/{prefix}*",)),
    Allowed(("appconfig:*",), ("appconfig:{here}:*",)),
    Allowed(("appconfig:CreateApplication", "appconfig:CreateDeploymentStrategy"), ("*",)),
    Allowed(("firehose:*",), ("firehose:{here}:deliverystream/{prefix}-*",)),
    Allowed(
        ("sagemaker:*ModelPackageGroup*", "sagemaker:*Tags"), ("sagemaker:{here}:model-package-group/{prefix}*",)
    ),
    # Templates ask whether the account is bootstrapped for them, and code comes from the bootstrap's bucket.
    Allowed(("ssm:GetParameters",), ("ssm:{here}:parameter/cdk-bootstrap/{qualifier}/*",)),
    Allowed(("s3:GetObject",), ("s3:::cdk-{qualifier}-assets-{account}-{region}/*",)),
    # It makes places for data, and neither reads nor writes any.
    Denied(("s3:*Object", "s3:*ObjectVersion"), ("s3:::{prefix}-*/*",)),
    Denied(
        (
            "dynamodb:*Item",
            "dynamodb:PartiQL*",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:GetRecords",
            "dynamodb:Export*",
        ),
        ("dynamodb:{here}:table/{prefix}-*",),
    ),
)

_CODE: Final = (
    Allowed(
        ("lambda:*",),
        ("lambda:{here}:function:{prefix}-*", "lambda:{here}:layer:*"),
    ),
    Allowed(
        ("lambda:*EventSourceMapping", "lambda:*Tags", "lambda:TagResource", "lambda:UntagResource"),
        ("lambda:{here}:event-source-mapping:*",),
    ),
    Allowed(("lambda:CreateEventSourceMapping", "lambda:GetAccountSettings"), ("*",)),
    Allowed(("apigateway:*",), ("apigateway:{region}::/*",)),
    Allowed(("states:*",), ("states:{here}:stateMachine:{prefix}*",)),
    Allowed(("events:*",), ("events:{here}:rule/{prefix}-*", "events:{here}:event-bus/{prefix}-*")),
    Allowed(("sqs:*",), ("sqs:{here}:{prefix}-*",)),
    Allowed(("sns:*",), ("sns:{here}:{prefix}-*",)),
    Allowed(
        ("codedeploy:*",),
        (
            "codedeploy:{here}:application:{prefix}-*",
            "codedeploy:{here}:deploymentgroup:{prefix}-*",
            "codedeploy:{here}:deploymentconfig:*",
        ),
    ),
    Allowed(("codedeploy:StopDeployment",), ("*",)),
    # By name, since `iam:*Role` would be PassRole too.
    Allowed(
        (
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:DeleteRolePolicy",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:ListRoleTags",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
            "iam:UpdateRoleDescription",
        ),
        ("iam::{account}:role/{prefix}-*",),
    ),
    # API Gateway writes the account's logs by no other.
    Allowed(
        ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
        ("iam::{account}:role/{prefix}-*",),
        {"ArnLike": {"iam:PolicyARN": "arn:*:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"}},
    ),
    # Roles of this environment only, and to these services only.
    Allowed(
        ("iam:PassRole",),
        ("iam::{account}:role/{prefix}-*",),
        {
            "StringEquals": {
                "iam:PassedToService": [
                    "apigateway.amazonaws.com",
                    "codedeploy.amazonaws.com",
                    "events.amazonaws.com",
                    "firehose.amazonaws.com",
                    "lambda.amazonaws.com",
                    "states.amazonaws.com",
                    "vpc-flow-logs.amazonaws.com",
                ]
            }
        },
    ),
    Allowed(("iam:CreateServiceLinkedRole",), ("iam::{account}:role/aws-service-role/*",)),
    # Not who may deploy. This does not bind the roles that it makes: only a permissions boundary would.
    Denied(("iam:*",), ("iam::{account}:role/{prefix}-account-*",)),
)

_EDGE: Final = (
    Allowed(
        ("cloudwatch:*",), ("cloudwatch:{here}:alarm:{prefix}-*", "cloudwatch::{account}:dashboard/{prefix}-*")
    ),
    # A composite alarm is described only to those who may describe every alarm.
    Allowed(("cloudwatch:DescribeAlarms",), ("*",)),
    Allowed(
        ("logs:*",),
        (
            "logs:{here}:log-group:{prefix}-*",
            "logs:{here}:log-group:/aws/vendedlogs/*/{prefix}*",
            "logs:{here}:log-group:aws-waf-logs-{prefix}*",
        ),
    ),
    # Deliveries of logs have no resource to name, nor does what lists.
    Allowed(
        (
            "logs:*LogDelivery",
            "logs:*Deliver*",
            "logs:Describe*",
            "logs:*ResourcePolicy",
            "logs:ListLogDeliveries",
        ),
        ("*",),
    ),
    Allowed(("wafv2:*",), ("wafv2:{here}:regional/*", "apigateway:{region}::/restapis/*")),
    Allowed(("budgets:*Budget", "budgets:*Tag*"), ("budgets::{account}:budget/{prefix}-*",)),
    Allowed(
        (
            "ec2:*Vpc*",
            "ec2:*Subnet*",
            "ec2:*SecurityGroup*",
            "ec2:*RouteTable*",
            "ec2:*FlowLogs",
            "ec2:*NetworkAcl*",
            "ec2:*Tags",
            "ec2:Describe*",
        ),
        ("*",),
        {"StringEquals": {"aws:RequestedRegion": "{region}"}},
    ),
    # An endpoint with the service's own name, which is a zone of AWS's: global, and in no account of ours.
    Allowed(("route53:AssociateVPCWithHostedZone", "route53:DisassociateVPCFromHostedZone"), ("*",)),
)

POLICIES: Final[Mapping[str, Sequence[Allowed]]] = MappingProxyType({"data": _DATA, "code": _CODE, "edge": _EDGE})
"""By the name of the policy: IAM takes 6,144 characters in each, and ten of them for a role."""
