"""Following a request through a deployment by its correlation id."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from ops.deployment import Deployment
from ops.functions import log_groups
from ops.lake import query
from ops.times import now
from ops.tracing.errors import TraceError
from ops.tracing.moments import Moment, folded, lake_rows, ledger_lines, log_line
from runtime.athena import quoted
from runtime.stores.decisions import DynamoDecisionStore

__all__ = ["TABLES", "follow", "spans"]

TABLES = ("decisions", "labels", "outcomes")
"""The tables of the lake that name the request of each row."""

MOST_PAYMENTS = 100
"""A batch holds no more."""

BEFORE, AFTER = 900_000, 900_000
"""Milliseconds around a moment that lines about it are looked for in: logs are searched by reading them.

Tries that failed are recorded nowhere else, and come before the one that did not.
"""


def follow(deployment: Deployment, asked: str, *, merchant: str = "", since: int) -> list[Moment]:
    """Everything that is known of a request, in the order of time.

    Parameters
    ----------
    asked : str
        A correlation id; with a merchant the id of a transaction, and all requests about it are followed.
    since : int
        Where to begin in the lake, and in the logs if no moment is known to search them around, in ms since the
        epoch.

    Raises
    ------
    TraceError
        If nothing is found.
    """
    try:
        condition = f"correlation_id = {quoted(asked)}"
        if merchant:
            condition = f"merchant_id = {quoted(merchant)} AND transaction_id = {quoted(asked)}"
    except ValueError:
        raise TraceError("an id holds letters, digits and `_ . : -` only; check what you typed") from None
    moments = list(_in_lake(deployment, condition, since))
    # A label's id is that of its payment with a word behind it.
    payments = {f"{merchant}/{asked}"} if merchant else {each.event_id.partition("#")[0] for each in moments}
    for payment in sorted(payments)[:MOST_PAYMENTS]:
        moments += _about(deployment, payment, only="" if merchant else asked)
    ids = {each.correlation_id for each in moments if each.correlation_id} if merchant else {asked}
    # Where payments bring times of their own, these say nothing of when a line was written.
    known = [] if deployment.environment.replay_time else moments
    for correlation_id in sorted(ids):
        # A marker of the features names no request.
        ats = [each.at for each in known if each.correlation_id in (correlation_id, "")]
        moments += _in_logs(deployment, correlation_id, spans(ats) or [(since, now() + AFTER)])
    if not moments:
        raise TraceError(
            "nothing is known of this id since then; check --env and --hours. The lake is some five minutes "
            "behind in staging and prod: name a payment by its id with --merchant to read the ledger"
        )
    return sorted(moments)


def _about(deployment: Deployment, payment: str, *, only: str) -> Iterator[Moment]:
    """What the ledger and the feature store have of a payment; of one request alone, if one is named."""
    client = deployment.client("dynamodb")
    ledger = DynamoDecisionStore(client, deployment["DecisionsTable"])
    for line in ledger_lines(ledger.all(payment)):
        if not only or line.correlation_id == only:
            yield line
            key = {"key": {"S": f"m#{line.event_id}"}}
            found = client.get_item(TableName=deployment["FeaturesTable"], Key=key)
            yield from folded(line.event_id, found.get("Item"))


def _in_lake(deployment: Deployment, condition: str, since: int) -> Iterator[Moment]:
    day = datetime.fromtimestamp(since / 1_000, UTC).date().isoformat()
    for table in TABLES:
        sql = (
            "SELECT event_id, recorded_at, correlation_id, day "  # noqa: S608 - ids went through `quoted`
            f"FROM {table} WHERE {condition} AND day >= {quoted(day)} LIMIT {MOST_PAYMENTS}"
        )
        yield from lake_rows(table, query(deployment, sql))


def spans(ats: Iterable[int]) -> list[tuple[int, int]]:
    """From when to when lines about these moments may have been written, each stretch once."""
    found: list[tuple[int, int]] = []
    for at in sorted(ats):
        start = found.pop()[0] if found and at - BEFORE <= found[-1][1] else at - BEFORE
        found.append((start, at + AFTER))
    return found


def _in_logs(deployment: Deployment, correlation_id: str, stretches: list[tuple[int, int]]) -> Iterator[Moment]:
    client = deployment.client("logs")
    for function, group in log_groups(deployment).items():
        for start, end in stretches:
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=start, endTime=end, filterPattern=f'"{correlation_id}"'
            )
            for page in pages:
                for event in page["events"]:
                    moment = log_line(function, correlation_id, event)
                    if moment is not None:
                        yield moment
