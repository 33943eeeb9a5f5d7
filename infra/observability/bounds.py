"""Bounds on models and data, by what the daily report of monitoring measured."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from fraud.monitoring import MonitoringPolicy
from infra.constructs.alarm import Topics, watch
from infra.environments import Environment
from infra.observability.metrics import ours

__all__ = ["Bound", "bounds", "watch_bounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The least value of a measure that is too much, and the kind of alarm that tells of it."""

    kind: str
    measure: str
    least: float
    of: str = ""


def bounds(policy: MonitoringPolicy) -> tuple[Bound, ...]:
    """What the verdict of a report is held to as well."""
    return (
        Bound(kind="exactly-once", measure="ExactlyOnceViolations", least=1),
        Bound(kind="score-drift", measure="ScoreDrift", least=policy.maximum_score_index),
        Bound(kind="feature-drift", measure="DriftedFeatures", least=policy.maximum_drifted),
        Bound(kind="feature-drift", measure="MissingDrift", least=policy.maximum_missing_change, of="missing"),
        Bound(kind="feature-skew", measure="SkewedFeatures", least=1),
        Bound(kind="label-silence", measure="LabelSilence", least=policy.maximum_label_silence_hours * 3_600),
    )


def watch_bounds(scope: Construct, *, environment: Environment, topics: Topics) -> None:
    """Alarms on every bound, and on the report that does not come where it is due every day.

    A report tells its figures once. An alarm keeps its state until the next report says otherwise, which is what
    CloudWatch does with missing data that it is told to ignore.
    """
    for bound in bounds(environment.monitoring_policy):
        watch(
            scope,
            "-".join(filter(None, (bound.kind, bound.of))),
            bound.kind,
            environment=environment,
            topics=topics,
            metric=ours(
                bound.measure, of="watch_drift", statistic=cloudwatch.Stats.MAXIMUM, period=cdk.Duration.minutes(5)
            ),
            threshold=bound.least,
            periods=1,
            missing=cloudwatch.TreatMissingData.IGNORE,
            of=bound.of,
        )
    if environment.capabilities.schedules:
        watch(
            scope,
            "monitoring-missing",
            "monitoring-missing",
            environment=environment,
            topics=topics,
            metric=ours(
                "MonitoredDecisions",
                of="watch_drift",
                statistic=cloudwatch.Stats.SAMPLE_COUNT,
                period=cdk.Duration.days(1),
            ),
            threshold=1,
            periods=2,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
