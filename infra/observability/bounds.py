"""Bounds on models and data, by what the daily report of monitoring measured."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from fraud.monitoring import MonitoringPolicy
from infra.constructs.alarm import Topics, watch
from infra.constructs.metric import Ours, computed, together
from infra.environment import Environment
from infra.observability.decisions import made

__all__ = ["Bound", "bounds", "watch_bounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The most of a measure that is allowed, and the kind of alarm that tells of more."""

    kind: str
    measure: str
    most: float
    of: str = ""


def bounds(policy: MonitoringPolicy) -> tuple[Bound, ...]:
    """What the verdict of a report is held to as well."""
    return (
        Bound(kind="exactly-once", measure="ExactlyOnceViolations", most=0),
        Bound(kind="score-drift", measure="ScoreDrift", most=policy.maximum_score_index),
        Bound(kind="feature-drift", measure="DriftedFeatures", most=policy.maximum_drifted),
        Bound(kind="feature-drift", measure="MissingDrift", most=policy.maximum_missing_change, of="missing"),
        Bound(kind="feature-skew", measure="SkewedFeatures", most=0),
        Bound(kind="label-silence", measure="LabelSilence", most=policy.maximum_label_silence_hours * 3_600),
        # Of all that the verdict looks at, with or without a measure of its own.
        Bound(kind="monitoring-findings", measure="FailedFindings", most=0),
    )


def watch_bounds(scope: Construct, *, environment: Environment, topics: Topics) -> None:
    """Alarms on every bound, on events that were folded with another content, and on a report that does not come.

    A report tells its figures once. An alarm keeps its state until the next report says otherwise, which is what
    CloudWatch does with missing data that it is told to ignore.
    """
    ours = Ours(environment)
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
            threshold=bound.most,
            periods=1,
            # As the verdict: the bound itself is kept.
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.IGNORE,
            of=bound.of,
        )
    # No report tells of it: the function sees it when it happens, and nothing takes it back.
    watch(
        scope,
        "exactly-once-update_features",
        "exactly-once",
        environment=environment,
        topics=topics,
        metric=ours(
            "Mismatched", of="update_features", statistic=cloudwatch.Stats.SUM, period=cdk.Duration.minutes(5)
        ),
        threshold=1,
        periods=1,
        missing=cloudwatch.TreatMissingData.NOT_BREACHING,
        of="update_features",
    )
    if environment.capabilities.schedules:
        watch(
            scope,
            "monitoring-missing",
            "monitoring-missing",
            environment=environment,
            topics=topics,
            metric=_missing(ours),
            threshold=1,
            periods=2,
        )


def _missing(ours: Ours) -> cloudwatch.MathExpression:
    """1 on a day with decisions and without a report: not before there is a day to report on."""
    day = cdk.Duration.days(1)
    reports = ours("MonitoredDecisions", of="watch_drift", statistic=cloudwatch.Stats.SAMPLE_COUNT)
    return computed(
        "IF((decided > 0) AND (reports == 0), 1, 0)",
        {"decided": made(ours), "reports": together({"told": reports}, label="reports")},
        label="1: no report",
        period=day,
    )
