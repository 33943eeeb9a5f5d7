"""Roles that are complete before anyone takes them on."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

__all__ = ["complete_before", "fixed", "service_role"]


_FOR_WHOM: Mapping[str, str] = MappingProxyType(
    {
        "codedeploy": "aws:SourceAccount",
        "events": "aws:SourceAccount",
        "firehose": "sts:ExternalId",
        "sagemaker": "aws:SourceAccount",
        "states": "aws:SourceAccount",
        "vpc-flow-logs": "aws:SourceAccount",
    }
)
"""The key in which a service says whose resource it takes on a role for ("confused deputy", in each one's guide).

Lambda documents none for a function's role; there `iam:PassRole` decides, which does not reach over accounts.
"""


def service_role(
    scope: Construct,
    id_: str,
    *,
    service: str,
    description: str,
    source: str | None = None,
    statements: Sequence[iam.PolicyStatement] = (),
) -> iam.Role:
    """A role that one AWS service takes on for this account alone, with these permissions and no managed policy.

    Parameters
    ----------
    source : str or None
        ARN, perhaps with wildcards, of the resources that the service may take it on for, where it says so.
    """
    key = _FOR_WHOM.get(service)
    conditions: dict[str, object] = {"StringEquals": {key: cdk.Stack.of(scope).account}} if key else {}
    if source is not None:
        conditions["ArnLike"] = {"aws:SourceArn": source}
    role = iam.Role(
        scope,
        id_,
        assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com", conditions=conditions or None),
        description=f"Paywarden: {description}",
    )
    for statement in statements:
        role.add_to_policy(statement)
    return role


def complete_before(role: iam.Role, user: Construct) -> None:
    """Create `user` only once the role has its policy: a reference to the role alone does not wait for it.

    Raises
    ------
    ValueError
        If the role has no permission yet.
    """
    policy = role.node.try_find_child("DefaultPolicy")
    if policy is None:
        raise ValueError(f"{role.node.path}: give the role its permissions first")
    user.node.add_dependency(policy)


def fixed(role: iam.Role) -> iam.IRole:
    """The same role, to which the library adds nothing: neither permissions nor redundant dependencies."""
    return iam.Role.from_role_arn(role, "fixed", role.role_arn, mutable=False)
