"""What the operators look at, and what wakes them up beyond the alarms that each construct brings."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs import Function, notify
from infra.constructs.release_alarms import ReleaseAlarms
from infra.environments import Environment
from infra.stacks.base import PaywardenStack
from infra.stacks.data import DataStack
from infra.stacks.features import FeaturesStack
from infra.stacks.scoring import ScoringStack
from infra.stacks.training import TrainingStack

__all__ = ["MonitoringStack"]

_MINUTE = cdk.Duration.minutes(1)


class MonitoringStack(PaywardenStack):
    """Attributes: dashboard, and the alarms.

    They are decision_errors, decision_latency, degraded, failed, stale_serving, stale_keys and authorizer.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        environment: Environment,
        data: DataStack,
        scoring: ScoringStack,
        features: FeaturesStack,
        training: TrainingStack,
    ) -> None:
        super().__init__(
            scope, part="monitoring", environment=environment, description="Paywarden: dashboard and alarms"
        )
        self._data, self._scoring, self._features, self._training = data, scoring, features, training
        self.decision_errors = self._alarm(
            "decision-errors",
            scoring.api.metric_server_error(period=_MINUTE, statistic=cloudwatch.Stats.SUM),
            threshold=1,
            periods=5,
            breaching=2,
            description="Merchants get 5xx answers. See docs/runbooks.",
        )
        self.decision_latency = self._alarm(
            "decision-latency",
            scoring.score_transaction.function.metric_duration(period=_MINUTE, statistic="p99"),
            threshold=500,
            periods=5,
            breaching=3,
            description="score_transaction takes more than 500 ms for 1 in 100 decisions. See docs/runbooks.",
        )
        self.degraded = self._alarm(
            "degraded-decisions",
            self._ours("Degraded"),
            threshold=1,
            periods=5,
            breaching=3,
            description="Decisions are made without state or model. See docs/runbooks.",
        )
        self.failed = self._alarm(
            "failed-decisions",
            self._ours("Failed"),
            threshold=1,
            periods=5,
            breaching=2,
            description="Decisions fail on our side, alone or in batches. See docs/runbooks.",
        )
        self.stale_serving, self.stale_keys = (
            self._alarm(
                name,
                self._ours(metric),
                threshold=1,
                periods=15,
                breaching=3,
                description=f"{what} is not taken over; what was there before goes on. See docs/runbooks.",
            )
            for name, metric, what in (
                ("stale-serving", "ServingRefreshFailed", "A new serving document"),
                ("stale-token-keys", "KeyringRefreshFailed", "The ring of token keys"),
            )
        )
        self.authorizer = self._alarm(
            "authorizer-failures",
            self._ours("AuthorizerFailed", of=scoring.authorize_merchant),
            threshold=1,
            periods=5,
            breaching=2,
            description="Merchants' keys cannot be checked. See docs/runbooks.",
        )
        ReleaseAlarms(
            self,
            "release",
            environment=environment,
            errors=scoring.api.metric_server_error(period=_MINUTE, statistic=cloudwatch.Stats.SUM),
            latency=scoring.score_transaction.function.metric_duration(period=_MINUTE, statistic="p99"),
            failed=self._ours("Failed"),
            # Every decision tells 0 or 1, so that the average is the share.
            degraded=self._ours("Degraded", statistic="Average"),
            stale=self._ours("ServingRefreshFailed"),
            topic=data.alarm_topic,
        )
        self.dashboard = self._dashboard(environment)
        if environment.capabilities.composite_alarms:
            self._summary()
        self.outputs(AlarmTopic=data.alarm_topic.topic_arn)

    def _alarm(
        self,
        id_: str,
        metric: cloudwatch.Metric,
        *,
        threshold: float,
        periods: int,
        breaching: int,
        description: str,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            id_,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=breaching,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )
        return notify(alarm, self._data.alarm_topic)

    def _ours(self, name: str, *, of: Function | None = None, statistic: str = "Sum") -> cloudwatch.Metric:
        """A metric that a function of ours counts; by default score_transaction."""
        return cloudwatch.Metric(
            namespace="Paywarden",
            metric_name=name,
            dimensions_map={"service": (of or self._scoring.score_transaction).verb_noun},
            statistic=statistic,
            period=_MINUTE,
        )

    def _summary(self) -> None:
        """One alarm that says whether merchants get good decisions now; the others say why not."""
        cloudwatch.CompositeAlarm(
            self,
            "decisions-at-risk",
            alarm_rule=cloudwatch.AlarmRule.any_of(
                self.decision_errors, self.decision_latency, self.degraded, self._features.updates.age
            ),
            alarm_description="Merchants do not get good decisions now: see the alarms in this one's rule.",
        )

    def _dashboard(self, environment: Environment) -> cloudwatch.Dashboard:
        api, features = self._scoring.api, self._features
        dashboard = cloudwatch.Dashboard(self, "dashboard", dashboard_name=environment.prefix)
        dashboard.add_widgets(
            _graph("Requests", api.metric_count(period=_MINUTE)),
            _graph("Refused", api.metric_client_error(period=_MINUTE), api.metric_server_error(period=_MINUTE)),
            _graph(
                "Latency", *(api.metric_latency(period=_MINUTE, statistic=each) for each in ("p50", "p95", "p99"))
            ),
            _graph("Degraded", self._ours("Degraded")),
        )
        dashboard.add_widgets(
            _graph("Decisions", *(self._ours(each) for each in ("Approve", "Challenge", "Review", "Decline"))),
            _graph("Repeated, refused", *(self._ours(each) for each in ("Repeated", "Refused", "Failed"))),
            _graph("Rules that failed", self._ours("RuleFailed"), self._ours("SettingsUnreadable")),
            _graph(
                "Not taken over",
                *(
                    self._ours(each)
                    for each in ("ServingRefreshFailed", "ChallengerFailed", "KeyringRefreshFailed")
                ),
            ),
        )
        dashboard.add_widgets(
            _graph("Relay behind", features.iterator_age.metric),
            _graph("Updates behind", features.updates.age.metric),
            _graph(
                "Dead letters",
                features.updates.depth.metric,
                features.unrelayed.depth.metric,
                features.undelivered.depth.metric,
            ),
            _graph("Lake behind", *(each.freshness.metric for each in features.deliveries)),
        )
        updates = features.update_features
        dashboard.add_widgets(
            _graph(
                "Events folded", *(self._ours(each, of=updates) for each in ("Applied", "Duplicate", "Covered"))
            ),
            _graph("Tried again", *(self._ours(each, of=updates) for each in ("Conflict", "Throttled"))),
            _graph(
                "Refused or late",
                *(self._ours(each, of=updates) for each in ("Mismatched", "Rejected", "Poison", "Late")),
            ),
            _graph(
                "Feature lag",
                *(self._ours("FeatureLag", of=updates, statistic=each) for each in ("p50", "p99")),
            ),
        )
        machine = self._training.retraining.state_machine
        functions = self._functions()
        dashboard.add_widgets(
            _graph(
                "Errors",
                # Lambda counts every wrong key as an error of the authorizer.
                self._ours("AuthorizerFailed", of=self._scoring.authorize_merchant),
                *(
                    each.function.metric_errors(period=_MINUTE)
                    for each in functions
                    if each is not self._scoring.authorize_merchant
                ),
            ),
            _graph("Throttles", *(each.function.metric_throttles(period=_MINUTE) for each in functions)),
            _graph(
                "Scoring takes",
                *(
                    self._scoring.score_transaction.function.metric_duration(period=_MINUTE, statistic=each)
                    for each in ("p50", "p99")
                ),
            ),
            _graph("Retraining", machine.metric_succeeded(), machine.metric_failed()),
        )
        return dashboard

    def _functions(self) -> tuple[Function, ...]:
        return (
            self._scoring.authorize_merchant,
            self._scoring.score_transaction,
            self._scoring.read_decision,
            self._scoring.manage_settings,
            self._scoring.backtest_rules,
            self._scoring.record_outcome,
            self._scoring.record_label,
            self._features.relay_decisions,
            self._features.update_features,
        )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=6, height=6)
