"""The alarms that send a model back while it is being released."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.function import notify
from infra.environments import Environment

__all__ = ["ReleaseAlarms", "rollback_alarms"]

_MINUTE = cdk.Duration.minutes(1)
_NAMES = ("errors", "latency", "approval-change", "score-change")


def rollback_alarms(environment: Environment) -> list[str]:
    """Their names, which are fixed: whoever asks for them is deployed before they are."""
    return [f"{environment.prefix}-release-{name}" for name in _NAMES]


class ReleaseAlarms(Construct):
    """Errors and latency of decisions, quicker than the operators' own, and what watch_release measures.

    Nothing but `watch_release` acts on them: outside of a release a person decides.

    Parameters
    ----------
    errors, latency : Metric
        Of what decides, by the minute; latency in milliseconds.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        errors: cloudwatch.Metric,
        latency: cloudwatch.Metric,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, id_)
        self._topic = topic
        release = environment.run_policy.release
        rows: tuple[tuple[cloudwatch.Metric, float, int, int, str], ...] = (
            (errors, 1, 3, 2, "Decisions fail"),
            (latency, 500, 5, 3, "1 in 100 decisions takes more than 500 ms"),
            (_measured("ReleaseApprovalChange"), release.maximum_approval_change, 10, 1, "Approvals changed"),
            (_measured("ReleaseScoreChange"), release.maximum_score_change, 10, 1, "The mean score changed"),
        )
        for name, full, row in zip(_NAMES, rollback_alarms(environment), rows, strict=True):
            metric, threshold, periods, breaching, told = row
            self._alarm(name, full, metric, threshold, periods, breaching, told)

    def _alarm(
        self,
        id_: str,
        name: str,
        metric: cloudwatch.Metric,
        threshold: float,
        periods: int,
        breaching: int,
        told: str,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id_,
            alarm_name=name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=breaching,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{told}: a model that is being released goes back. See docs/runbooks.",
        )
        notify(alarm, self._topic)


def _measured(name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="Paywarden",
        metric_name=name,
        dimensions_map={"service": "watch_release"},
        statistic="Maximum",
        period=_MINUTE,
    )
