"""docs/capacity.md: what each rate asks for, and what ends first."""

from collections.abc import Iterable
from dataclasses import fields

from ops.capacity.concurrency import batch_of_updates, hold_ms, running, stream_shards
from ops.capacity.quotas import LIMITS, ends_at
from ops.capacity.tables import asked, heat
from ops.capacity.work import ASSUMED, FUNCTIONS, RATES, work
from ops.markdown import made_by, table

__all__ = ["needs_page"]


def needs_page() -> Iterable[str]:
    """The page, line by line."""
    measured = work()
    yield from (
        "# Capacity",
        "",
        made_by("capacity"),
        "",
        "What the platform asks of AWS at 100, 1,000 and 10,000 decisions a second, all day long, and what ends "
        "first.",
        "Calls and sizes are measured with the platform's own code on a generated world "
        "(`ops/capacity/measured.json`; `tests/unit/capacity` measures them again on each run and fails when they "
        "changed). Durations on AWS are assumptions: nothing here has run there. What it costs is in "
        "[cost](cost.md).",
        "",
        "```sh",
        ".venv/bin/paywarden capacity                 # this, for the three rates",
        ".venv/bin/paywarden capacity --rate 2500     # for a rate of your own",
        "```",
        "",
        "## What ends first",
        "",
        "Sorted by the rate at which it is used up, by default and in us-east-1.",
        "",
        *table(
            ("what", "ends at decisions/s", "gives", *(f"used at {rate:,}" for rate in RATES)),
            [
                (
                    f"{limit.name}{' (ours)' if limit.ours else ''}",
                    "beyond 100,000" if (end := ends_at(limit)) is None else f"{end:,.0f}",
                    f"{limit.gives:,.0f} {limit.unit}",
                    *(f"{limit.used(rate):.0%}" for rate in RATES),
                )
                for limit in sorted(LIMITS, key=lambda each: ends_at(each) or float("inf"))
            ],
        ),
        "",
        *_verdict(),
        "",
        "What to do about each, before it ends:",
        "",
        *(f"- **{limit.name}**: {limit.remedy}. Source: {limit.source}." for limit in LIMITS),
        "",
        "## Functions",
        "",
        "Copies on average are calls times duration (Little's law); *at once* suffices in 999 of 1,000 moments; "
        "*when "
        "slow* is if every call took as long as the slowest hundredth.",
        "",
    )
    for rate in RATES:
        yield from (
            f"At {rate:,} decisions a second:",
            "",
            *table(
                (
                    "function",
                    "MB",
                    "calls/s",
                    "events each",
                    "mean ms",
                    "p99 ms",
                    "average",
                    "at once",
                    "when slow",
                ),
                [
                    (
                        each.function.name,
                        f"{each.function.memory:,}",
                        f"{each.calls:,.0f}",
                        f"{each.each:.0f}",
                        f"{each.mean_ms:.0f}",
                        f"{each.slow_ms:.0f}",
                        f"{each.mean:.1f}",
                        str(each.copies),
                        str(each.copies_when_slow),
                    )
                    for each in running(rate)
                ],
            ),
            "",
        )
    yield from (
        "## Tables",
        "",
        "Units a second. A partition gives 3,000 reads and 1,000 writes; a table's quota is 40,000 of each; a "
        "new table "
        "on demand starts at 12,000 and 4,000, so warm it before a launch.",
        "",
        *table(
            ("table", *(f"{kind} at {rate:,}" for rate in RATES for kind in ("reads", "writes", "partitions"))),
            [
                (
                    several[0].table,
                    *(
                        cell
                        for each in several
                        for cell in (f"{each.reads:,.0f}", f"{each.writes:,.0f}", f"{each.partitions:,}")
                    ),
                )
                for several in zip(*(asked(rate) for rate in RATES), strict=True)
            ],
        ),
        "",
        "## Hot items",
        "",
        f"The busiest merchant is taken to have {ASSUMED.merchant_share:.0%} of all payments and the busiest BIN "
        f"{ASSUMED.bin_share:.0%}. Both are kept in four shards, chosen by the event's id; a decision reads them "
        "all, "
        "an event is folded into one, and a batch of ten writes each shard once. Nothing else is sharded: a card "
        "or a "
        "device is never that busy. An address may be (a carrier's, a shop's own): one with 1 % of all payments "
        "is half "
        "as hot as the BIN's four shards together.",
        "",
        "States are written with a condition on their version, so of two transactions on one item one is made "
        "again. "
        "*Races* is how many others begin in the time in which a state is held "
        f"({', '.join(f'{hold_ms(rate):.0f} ms at {rate:,}' for rate in RATES)}). Up to a half is a nuisance; "
        "from 1 on "
        "the queue grows and features grow older. After two lost races events that share no state are written "
        "apart, so only those of the busy item wait. One that loses six times at each of five deliveries is a "
        "dead letter, folded by `paywarden redrive updates`; nothing is wrong.",
        "",
        *table(
            (
                "item",
                "kind",
                *(f"{what} at {rate:,}" for rate in RATES for what in ("units/s", "of limit", "races")),
            ),
            [
                (
                    several[0].item,
                    several[0].kind,
                    *(
                        cell
                        for each in several
                        for cell in (
                            f"{each.units:,.0f}",
                            f"{each.units / each.limit:.0%}",
                            f"{each.races:.2f}" if each.kind == "write" else "",
                        )
                    ),
                )
                for several in zip(*(heat(rate) for rate in RATES), strict=True)
            ],
        ),
        "",
        "## What one decision asks for",
        "",
        "Measured. Reads of decisions are eventually consistent (half a unit for 4 KB), those of updates "
        "consistent; a "
        "transaction's writes count twice.",
        "",
        *table(
            ("what", "call", "calls", "items", "units"),
            [
                (what, call, f"{found['calls']:.3g}", f"{found['items']:.2f}", f"{found['units']:.2f}")
                for what, calls in measured.document.items()
                if what != "sizes"
                for call, found in calls.items()
            ],
        ),
        "",
        "The rest of a decision's way: one record of the stream, one entry of PutEvents "
        "(ten to a call), two deliveries of the bus, one SQS message (received and deleted up to ten together), "
        "one "
        "Firehose record. The ledger's stream has "
        f"{', '.join(f'{stream_shards(rate)} shards at {rate:,}' for rate in RATES)}; "
        f"update_features is given {', '.join(f'{batch_of_updates(rate)} at {rate:,}' for rate in RATES)} "
        "messages at once.",
        "",
        "Bytes:",
        "",
        *table(
            ("item", "mean", "p50", "p99", "most"),
            [
                (name, *(f"{value:,}" for value in spread.values()))
                for name, spread in measured.document["sizes"].items()
            ],
        ),
        "",
        "## What is assumed",
        "",
        *table(
            ("assumption", "value"),
            [(f"`{each.name}`", f"{getattr(ASSUMED, each.name):,}") for each in fields(ASSUMED)],
        ),
        "",
        *table(
            ("function", "own ms a call", "own ms an event", "p99 over mean", "bytes of log a call"),
            [
                (
                    each.name,
                    f"{each.own_ms:g}",
                    f"{each.own_ms_each:g}",
                    f"{each.slow:g}",
                    f"{each.log_bytes:,}",
                )
                for each in FUNCTIONS.values()
            ],
        ),
        "",
        "Each has its reason beside it in `ops/capacity/work.py`. The ones that matter most are the times of the "
        "calls "
        "(they make the races) and the shares of the busiest merchant and BIN. Measure both in staging before a "
        "launch: "
        "`Conflict` and `Throttled` of update_features, and the durations of the functions.",
    )


def _verdict() -> Iterable[str]:
    known = [(end, limit) for limit in LIMITS if (end := ends_at(limit)) is not None]
    ends = sorted(known, key=lambda each: each[0])
    highest = RATES[-1]
    beyond = [limit for end, limit in ends if end < highest]
    first_end, first = ends[0]
    yield (
        f"**At {highest:,} a second the platform as it is does not hold.** First come {first.name}, at some "
        f"{first_end:,.0f} decisions a second: decisions go on, but the features of that merchant grow older. "
        f"{len(beyond)} of {len(LIMITS)} limits are passed on the way to {highest:,}, of them "
        f"{sum(limit.ours for limit in beyond)} of our own design or settings; the others are quotas that AWS "
        "raises."
    )
