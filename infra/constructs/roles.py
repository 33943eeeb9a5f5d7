"""Roles that are complete before anyone takes them on."""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

__all__ = ["complete_before", "fixed", "service_role"]


def service_role(
    scope: Construct,
    id_: str,
    *,
    service: str,
    description: str,
    statements: Sequence[iam.PolicyStatement] = (),
) -> iam.Role:
    """A role that one AWS service takes on, with these permissions and no managed policy."""
    role = iam.Role(
        scope,
        id_,
        assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com"),
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
