"""The dashboard of those who answer for the models: what they see, how well they do, what is being released."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.metric import Ours
from infra.environment import Environment
from infra.observability.bounds import bounds
from infra.observability.widgets import alarm_status, dashboard, graph

if TYPE_CHECKING:
    from infra.stacks.training import TrainingStack

__all__ = ["model"]

_DAY = cdk.Duration.days(1)


def model(
    scope: Construct, *, environment: Environment, training: "TrainingStack", back: Sequence[str]
) -> cloudwatch.Dashboard:
    """What monitoring measures every day, and what a release measures while it lasts.

    `back` are the names of the alarms that send a model back.
    """
    ours = Ours(environment)
    bound = {each.measure: each.most for each in bounds(environment.monitoring_policy)}
    release = environment.run_policy.release
    machines = (("retraining", training.retraining), ("monitoring", training.monitoring))

    def daily(title: str, *names: str, line: str = "", **shown: float) -> cloudwatch.IWidget:
        return graph(
            title,
            *(ours(each, of="watch_drift", statistic="Maximum", period=_DAY) for each in names),
            lines={"bound": bound[line]} if line else None,
            most=shown.get("most"),
        )

    def releasing(title: str, name: str, statistic: str, **lines: float) -> cloudwatch.IWidget:
        return graph(
            title,
            ours(name, of="watch_release", statistic=statistic, period=cdk.Duration.minutes(5)),
            lines=lines,
        )

    rows: list[list[cloudwatch.IWidget]] = [
        [
            daily("Drift of the scores (PSI)", "ScoreDrift", line="ScoreDrift"),
            daily("Share of the features that have drifted", "DriftedFeatures", line="DriftedFeatures"),
            daily("Largest change of a missing rate", "MissingDrift", line="MissingDrift"),
            daily("Features that serving saw otherwise", "SkewedFeatures", line="SkewedFeatures"),
        ],
        [
            daily("AUC on matured labels", "MaturedAuc", most=1),
            daily("Calibration error on matured labels", "CalibrationError"),
            daily("Shares of payments", "ApprovalRate", "ChallengeRate", most=1),
            daily("Decisions that were looked at", "MonitoredDecisions"),
        ],
        [
            daily("Seconds since the last label", "LabelSilence", line="LabelSilence"),
            graph(
                "Labels are recorded after",
                *(
                    ours("LabelLag", of="record_label", statistic=each, period=cdk.Duration.hours(1), label=each)
                    for each in ("p50", "p95")
                ),
                unit="s",
            ),
            daily("Bounds that are passed", "FailedFindings", line="FailedFindings"),
            daily("Largest drift of a feature (PSI)", "FeatureDrift"),
            graph(
                "Executions",
                *(
                    metric(period=_DAY, label=f"{name} {end}")
                    for name, made in machines
                    for end, metric in (
                        ("succeeded", made.state_machine.metric_succeeded),
                        ("failed", made.state_machine.metric_failed),
                    )
                ),
            ),
        ],
        [
            releasing("Looks at a model that is being released", "ReleaseLooks", "Sum"),
            releasing(
                "Change of the share approved",
                "ReleaseApprovalChange",
                "Maximum",
                bound=release.maximum_approval_change,
            ),
            releasing(
                "Change of the mean score", "ReleaseScoreChange", "Maximum", bound=release.maximum_score_change
            ),
            graph(
                "Share of decisions without state or model",
                ours("Degraded", statistic="Average", period=cdk.Duration.minutes(5)),
            ),
        ],
        [alarm_status(scope, "back", title="Alarms that send a model back", names=back, height=3)],
    ]
    return dashboard(scope, "model", environment=environment, hours=14 * 24, rows=rows)
