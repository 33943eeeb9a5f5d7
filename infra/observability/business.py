"""The dashboard of those who sell the decisions: how many, for whom, and what came of them."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from fraud.measures import API, TIERS
from infra.environments import Environment
from infra.observability.metrics import computed, ours
from infra.observability.widgets import dashboard, graph

__all__ = ["business"]

_ACTIONS = ("Approve", "Challenge", "Review", "Decline")
_PERIOD = cdk.Duration.minutes(5)


def business(scope: Construct, *, environment: Environment) -> cloudwatch.Dashboard:
    """Decisions by what they say and by merchants' tiers, what merchants told of them, and what else they do."""
    rows: list[list[cloudwatch.IWidget]] = [
        [
            graph("Decisions", *(_five(each) for each in _ACTIONS), stacked=True, width=12),
            graph(
                "Decisions by tier",
                *(_of_tier(tier, "+".join(_filled(_ACTIONS)), label=tier) for tier in TIERS),
                stacked=True,
                width=12,
            ),
        ],
        [
            *(
                graph(f"{title}, % by tier", *(_share(tier, action) for tier in TIERS), most=100)
                for title, action in (
                    ("Approved", "Approve"),
                    ("Challenged", "Challenge"),
                    ("Reviewed", "Review"),
                    ("Declined", "Decline"),
                )
            ),
        ],
        [
            graph("Declines let through to learn from", _five("PassedThrough")),
            graph(
                "Without state or model, by tier", *(_five("Degraded", tier=tier, label=tier) for tier in TIERS)
            ),
            graph("Sent again", _five("Repeated")),
            graph("Refused by the caller's fault", *(_five("Refused", of=each, label=each) for each in API)),
        ],
        [
            graph("Outcomes reported", _five("Outcomes", of="record_outcome")),
            graph("Labels reported", _five("Labels", of="record_label")),
            graph("Failed by ours", *(_five("Failed", of=each, label=each) for each in API)),
            graph(
                "Merchants' own rules",
                _five("SettingsChanged", of="manage_settings"),
                _five("Backtests", of="backtest_rules"),
                _five("UnreadableDecisions", of="backtest_rules"),
                _five("RuleFailed"),
            ),
        ],
        [graph("Other calls answered", *(_five("Answered", of=each, label=each) for each in API), width=24)],
    ]
    return dashboard(scope, "business", environment=environment, hours=24, rows=rows)


def _five(
    name: str, *, of: str = "score_transaction", tier: str = "", label: str | None = None
) -> cloudwatch.Metric:
    return ours(name, of=of, tier=tier, label=label, period=_PERIOD)


def _of_tier(tier: str, expression: str, *, label: str) -> cloudwatch.MathExpression:
    using: dict[str, cloudwatch.IMetric] = {
        f"{action.lower()}_{tier}": _five(action, tier=tier) for action in _ACTIONS
    }
    return computed(expression.replace("@", tier), using, label=label, period=_PERIOD)


def _share(tier: str, action: str) -> cloudwatch.MathExpression:
    every = "+".join(_filled(_ACTIONS))
    return _of_tier(tier, f"100*{_filled([action])[0]}/({every})", label=tier)


def _filled(actions: Sequence[str]) -> list[str]:
    # An action that nobody got in five minutes has no value there.
    return [f"FILL({action.lower()}_@,0)" for action in actions]
