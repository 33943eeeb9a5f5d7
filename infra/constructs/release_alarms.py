"""The alarms that send a model back while it is being released, and those that only tell what was measured."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.function import notify
from infra.environments import Environment

__all__ = ["ReleaseAlarms", "rollback_alarms"]

_MINUTE = cdk.Duration.minutes(1)
_BACK = ("errors", "latency", "failed", "degraded", "stale-serving")
_TOLD = ("approval-change", "score-change")


def rollback_alarms(environment: Environment) -> list[str]:
    """The names of those that send back, which are fixed: whoever asks for them is deployed before they are."""
    return [_name(environment, each) for each in _BACK]


def _name(environment: Environment, short: str) -> str:
    return f"{environment.prefix}-release-{short}"


class ReleaseAlarms(Construct):
    """Trouble of decisions, quicker than the operators' own alarms, and what watch_release measures.

    Nothing but `watch_release` acts on the former: outside of a release a person decides. The latter tell people:
    a run's own bounds, which may be others, are judged by `watch_release` itself.

    Parameters
    ----------
    errors, latency, failed, degraded, stale : Metric
        Of what decides, by the minute: latency in milliseconds, the share of decisions that were degraded, and how
        often a new serving document was not taken over.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        errors: cloudwatch.Metric,
        latency: cloudwatch.Metric,
        failed: cloudwatch.Metric,
        degraded: cloudwatch.Metric,
        stale: cloudwatch.Metric,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, id_)
        self._topic = topic
        release = environment.run_policy.release
        back = "a model that is being released goes back"
        rows: tuple[tuple[str, cloudwatch.Metric, float, int, int, str], ...] = (
            ("errors", errors, 1, 3, 2, f"Decisions fail: {back}"),
            ("latency", latency, 500, 5, 3, f"1 in 100 decisions takes more than 500 ms: {back}"),
            ("failed", failed, 1, 3, 2, f"Decisions fail, alone or in batches: {back}"),
            ("degraded", degraded, 0.01, 5, 3, f"1 in 100 decisions is made without state or model: {back}"),
            ("stale-serving", stale, 1, 5, 2, f"A serving document is not taken over: {back}"),
            *(
                (short, _measured(metric), bound, 10, 1, f"{what} changed with a model that is being released")
                for short, metric, bound, what in zip(
                    _TOLD,
                    ("ReleaseApprovalChange", "ReleaseScoreChange"),
                    (release.maximum_approval_change, release.maximum_score_change),
                    ("Approvals", "The mean score"),
                    strict=True,
                )
            ),
        )
        for short, metric, threshold, periods, breaching, told in rows:
            self._alarm(short, _name(environment, short), metric, threshold, periods, breaching, told)

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
            alarm_description=f"{told}. See docs/runbooks.",
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
