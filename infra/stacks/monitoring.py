"""What the operators look at, and what wakes them up beyond the alarms that each construct brings."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs import watch
from infra.constructs.budget import SpendingBudget
from infra.constructs.metric import Ours, together
from infra.constructs.release_alarms import ReleaseAlarms, rollback_alarms
from infra.environment import Environment
from infra.observability import Counted, Objectives, Timed, decisions, watch_bounds
from infra.observability.business import business
from infra.observability.model import model
from infra.observability.on_call import on_call
from infra.stacks.base import PaywardenStack
from infra.stacks.data import DataStack
from infra.stacks.features import FeaturesStack
from infra.stacks.scoring import ScoringStack
from infra.stacks.training import TrainingStack

__all__ = ["MonitoringStack"]

_FIVE_MINUTES = cdk.Duration.minutes(5)


class MonitoringStack(PaywardenStack):
    """Attributes: objectives, and the dashboards on_call, model and business."""

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
            scope,
            part="monitoring",
            environment=environment,
            description="Paywarden: objectives, alarms, dashboards",
        )
        self._data, self._scoring = data, scoring
        self._ours = ours = Ours(environment)
        self.objectives = self._objectives(environment)
        self._decisions(environment)
        watch_bounds(self, environment=environment, topics=data.topics)
        ReleaseAlarms(
            self,
            "release",
            environment=environment,
            errors=together(decisions.failed_calls(scoring), label="5xx"),
            latency=scoring.score_transaction.function.metric_duration(
                period=cdk.Duration.minutes(1), statistic="p99"
            ),
            failed=ours("Failed"),
            # Every decision tells 0 or 1, so that the average is the share.
            degraded=ours("Degraded", statistic="Average"),
            stale=ours("ServingRefreshFailed"),
            topics=data.topics,
        )
        self.on_call = on_call(
            self,
            environment=environment,
            scoring=scoring,
            features=features,
            training=training,
            objectives=self.objectives,
            # Of all stacks: this one is made last.
            pages=data.topics.heard["page"],
            tickets=data.topics.heard["ticket"],
        )
        self.model = model(self, environment=environment, training=training, back=rollback_alarms(environment))
        self.business = business(self, environment=environment)
        if environment.budget and environment.capabilities.budgets:
            SpendingBudget(
                self,
                "spending",
                environment=environment,
                dollars=environment.budget.dollars,
                tickets=data.topics.tickets,
            )

    def _objectives(self, environment: Environment) -> Objectives:
        ours, api = self._ours, self._scoring.api
        return Objectives(
            self,
            "objectives",
            environment=environment,
            topics=self._data.topics,
            sources={
                "decision-availability": Counted(
                    bad=decisions.failed(ours, self._scoring), total=decisions.asked_for(ours, self._scoring)
                ),
                # Of this one call: batches and backtests take as long as what is in them.
                "decision-latency": Timed(took=self._scoring.decide.metric_latency(api.deployment_stage)),
                "feature-freshness": Timed(took=ours("FeatureLag", of="update_features")),
                "label-lag": Timed(took=ours("LabelLag", of="record_label")),
            },
        )

    def _decisions(self, environment: Environment) -> None:
        ours = self._ours
        rows: tuple[tuple[str, cloudwatch.IMetric, float, int, int], ...] = (
            # A share: the store is away, or no model serves. 1 in 100 is enough to send a model back. Of five
            # minutes, so that there are three at less than a call a minute; twice, so that a blip wakes nobody.
            ("degraded-decisions", decisions.degraded(ours, _FIVE_MINUTES, least=3), 0.05, 2, 2),
            # Twice, since a decision at the end of five minutes is relayed in the next.
            ("relay-stopped", decisions.relay_stopped(ours, _FIVE_MINUTES), 1, 2, 2),
            ("updates-stopped", decisions.updates_stopped(ours, _FIVE_MINUTES), 1, 2, 2),
            ("authorizer-failures", ours("AuthorizerFailed", of="authorize_merchant"), 1, 5, 2),
            ("stale-serving", ours("ServingRefreshFailed"), 1, 15, 3),
            ("stale-token-keys", ours("KeyringRefreshFailed"), 1, 15, 3),
            ("unreadable-settings", ours("SettingsUnreadable"), 1, 15, 3),
        )
        for kind, metric, threshold, periods, breaching in rows:
            watch(
                self,
                kind,
                kind,
                environment=environment,
                topics=self._data.topics,
                metric=metric,
                threshold=threshold,
                periods=periods,
                breaching=breaching,
            )
