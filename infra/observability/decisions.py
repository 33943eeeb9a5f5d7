"""Decisions as CloudWatch counts them: asked for, failed, made, and on their way to features and lake."""

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.constructs.metric import MINUTE, Ours, computed, together

if TYPE_CHECKING:
    from infra.stacks.scoring import ScoringStack

__all__ = ["asked_for", "degraded", "failed", "failed_calls", "made", "relay_stopped", "updates_stopped"]

_SUM = cloudwatch.Stats.SUM
_ENDS = ("Applied", "Duplicate", "Late", "Covered", "Mismatched", "Rejected", "Poison")
"""What can become of an event that reaches update_features."""


def failed_calls(scoring: "ScoringStack") -> dict[str, cloudwatch.IMetric]:
    """Calls for decisions that were answered with 5xx: those for one, and those for several."""
    stage = scoring.api.deployment_stage
    return {
        "failed": scoring.decide.metric_server_error(stage, statistic=_SUM),
        "failed_batches": scoring.decide_batch.metric_server_error(stage, statistic=_SUM),
    }


def failed(ours: Ours, scoring: "ScoringStack") -> cloudwatch.MathExpression:
    """Payments without a decision by our fault.

    A batch that is answered holds what failed in it; of one that is not nobody knows how many payments it had, so
    that it counts as one.
    """
    return together({**failed_calls(scoring), "failed_of_batches": ours("FailedInBatch")}, label="failed")


def asked_for(ours: Ours, scoring: "ScoringStack") -> cloudwatch.MathExpression:
    """Payments for which a decision was asked, of which `failed` is a part."""
    return together(
        {
            "calls": scoring.decide.metric_count(scoring.api.deployment_stage, statistic=_SUM),
            "batched": ours("Batched"),
            "failed_batches": failed_calls(scoring)["failed_batches"],
        },
        label="asked for",
    )


def made(ours: Ours, period: cdk.Duration = MINUTE) -> cloudwatch.MathExpression:
    """New decisions; a request that is sent again is none."""
    actions = ("Approve", "Challenge", "Review", "Decline")
    return together({each.lower(): ours(each) for each in actions}, label="decisions", period=period)


def degraded(ours: Ours, period: cdk.Duration, *, least: int) -> cloudwatch.MathExpression:
    """The share of decisions that were made without state or model; 0 where fewer than `least` were."""
    # Every decision tells 0 or 1, so that the average is the share.
    using = {"count": ours("Degraded"), "share": ours("Degraded", statistic=cloudwatch.Stats.AVERAGE)}
    return computed(f"IF(count >= {least}, share, 0)", using, label="degraded", period=period)


def relay_stopped(ours: Ours, period: cdk.Duration) -> cloudwatch.MathExpression:
    """1 where decisions were made, and nothing of the ledger reached the bus."""
    relayed = together({"relayed": ours("Relayed", of="relay_decisions")}, label="relayed")
    return _stopped(made(ours), relayed, period)


def updates_stopped(ours: Ours, period: cdk.Duration) -> cloudwatch.MathExpression:
    """1 where events reached the bus, and none of them came to any end in update_features."""
    relayed = together({"relayed": ours("Relayed", of="relay_decisions")}, label="relayed")
    ended = together({each.lower(): ours(each, of="update_features") for each in _ENDS}, label="ended")
    return _stopped(relayed, ended, period)


def _stopped(
    before: cloudwatch.MathExpression, after: cloudwatch.MathExpression, period: cdk.Duration
) -> cloudwatch.MathExpression:
    return computed(
        "IF((before > 0) AND (after == 0), 1, 0)",
        {"before": before, "after": after},
        label="1: stopped",
        period=period,
    )
