"""The platform's own metrics, as CloudWatch knows them: none that is not in `fraud.measures`."""

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from fraud.measures import MEASURES, namespace
from infra.environment import Environment

__all__ = ["MINUTE", "Ours", "computed", "together"]

MINUTE = cdk.Duration.minutes(1)


@dataclass(frozen=True)
class Ours:
    """The metrics of an environment: a call makes one of them."""

    environment: Environment

    def __call__(
        self,
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
            namespace=namespace(self.environment.name),
            metric_name=name,
            dimensions_map={"service": of} | ({"tier": tier} if tier else {}),
            statistic=statistic,
            period=period,
            label=label,
        )


def computed(
    expression: str, metrics: Mapping[str, cloudwatch.IMetric], *, label: str, period: cdk.Duration = MINUTE
) -> cloudwatch.MathExpression:
    """Metric math over metrics by their ids in the expression, all of one period."""
    using = {id_: _of_period(each, period) for id_, each in metrics.items()}
    return cloudwatch.MathExpression(expression=expression, using_metrics=using, label=label, period=period)


def _of_period(metric: cloudwatch.IMetric, period: cdk.Duration) -> cloudwatch.IMetric:
    if isinstance(metric, cloudwatch.Metric):
        return metric.with_(period=period)
    if isinstance(metric, cloudwatch.MathExpression):
        return computed(metric.expression, metric.using_metrics, label=metric.label or "", period=period)
    raise TypeError(f"{metric}: neither a metric nor computed of some")


def together(
    metrics: Mapping[str, cloudwatch.IMetric], *, label: str, period: cdk.Duration = MINUTE
) -> cloudwatch.MathExpression:
    """The sum of metrics, each by an id of its own; one that has no value counts as 0."""
    return computed(" + ".join(f"FILL({id_}, 0)" for id_ in metrics), metrics, label=label, period=period)
