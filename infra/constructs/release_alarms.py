"""The alarms that send a model back while it is being released, and those that only tell what was measured."""

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.alarms import name_of
from infra.constructs.alarm import Topics, watch
from infra.constructs.metric import Ours
from infra.environment import Environment

__all__ = ["ReleaseAlarms", "rollback_alarms"]

_BACK = ("errors", "latency", "failed", "degraded", "stale-serving")


def rollback_alarms(environment: Environment) -> list[str]:
    """The names of those that send back, which are fixed: whoever asks for them is deployed before they are."""
    return [name_of(f"release-{each}", prefix=environment.prefix) for each in _BACK]


class ReleaseAlarms(Construct):
    """Trouble of decisions, quicker than the operators' own alarms, and what watch_release measures.

    The former tell nobody: `watch_release` looks at them while a model is released, and people hear from the run
    what came of it. The latter tell people; `watch_release` judges a run's own bounds, which may be others.

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
        errors: cloudwatch.IMetric,
        latency: cloudwatch.Metric,
        failed: cloudwatch.Metric,
        degraded: cloudwatch.Metric,
        stale: cloudwatch.Metric,
        topics: Topics,
    ) -> None:
        super().__init__(scope, id_)
        release = environment.run_policy.release
        ours = Ours(environment)

        def measured(name: str) -> cloudwatch.Metric:
            return ours(name, of="watch_release", statistic=cloudwatch.Stats.MAXIMUM)

        rows: tuple[tuple[str, cloudwatch.IMetric, float, int, int], ...] = (
            ("errors", errors, 1, 3, 2),
            # Milliseconds, of 1 in 100.
            ("latency", latency, environment.release_latency_ms, 5, 3),
            ("failed", failed, 1, 3, 2),
            # A share.
            ("degraded", degraded, 0.01, 5, 3),
            ("stale-serving", stale, 1, 5, 2),
            ("approval-change", measured("ReleaseApprovalChange"), release.maximum_approval_change, 10, 1),
            ("score-change", measured("ReleaseScoreChange"), release.maximum_score_change, 10, 1),
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
