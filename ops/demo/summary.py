"""The demo in one table."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table

from ops.demo.model import Report
from ops.inputs import Row
from ops.traffic import Replayed

__all__ = ["summary", "timeline"]


def summary(report: Report) -> Table:
    """What was deployed, what happened, and how fast."""
    table = Table("what", "figure", title="Paywarden, on this machine", title_justify="left")
    table.add_row("resources", f"{sum(report.resources.values())} of {len(report.resources)} kinds")
    traffic = report.traffic
    called = f"{traffic['payments']:,} payments and {traffic['labels']:,} labels by HTTP"
    table.add_row("traffic", f"{traffic['history_rows']:,} imported; {called}")
    table.add_row("decisions", ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.decisions.items())))
    for name, found in report.latency.items():
        table.add_row(
            f"a decision: {name}", f"p50 {found.p50:.1f} ms, p95 {found.p95:.1f} ms, p99 {found.p99:.1f} ms"
        )
    fresh = report.freshness
    table.add_row("from decision to fresh features", f"p50 {fresh.p50:.0f} ms, p99 {fresh.p99:.0f} ms")
    for model in report.models:
        figures = f"AUC {model.auc:.3f}, average precision {model.average_precision:.3f}"
        table.add_row(
            f"{model.role} on later data",
            f"{figures} ({report.later_rows:,} payments, {report.later_frauds} frauds)",
        )
    table.add_row("mind", "an emulator's times say nothing about AWS; the world is generated")
    return table


def timeline(rows: Sequence[Row], replayed: Replayed) -> list[dict[str, str | int]]:
    """Payments, frauds and stopped payments of each (virtual) day."""
    stopped = {
        exchange.sent.event_id
        for exchange in replayed.decisions
        if exchange.reply.json()["decision"] in ("decline", "review")
    }
    payments: Counter[str] = Counter()
    frauds: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for row in rows:
        day = f"{datetime.fromtimestamp(row.transaction.event_time / 1_000, UTC):%Y-%m-%d}"
        payments[day] += 1
        frauds[day] += row.is_fraud is True
        caught[day] += row.transaction.event_id in stopped
    return [
        {"day": day, "payments": payments[day], "frauds": frauds[day], "declined_or_reviewed": caught[day]}
        for day in sorted(payments)
    ]
