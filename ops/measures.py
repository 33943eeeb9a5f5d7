"""Figures that several commands show, latencies and freshness, and where the serving document is."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from ops.deployment import Deployment
from ops.traffic import Replayed
from runtime.configuration import Profile

__all__ = [
    "Percentiles",
    "freshness",
    "latencies",
    "latency_table",
    "percentiles",
    "serving_profile",
]


@dataclass(frozen=True)
class Percentiles:
    """Of a list of durations, in milliseconds."""

    p50: float
    p95: float
    p99: float


def percentiles(values: Sequence[float]) -> Percentiles:
    """The 50th, 95th and 99th percentile; needs at least two values."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return Percentiles(cuts[49], cuts[94], cuts[98])


def latencies(done: Replayed) -> dict[str, list[float]]:
    """Where the time of each decision went, in ms: all of it, our own code, and the AWS around it."""
    replies = [exchange.reply for exchange in done.decisions if exchange.reply.status == 200]
    return {
        "whole call": [reply.total for reply in replies],
        "our own code": [reply.own for reply in replies],
        "DynamoDB calls": [reply.store for reply in replies],
        "gateway, function start, network": [reply.total - reply.own - reply.store for reply in replies],
    }


def latency_table(done: Replayed) -> Table:
    """The latencies as a table for people."""
    table = Table("milliseconds", "p50", "p95", "p99", title=f"{len(done.decisions)} decisions")
    for name, values in latencies(done).items():
        if len(values) > 1:
            found = percentiles(values)
            table.add_row(name, f"{found.p50:.1f}", f"{found.p95:.1f}", f"{found.p99:.1f}")
    return table


def freshness(deployment: Deployment) -> dict[str, float]:
    """Milliseconds from the write of a decision or label to its features, by event id.

    Read from the markers of the feature store: each carries when its event was recorded and when it was
    folded in. Imports and bootstraps have markers too and are left out.
    """
    pages = (
        deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=deployment["FeaturesTable"],
            FilterExpression="begins_with(#k, :marker)",
            ExpressionAttributeNames={"#k": "key"},
            ExpressionAttributeValues={":marker": {"S": "m#"}},
            ProjectionExpression="#k, recorded_at, applied_at",
        )
    )
    return {
        name: float(item["applied_at"]["N"]) - float(item["recorded_at"]["N"])
        for page in pages
        for item in page["Items"]
        if not (name := item["key"]["S"].removeprefix("m#")).startswith(("import/", "bootstrap/"))
    }


def serving_profile(deployment: Deployment) -> Profile:
    """Where the serving document is."""
    return Profile(
        appconfig_application=deployment["AppConfigApplication"],
        appconfig_environment=deployment["AppConfigEnvironment"],
        appconfig_profile=deployment["AppConfigProfile"],
    )
