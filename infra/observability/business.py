"""The dashboard of those who sell the decisions: how many, for whom, and what came of them."""

from collections.abc import Callable, Sequence
from functools import partial

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from fraud.measures import API, TIERS
from infra.constructs.metric import Ours, computed
from infra.environment import Environment
from infra.observability.widgets import dashboard, graph

__all__ = ["business"]

_ACTIONS = ("Approve", "Challenge", "Review", "Decline")
_PERIOD = cdk.Duration.minutes(5)


def business(scope: Construct, *, environment: Environment) -> cloudwatch.Dashboard:
    """Decisions by what they say and by merchants' tiers, what merchants told of them, and what else they do."""
    five = partial(_five, Ours(environment))
    of_tier = partial(_of_tier, Ours(environment))
    rows: list[list[cloudwatch.IWidget]] = [
        [
            graph("Decisions", *(five(each) for each in _ACTIONS), stacked=True, width=12),
            graph(
                "Decisions by tier",
                *(of_tier(tier, "+".join(_filled(_ACTIONS)), label=tier) for tier in TIERS),
                stacked=True,
                width=12,
            ),
        ],
        [
            *(
                graph(f"{title}, % by tier", *(_share(of_tier, tier, action) for tier in TIERS), most=100)
                for title, action in (
                    ("Approved", "Approve"),
                    ("Challenged", "Challenge"),
                    ("Reviewed", "Review"),
                    ("Declined", "Decline"),
                )
            ),
        ],
        [
            graph("Declines let through to learn from", five("PassedThrough")),
            graph("Without state or model, by tier", *(five("Degraded", tier=tier, label=tier) for tier in TIERS)),
            graph("Sent again; payments of batches", five("Repeated"), five("Batched")),
            graph("Refused by the caller's fault", *(five("Refused", of=each, label=each) for each in API)),
        ],
        [
            graph("Outcomes reported", five("Outcomes", of="record_outcome")),
            graph("Labels reported", five("Labels", of="record_label")),
            graph(
                "Failed by ours",
                *(five("Failed", of=each, label=each) for each in API),
                five("FailedInBatch", label="in batches"),
            ),
            graph(
                "Merchants' own rules",
                five("SettingsChanged", of="manage_settings"),
                five("Backtests", of="backtest_rules"),
                five("UnreadableDecisions", of="backtest_rules"),
                five("RuleFailed"),
            ),
        ],
        [graph("Other calls answered", *(five("Answered", of=each, label=each) for each in API), width=24)],
    ]
    return dashboard(scope, "business", environment=environment, hours=24, rows=rows)


def _five(
    ours: Ours, name: str, *, of: str = "score_transaction", tier: str = "", label: str | None = None
) -> cloudwatch.Metric:
    return ours(name, of=of, tier=tier, label=label, period=_PERIOD)


def _of_tier(ours: Ours, tier: str, expression: str, *, label: str) -> cloudwatch.MathExpression:
    using: dict[str, cloudwatch.IMetric] = {
        f"{action.lower()}_{tier}": _five(ours, action, tier=tier) for action in _ACTIONS
    }
    return computed(expression.replace("@", tier), using, label=label, period=_PERIOD)


def _share(of_tier: Callable[..., cloudwatch.MathExpression], tier: str, action: str) -> cloudwatch.MathExpression:
    every = "+".join(_filled(_ACTIONS))
    return of_tier(tier, f"100*{_filled([action])[0]}/({every})", label=tier)


def _filled(actions: Sequence[str]) -> list[str]:
    # An action that nobody got in five minutes has no value there.
    return [f"FILL({action.lower()}_@,0)" for action in actions]
