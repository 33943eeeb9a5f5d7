"""The alarms that send a model back while it is being released, and those that only tell what was measured."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.alarms import name_of
from infra.constructs.alarm import Topics, watch
from infra.environments import Environment

__all__ = ["ReleaseAlarms", "rollback_alarms"]

_MINUTE = cdk.Duration.minutes(1)
_BACK = ("errors", "latency", "failed", "degraded", "stale-serving")


def rollback_alarms(environment: Environment) -> list[str]:
    """The names of those that send back, which are fixed: whoever asks for them is deployed before they are."""
    return [name_of(f"release-{each}", prefix=environment.prefix) for each in _BACK]


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
        topics: Topics,
    ) -> None:
        super().__init__(scope, id_)
        release = environment.run_policy.release
        rows: tuple[tuple[str, cloudwatch.Metric, float, int, int], ...] = (
            ("errors", errors, 1, 3, 2),
            # Milliseconds, of 1 in 100.
            ("latency", latency, environment.release_latency_ms, 5, 3),
            ("failed", failed, 1, 3, 2),
            # A share.
            ("degraded", degraded, 0.01, 5, 3),
            ("stale-serving", stale, 1, 5, 2),
            ("approval-change", _measured("ReleaseApprovalChange"), release.maximum_approval_change, 10, 1),
            ("score-change", _measured("ReleaseScoreChange"), release.maximum_score_change, 10, 1),
        )
        for short, metric, threshold, periods, breaching in rows:
            watch(
                self,
                short,
                f"release-{short}",
                environment=environment,
                topics=topics,
                metric=metric,
                threshold=threshold,
                periods=periods,
                breaching=breaching,
            )


def _measured(name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="Paywarden",
        metric_name=name,
        dimensions_map={"service": "watch_release"},
        statistic="Maximum",
        period=_MINUTE,
    )
