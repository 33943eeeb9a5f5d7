"""The dashboard of whoever was woken up: what is wrong, for whom, and how far it has gone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.metric import MINUTE, Ours
from infra.environment import Environment
from infra.observability.decisions import made
from infra.observability.objectives import Objectives
from infra.observability.widgets import alarm_status, dashboard, figure, graph, labelled
from infra.slos import SLOS

if TYPE_CHECKING:
    from infra.constructs import Function
    from infra.stacks.features import FeaturesStack
    from infra.stacks.scoring import ScoringStack
    from infra.stacks.training import TrainingStack

__all__ = ["on_call"]


def on_call(
    scope: Construct,
    *,
    environment: Environment,
    scoring: "ScoringStack",
    features: "FeaturesStack",
    training: "TrainingStack",
    objectives: Objectives,
    pages: Sequence[str],
    tickets: Sequence[str],
) -> cloudwatch.Dashboard:
    """Alarms, objectives, and then the way of a transaction from the request to the lake.

    `pages` and `tickets` are the names of the alarms that people hear of.
    """
    ours = Ours(environment)
    return dashboard(
        scope,
        "on-call",
        environment=environment,
        hours=3,
        rows=[
            [alarm_status(scope, "pages", title="Alarms that wake somebody", names=pages, height=4)],
            *_objectives(objectives),
            _decisions(ours, scoring),
            _features(ours, features),
            _updates(ours),
            _letters(ours, scoring, features, training),
            _functions(ours, scoring, features, training),
            [alarm_status(scope, "tickets", title="Alarms that wait for the day", names=tickets, height=8)],
        ],
    )


def _objectives(objectives: Objectives) -> list[list[cloudwatch.IWidget]]:
    # The shortest window of any burn.
    short, day = cdk.Duration.minutes(5), cdk.Duration.days(1)
    return [
        [
            figure(f"{slo.name}: % of 30 days' allowance left", objectives.left(slo, day), start="-P30D")
            for slo in SLOS.values()
        ],
        [
            graph(
                f"{slo.name}: burn rate of 5 minutes",
                objectives.burn_rate(slo, short),
                lines={burn.name: burn.rate for burn in slo.burns},
                unit=f"x (1 is {100 * slo.allowance:g} % bad)",
            )
            for slo in SLOS.values()
        ],
    ]


def _decisions(ours: Ours, scoring: "ScoringStack") -> list[cloudwatch.IWidget]:
    api = scoring.api
    return [
        graph(
            "Calls a minute",
            api.metric_count(period=MINUTE, label="calls"),
            api.metric_client_error(period=MINUTE, label="4xx"),
            api.metric_server_error(period=MINUTE, label="5xx"),
        ),
        graph(
            "A decision takes (API Gateway)",
            *(
                scoring.decide.metric_latency(
                    scoring.api.deployment_stage, period=MINUTE, statistic=each, label=each
                )
                for each in ("p50", "p95", "p99")
            ),
            lines={"objective": SLOS["decision-latency"].within or 0},
            unit="ms",
        ),
        graph(
            "score_transaction takes (Lambda)",
            *(
                scoring.score_transaction.function.metric_duration(period=MINUTE, statistic=each, label=each)
                for each in ("p50", "p99")
            ),
            unit="ms",
        ),
        graph(
            "Decisions without state or model, failed, keys not checked",
            *(ours(each) for each in ("Degraded", "Failed", "FailedInBatch")),
            ours("AuthorizerFailed", of="authorize_merchant"),
        ),
    ]


def _features(ours: Ours, features: "FeaturesStack") -> list[cloudwatch.IWidget]:
    return [
        graph(
            "Features are there after",
            *(ours("FeatureLag", of="update_features", statistic=each, label=each) for each in ("p50", "p99")),
            lines={"objective": SLOS["feature-freshness"].within or 0},
            unit="ms",
        ),
        graph(
            "relay_decisions is behind", features.iterator_age.metric, alarms=[features.iterator_age], unit="ms"
        ),
        graph(
            "The queue of updates is behind", features.updates.age.metric, alarms=[features.updates.age], unit="s"
        ),
        graph(
            "The lake is behind",
            *(labelled(each.freshness.metric, each.folder) for each in features.deliveries),
            alarms=[features.deliveries[0].freshness],
            unit="s",
        ),
    ]


def _updates(ours: Ours) -> list[cloudwatch.IWidget]:
    def folded(*names: str) -> list[cloudwatch.IMetric]:
        return [ours(each, of="update_features") for each in names]

    return [
        graph(
            "Decided, relayed",
            made(ours),
            *(ours(each, of="relay_decisions") for each in ("Relayed", "RelayFailed")),
        ),
        graph("Events folded", *folded("Applied", "Duplicate", "Covered")),
        graph("Tried again", *folded("Conflict", "Throttled")),
        graph("Refused or late", *folded("Mismatched", "Rejected", "Poison", "Late")),
    ]


def _letters(
    ours: Ours, scoring: "ScoringStack", features: "FeaturesStack", training: "TrainingStack"
) -> list[cloudwatch.IWidget]:
    day = cdk.Duration.days(1)
    return [
        graph(
            "Dead letters",
            *(
                labelled(alarm.metric, label)
                for label, alarm in (
                    ("updates", features.updates.depth),
                    ("labels", scoring.reported_labels.depth),
                    ("unrelayed", features.unrelayed.depth),
                    ("undelivered", features.undelivered.depth),
                    ("unwithdrawn", training.retraining.unwithdrawn.depth),
                )
            ),
            lines={"alarm": 1},
        ),
        graph(
            "The queue of labels is behind",
            scoring.reported_labels.age.metric,
            alarms=[scoring.reported_labels.age],
            unit="s",
        ),
        graph(
            "Not taken over, not understood",
            *(
                ours(each)
                for each in ("ServingRefreshFailed", "ChallengerFailed", "SettingsUnreadable", "RuleFailed")
            ),
            *(ours("KeyringRefreshFailed", of=each, label=f"KeyringRefreshFailed {each}") for each in _KEYRING),
        ),
        graph(
            "Decided on twice, or lost",
            ours("ExactlyOnceViolations", of="watch_drift", statistic="Maximum", period=day),
            lines={"alarm": 1},
        ),
    ]


_KEYRING = ("score_transaction", "manage_settings")


def _functions(
    ours: Ours, scoring: "ScoringStack", features: "FeaturesStack", training: "TrainingStack"
) -> list[cloudwatch.IWidget]:
    functions: list[Function] = [
        scoring.score_transaction,
        scoring.read_decision,
        scoring.manage_settings,
        scoring.backtest_rules,
        scoring.record_outcome,
        scoring.record_label,
        features.relay_decisions,
        features.update_features,
        features.keep_audit,
        *training.functions.values(),
    ]
    return [
        # Lambda counts every wrong key as an error of the authorizer.
        graph(
            "Errors",
            *(each.function.metric_errors(period=MINUTE, label=each.verb_noun) for each in functions),
            width=9,
        ),
        graph(
            "Throttles",
            *(
                each.function.metric_throttles(period=MINUTE, label=each.verb_noun)
                for each in (scoring.authorize_merchant, *functions)
            ),
            width=9,
        ),
        graph(
            "The audit trail: copied, altered",
            *(ours(each, of="keep_audit") for each in ("AuditKept", "AuditAltered")),
            lines={"alarm": 1},
        ),
    ]
