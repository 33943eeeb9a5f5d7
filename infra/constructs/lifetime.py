"""How long things outlive what they belong to."""

import aws_cdk as cdk
from aws_cdk import aws_logs as logs

from infra.environment import Environment

__all__ = ["log_retention", "removal_policy"]


def removal_policy(environment: Environment, *, in_the_way: bool = False) -> cdk.RemovalPolicy:
    """What becomes of data when its stack is deleted.

    Parameters
    ----------
    in_the_way : bool
        Whether it would keep the same from being deployed again, as by a name that is given. It then goes with a
        deployment that fails before it was of use, and stays otherwise.
    """
    if not environment.retain_data:
        return cdk.RemovalPolicy.DESTROY
    return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if in_the_way else cdk.RemovalPolicy.RETAIN


def log_retention(environment: Environment) -> logs.RetentionDays:
    """How long logs are kept.

    Raises
    ------
    ValueError
        If CloudWatch Logs does not offer the environment's number of days.
    """
    offered = {
        7: logs.RetentionDays.ONE_WEEK,
        30: logs.RetentionDays.ONE_MONTH,
        90: logs.RetentionDays.THREE_MONTHS,
        365: logs.RetentionDays.ONE_YEAR,
    }
    try:
        return offered[environment.log_retention_days]
    except KeyError:
        raise ValueError(
            f"log_retention_days: {environment.log_retention_days} of {environment.name!r} is not offered; "
            f"use one of {', '.join(map(str, offered))}"
        ) from None
