"""The platform's own metrics, as CloudWatch knows them: none that is not in `fraud.measures`."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from fraud.measures import MEASURES, NAMESPACE

__all__ = ["MINUTE", "computed", "ours"]

MINUTE = cdk.Duration.minutes(1)


def ours(
    name: str,
    *,
    of: str = "score_transaction",
    statistic: str = "Sum",
    period: cdk.Duration = MINUTE,
    tier: str = "",
    label: str | None = None,
) -> cloudwatch.Metric:
    """A metric that the function `of` counts, or that part of it that merchants of a tier make.

    Raises
    ------
    ValueError
        If `fraud.measures` does not say that the function counts it, or not by tier.
    """
    measure = MEASURES.get(name)
    if measure is None or of not in measure.of or (tier and not measure.by_tier):
        raise ValueError(
            f"{name}: {of} does not count this{' by tier' if tier else ''}; declare it in fraud.measures"
        )
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": of} | ({"tier": tier} if tier else {}),
        statistic=statistic,
        period=period,
        label=label,
    )


def computed(
    expression: str, metrics: dict[str, cloudwatch.IMetric], *, label: str, period: cdk.Duration = MINUTE
) -> cloudwatch.MathExpression:
    """Metric math over metrics by their ids in the expression."""
    return cloudwatch.MathExpression(expression=expression, using_metrics=metrics, label=label, period=period)
