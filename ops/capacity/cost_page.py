"""docs/cost.md: what each rate costs, by service and line by line."""

from collections.abc import Iterable

from ops.capacity.cost import (
    ENDPOINTS,
    KEYS,
    LEARNT_DAYS,
    ZONES,
    by_service,
    decisions_in_month,
    lines,
    private,
    provisioned,
    replicated,
    storage_gb,
)
from ops.capacity.jobs import MOST_ROWS, monitored_days, reading, replay_of
from ops.capacity.prices import PRICES, REGION, SEEN_ON, price
from ops.capacity.tables import asked
from ops.capacity.work import ASSUMED, RATES
from ops.markdown import made_by, table

__all__ = ["cost_page"]


def cost_page() -> Iterable[str]:
    """The page, line by line."""
    totals = {rate: sum(by_service(rate).values()) for rate in RATES}
    idle = sum(by_service(0).values())
    yield from (
        "# Cost",
        "",
        made_by("capacity"),
        "",
        f"US dollars, list prices of {REGION}, as of {SEEN_ON}; no free tier, no discount, no support plan, one "
        "environment. A rate is one that holds day and night; a day's real curve costs what its mean does. "
        "Amounts and "
        "assumptions are those of [capacity](capacity.md).",
        "",
        "![What a million decisions costs, by service](images/cost.svg)",
        "",
        *table(
            ("", "idle", *(f"{rate:,} a second" for rate in RATES)),
            [
                ("decisions in a month", "0", *(f"{decisions_in_month(rate) / 1e6:,.0f} M" for rate in RATES)),
                (
                    "**for a million decisions**",
                    "",
                    *(f"**${totals[rate] / decisions_in_month(rate) * 1e6:,.2f}**" for rate in RATES),
                ),
                ("**in a month**", f"**${idle:,.0f}**", *(f"**${totals[rate]:,.0f}**" for rate in RATES)),
                *(
                    (name, f"${by_service(0)[name]:,.0f}", *(f"${by_service(rate)[name]:,.0f}" for rate in RATES))
                    for name in by_service(RATES[0])
                ),
            ],
        ),
        "",
        *_lessons(),
        "",
    )
    for rate in RATES:
        yield from (
            f"## {rate:,} decisions a second, a month",
            "",
            *table(
                ("service", "for", "amount", "dollars", "a million decisions"),
                [
                    (
                        each.service,
                        each.what,
                        each.amount,
                        f"{each.dollars:,.2f}",
                        f"{each.dollars / decisions_in_month(rate) * 1e6:.3f}",
                    )
                    for each in lines(rate)
                ],
            ),
            "",
        )
    yield from (
        "## On demand or provisioned",
        "",
        f"For the tables' reads and writes alone, in a month; provisioned at {ASSUMED.busy:.0%} use, without "
        "reserved "
        "capacity. Provisioned is cheaper wherever the day's peak is less than about 2.4 times its mean, but "
        "throttles "
        "while it scales: stay on demand until a month of real curves is known.",
        "",
        *table(
            ("table", *(f"{kind} at {rate:,}" for rate in RATES for kind in ("on demand", "provisioned"))),
            [
                (
                    several[0].table,
                    *(f"${dollars:,.0f}" for each in several for dollars in provisioned(each)),
                )
                for several in zip(*(asked(rate) for rate in RATES), strict=True)
            ],
        ),
        "",
        "## A second region",
        "",
        "What the tables and the lake cost more in a month if every write goes to a second region too (see "
        "[the decision](decisions/0038-more-than-one-region.md)); its functions cost what they do here once they "
        "serve.",
        "",
        *table(
            ("for", *(f"{rate:,} a second" for rate in RATES)),
            [(name, *(f"${replicated(rate)[name]:,.0f}" for rate in RATES)) for name in replicated(RATES[0])]
            + [("**all**", *(f"**${sum(replicated(rate).values()):,.0f}**" for rate in RATES))],
        ),
        "",
        "## A private network",
        "",
        f"An environment that is private (see [edge](edge.md)) pays for {ENDPOINTS} endpoints in {ZONES} zones, "
        f"and for the requests and events that go through them: ${private(0):,.0f} a month idle, "
        + ", ".join(f"${private(rate):,.0f} at {rate:,} a second" for rate in RATES)
        + ". What the tables and the lake are asked goes over gateways, which cost nothing.",
        "",
        "## A restore",
        "",
        "To restore the ledger of a year beside itself costs, once, "
        + ", ".join(
            f"${price('restore', storage_gb(rate)['decisions']):,.0f} at {rate:,} a second" for rate in RATES
        )
        + ", and its storage for as long as it is kept; see [recovery](recovery.md).",
        "",
        "## Prices",
        "",
        "Sources are AWS's pages. They could not be opened from where this was written: *read at* says where the "
        "figure was seen instead. Those without were not confirmed; look before you rely on them.",
        "",
        *table(
            ("price", "dollars", "for a", "source", "read at"),
            [
                (
                    each.name,
                    " / ".join(f"{dollars:.10f}".rstrip("0").rstrip(".") for _, dollars in each.tiers),
                    each.unit,
                    each.source,
                    each.seen or "**not confirmed**",
                )
                for each in PRICES.values()
            ],
        ),
    )


def _lessons() -> Iterable[str]:
    rate = RATES[1]
    total, found = (
        sum(by_service(rate).values()),
        {(each.service, each.what): each.dollars for each in lines(rate)},
    )
    storage = found["DynamoDB", "decisions, storage and its recovery"]
    writes = found["DynamoDB", "features, writes"]
    logs = found["CloudWatch", "logs taken in"]
    quarter = storage * (1 - 3 / ASSUMED.kept_months)
    yield from (
        f"- The largest line at {rate:,} a second is the ledger's storage after {ASSUMED.kept_months} months "
        f"({storage_gb(rate)['decisions'] / 1_024:,.0f} TB, {storage / total:.0%} of all): nothing of it "
        "expires, and its "
        "rows are in the lake as well. Keeping three months of it in the table would save "
        f"${quarter:,.0f} a month.",
        f"- Next are the writes of states ({writes / total:.0%}): nine states and a marker an event, each "
        "counted twice in "
        "a transaction. That is the price of folding each event exactly once; batches of ten take a quarter off "
        "it.",
        f"- Scoring itself is cheap: all of Lambda is {by_service(rate)['Lambda'] / total:.0%}. Logs are "
        f"{logs / total:.0%}; a lower level of Lambda's own lines would save about a third of them.",
        _jobs(),
        "- Business metrics are counted by tier and never by merchant, so they cost the same at every rate.",
        "- Each key of KMS costs a dollar more a month after its first rotation, and another after its second: "
        f"${3 * KEYS} for all of them from the third year on.",
        "- Not counted: requests to KMS, calls to Secrets Manager, transitions of the state machines, requests to "
        "S3, the container registry, and what WAF looks at of batches beyond their first 16 KB. None of them is "
        "asked once for each decision.",
    )


def _jobs() -> str:
    rate, days = RATES[0], monitored_days()
    look, learn, month = reading(rate, days), reading(rate, LEARNT_DAYS), replay_of(rate, 30)
    ends = {name: MOST_ROWS / each / 86_400 for name, each in (("look", days), ("learn", LEARNT_DAYS))}
    return (
        f"- Jobs are paid by what they read: a daily look {days:,.0f} days of the lake, a retraining all of it. "
        f"Both hold their rows in the memory of one machine, about {MOST_ROWS / 1e6:,.0f} M "
        f"([why](decisions/0013-spark.md)): that is a look at up to {ends['look']:.1f} decisions a second, and a "
        f"retraining on a year of up to {ends['learn']:.1f}. At {rate:,} a second they would be "
        f"{look.wanted / 1e6:,.0f} M and {learn.wanted / 1e6:,.0f} M. Rows are not sampled yet, so beyond these "
        "rates both do not fit their machines, and the lines are those of a job that is full. A replay reads a "
        f"day's files at a time and has no such end: 30 days at {rate:,} a second are {month.bytes / 1e9:,.0f} GB "
        f"and {month.hours:,.1f} h of {month.machines.type}, ${price(month.machines.type, month.hours):,.2f}."
    )
