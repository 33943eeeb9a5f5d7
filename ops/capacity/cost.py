"""What a rate of decisions costs in a month, line by line."""

import math
from dataclasses import dataclass

from fraud.measures import MEASURES, TIERS
from ops.capacity.concurrency import batch_of_updates, running
from ops.capacity.jobs import Reading, monitored_days, reading
from ops.capacity.prices import price
from ops.capacity.tables import Asked, asked
from ops.capacity.work import ACCESS_LOG_BYTES, ASSUMED, work
from ops.versions import KEPT

__all__ = [
    "ALARMS",
    "COMPOSITE_ALARMS",
    "DASHBOARDS",
    "ENDPOINTS",
    "HOURS",
    "KEYS",
    "LEARNT_DAYS",
    "SECRETS",
    "WEB_ACL_RULES",
    "ZONES",
    "Line",
    "by_service",
    "decisions_in_month",
    "lines",
    "metrics",
    "private",
    "provisioned",
    "replicated",
    "storage_gb",
]

HOURS = 730.0
"""Of an average month."""

ALARMS, COMPOSITE_ALARMS, DASHBOARDS = 146, 10, 3
"""Of one environment, by the metrics that alarms look at; a test compares them with the templates."""

KEYS, SECRETS, WEB_ACL_RULES = 5, 2, 5
"""Of one environment; a test compares them with the templates, as it does the next."""

ENDPOINTS, ZONES = 11, 2
"""Of a private environment's network: interface endpoints, and the zones that each is in."""

_GB, _SECONDS = float(1 << 30), HOURS * 3_600
_ITEM_OVERHEAD = 100
"""Bytes that DynamoDB adds to each item where it counts storage."""
_STEP = 5 * 1_024
_RETRAININGS, _MONITORINGS = 52 / 12, 365 / 12
LEARNT_DAYS = 365.0
"""A retraining reads all of the lake: a year of it, as the storage is counted."""
_FUNCTIONS_OF_SNAPSHOTS = 1
_SNAPSHOT_GB = 1.769
_VERSIONS = 1 + KEPT
"""Published versions of score_transaction, each of which is paid for as long as it exists; others are pruned."""
_COPY_HOURS = 2.0
"""How long a copy of a function lives before Lambda replaces it, which restores a snapshot."""


@dataclass(frozen=True, slots=True)
class Line:
    """Dollars in a month.

    Attributes
    ----------
    amount : str
        What is paid for, in words.
    """

    service: str
    what: str
    amount: str
    dollars: float


def private(rate: float) -> float:
    """Dollars in a month that a private network adds; gateways, over which the tables are asked, cost none."""
    calls = decisions_in_month(rate) * (1 + ASSUMED.reports)
    through = calls * (ASSUMED.answer_bytes + work().size("decision event")) / _GB
    return price("endpoint", ENDPOINTS * ZONES * HOURS) + price("endpoint data", through)


def decisions_in_month(rate: float) -> float:
    return rate * _SECONDS


def by_service(rate: float) -> dict[str, float]:
    """Dollars in a month by service, in the order of the lines."""
    found: dict[str, float] = {}
    for line in lines(rate):
        found[line.service] = found.get(line.service, 0.0) + line.dollars
    return found


def lines(rate: float) -> list[Line]:
    """All that is paid for in a month of `rate` decisions a second, day and night; at 0 what is paid idle."""
    parts = (_api, _lambda, _tables, _events, _lake, _watch, _models)
    return [line for part in parts for line in part(rate)]


def _api(rate: float) -> list[Line]:
    calls = decisions_in_month(rate) * (1 + ASSUMED.reports)
    out = calls * ASSUMED.answer_bytes / _GB
    return [
        Line("API Gateway", "calls", f"{calls / 1e6:,.0f} M", price("rest call", calls)),
        Line("API Gateway", "answers to the internet", f"{out:,.0f} GB", price("data out", out)),
        Line(
            "WAF",
            "the firewall and its rules",
            f"{WEB_ACL_RULES} rules",
            price("web acl", 1) + price("web acl rule", WEB_ACL_RULES),
        ),
        # A batch of more than 16 KB costs half as much again for each 16 KB; single calls have none.
        Line("WAF", "requests", f"{calls / 1e6:,.0f} M", price("web acl request", calls)),
    ]


def _lambda(rate: float) -> list[Line]:
    found, total, requests = [], 0.0, 0.0
    shares = []
    for each in running(rate) if rate else ():
        calls = each.calls * _SECONDS
        seconds = calls * each.mean_ms / 1_000 * each.function.memory / 1_024
        requests += calls
        total += seconds
        shares.append((each.function.name, seconds))
    dollars = price("lambda arm", total)
    for name, seconds in shares:
        found.append(Line("Lambda", name, f"{seconds / 1e6:,.2f} M GB-s", dollars * seconds / total))
    found.append(Line("Lambda", "requests", f"{requests / 1e6:,.0f} M", price("lambda request", requests)))
    cached = _SNAPSHOT_GB * _SECONDS * _VERSIONS * _FUNCTIONS_OF_SNAPSHOTS
    copies = running(rate)[0].copies if rate else 0
    restored = copies * HOURS / _COPY_HOURS * _SNAPSHOT_GB
    found.append(
        Line(
            "Lambda",
            "snapshots of score_transaction, kept and restored",
            f"{_VERSIONS} versions, {restored:,.0f} GB",
            price("snapshot cache", cached) + price("snapshot restore", restored),
        )
    )
    return found


def _tables(rate: float) -> list[Line]:
    found = []
    for each in asked(rate) if rate else ():
        reads, writes = each.reads * _SECONDS, each.writes * _SECONDS
        if writes:
            found.append(
                Line("DynamoDB", f"{each.table}, writes", f"{writes / 1e6:,.0f} M", price("write", writes))
            )
        if reads:
            found.append(Line("DynamoDB", f"{each.table}, reads", f"{reads / 1e6:,.0f} M", price("read", reads)))
    for table, size in storage_gb(rate).items():
        cost = price("table storage", size) + price("point-in-time recovery", size)
        found.append(Line("DynamoDB", f"{table}, storage and its recovery", f"{size:,.0f} GB", cost))
    return found


def storage_gb(rate: float) -> dict[str, float]:
    """GB of the tables that grow, after `ASSUMED.kept_months` of this rate."""
    month, measured = decisions_in_month(rate), work()
    line: float = measured.size("decision line") + _ITEM_OVERHEAD
    line += ASSUMED.reports * (measured.size("label line") + _ITEM_OVERHEAD)
    own = ("card", "customer", "device", "ip", "email", "card_merchant", "device_card")
    states = sum(measured.size(f"state of {name}") + _ITEM_OVERHEAD for name in own)
    cards = month / ASSUMED.payments_of_card_in_month
    markers = month * ASSUMED.state_months * (1 + ASSUMED.reports) * (measured.size("marker") + _ITEM_OVERHEAD)
    return {
        "decisions": month * ASSUMED.kept_months * line / _GB,
        # Of the cards of six months half are those of the months before.
        "features": (cards * states * ASSUMED.state_months / 2 + markers) / _GB,
    }


def provisioned(each: Asked) -> tuple[float, float]:
    """Dollars in a month for a table's units, on demand and provisioned at `ASSUMED.busy`; storage is the same."""
    demand = price("write", each.writes * _SECONDS) + price("read", each.reads * _SECONDS)
    hourly = price("provisioned write", each.writes) + price("provisioned read", each.reads)
    return demand, hourly * HOURS / ASSUMED.busy


def _events(rate: float) -> list[Line]:
    events = decisions_in_month(rate) * (1 + ASSUMED.reports)
    batch = batch_of_updates(rate)
    # Sent one by one, received and deleted together. Five pollers of two queues ask an empty one three times a
    # minute.
    requests = events * (1 + 2 / batch) + 2 * 5 * 3 * 60 * HOURS
    return [
        Line("EventBridge", "events", f"{events / 1e6:,.0f} M", price("event", events)),
        Line("SQS", "requests", f"{requests / 1e6:,.1f} M", price("queue request", requests)),
    ]


def _lake(rate: float) -> list[Line]:
    month = decisions_in_month(rate)
    rows = month * _steps(work().size("decision event")) + month * ASSUMED.reports * _steps(
        work().size("label event")
    )
    taken = rows / _GB
    # Bytes of a year of Parquet; a report's row is a fourth of a decision's.
    stored = month * ASSUMED.kept_months * ASSUMED.parquet_bytes * (1 + ASSUMED.reports / 4) / _GB
    queries = ASSUMED.backtest_gb_a_day * HOURS / 24 / 1_024 if rate else 0.0
    return [
        Line("Firehose", "rows, in steps of 5 KB", f"{taken:,.0f} GB", price("firehose", taken)),
        Line("Firehose", "made into Parquet", f"{taken:,.0f} GB", price("firehose conversion", taken)),
        Line("S3", "the lake of a year", f"{stored:,.0f} GB", price("object storage", stored)),
        Line("Athena", "backtests", f"{queries:,.1f} TB", price("query", queries)),
    ]


def _steps(size: int) -> float:
    return float(math.ceil(size / _STEP) * _STEP)


def metrics() -> int:
    """Metrics of our own namespace that are paid for: each by the functions that count it, and by tier."""
    return sum(len(each.of) * (1 + len(TIERS) * each.by_tier) for each in MEASURES.values())


def _watch(rate: float) -> list[Line]:
    month = decisions_in_month(rate)
    logged = sum(each.calls * each.function.log_bytes for each in running(rate)) * _SECONDS if rate else 0.0
    logged += month * (1 + ASSUMED.reports) * ACCESS_LOG_BYTES
    size = logged / _GB
    traces = month * (1 + ASSUMED.reports) * ASSUMED.traced
    # A year is kept in prod; it is counted compressed, to about a sixth.
    stored = size * 12 / 6
    return [
        Line("CloudWatch", "logs taken in", f"{size:,.0f} GB", price("logs", size)),
        Line("CloudWatch", "logs of a year", f"{stored:,.0f} GB", price("log storage", stored)),
        Line("CloudWatch", "metrics", f"{metrics()}", price("metric", metrics())),
        Line(
            "CloudWatch",
            "alarms and dashboards",
            f"{ALARMS} metrics, {COMPOSITE_ALARMS} composite, {DASHBOARDS} boards",
            price("alarm", ALARMS) + price("composite alarm", COMPOSITE_ALARMS) + price("dashboard", DASHBOARDS),
        ),
        Line("X-Ray", "traces", f"{traces / 1e6:,.1f} M", price("trace", traces)),
    ]


def _models(rate: float) -> list[Line]:
    learnt, looked = reading(rate, LEARNT_DAYS), reading(rate, monitored_days())
    # Trials, training and evaluation: half an hour of waiting for machines, and two hours for ten million rows.
    training = _RETRAININGS * (0.5 + learnt.rows / 10e6 * 2)
    copies = running(rate)[0].copies if rate else 0
    polls = copies * HOURS * 60
    return [
        _read("weekly retraining, datasets", learnt, _RETRAININGS),
        Line(
            "SageMaker",
            "weekly retraining, training and evaluation",
            f"{training:,.0f} h of ml.m5.xlarge",
            price("ml.m5.xlarge", training),
        ),
        _read("daily monitoring", looked, _MONITORINGS),
        Line("KMS", "keys, in their first year", f"{KEYS}", price("key", KEYS)),
        Line("AppConfig", "polls", f"{polls / 1e6:,.1f} M", price("configuration request", polls)),
        Line("Secrets Manager", "secrets", f"{SECRETS}", price("secret", SECRETS)),
    ]


def _read(what: str, job: Reading, times: float) -> Line:
    kind, hours = job.machines.type, job.hours * times
    return Line("SageMaker", what, f"{hours:,.0f} h of {kind}", price(kind, hours))


def replicated(rate: float) -> dict[str, float]:
    """Dollars in a month that a second region adds to the tables and the lake, by what it is for.

    Writes of all tables and their storage once more, and the bytes of both on their way there. Every write of a
    replica is one unit more, transactional or not, as the primary's is (a transaction is none over there).
    """
    month = decisions_in_month(rate)
    features, decisions, _ = asked(rate)
    line = work().size("decision line") + ASSUMED.reports * work().size("label line")
    size = storage_gb(rate)
    return {
        "decisions table, replica": price("write", decisions.writes * _SECONDS)
        + price("table storage", size["decisions"]),
        "features table, replica": price("write", features.writes / 2 * _SECONDS)
        + price("table storage", size["features"]),
        "decisions on their way": price("region to region", month * line / _GB),
        "features on their way": price("region to region", month * 9 * 300 / _GB),
        "lake, copy": price("object storage", month * ASSUMED.kept_months * ASSUMED.parquet_bytes / _GB)
        + price("region to region", month * ASSUMED.parquet_bytes / _GB),
        "idle parts": sum(each.dollars for each in lines(0)),
    }
