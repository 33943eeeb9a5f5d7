"""`paywarden backtest-rules ...`."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, Since, Until, console, ms, progress_bars, stages
from ops.times import now

__all__ = ["backtest_rules"]


def backtest_rules(
    merchant: Annotated[str, typer.Option("--merchant", help="The id of the merchant whose decisions to use.")],
    rules: Annotated[
        Path | None,
        typer.Argument(help="The draft: JSON as PUT /v1/rules takes it; the merchant's own rules by default."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="JSON as PUT /v1/policy takes it; the merchant's own policy by default."),
    ] = None,
    since: Since = None,
    until: Until = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures on standard output, as the API answers them.")
    ] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Try rules or a policy on past decisions: what they would have done, in counts and money.

    Looks at every decision of the merchant in that time (the last 30 days by default), where the API stops at
    20,000. Where labels are known by now, it tells frauds caught, frauds let through, and genuine payments turned
    away. Nothing is changed.
    """
    from fraud.rules import Rules
    from ops.backtests.tables import tables
    from ops.backtests.trying import read_document, try_draft
    from runtime.contract.settings import PolicyRequest

    drafted = read_document(rules, Rules) if rules else None
    decided = read_document(policy, PolicyRequest) if policy else None
    deployment = connect(env, port=port)
    with progress_bars() as bars:
        told = try_draft(
            deployment,
            merchant,
            drafted,
            decided,
            since=ms(since),
            until=ms(until),
            now=now(),
            progress=stages(bars),
        )
    if as_json:
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    report = told.report
    unscored = f"; {report.degraded:,} had no score" if report.degraded else ""
    span = " until ".join(each[:16].replace("T", " ") for each in (told.since, told.until))
    console.print(
        f"{report.decisions:,} decisions from {span} (UTC): {report.changed:,} would be others. "
        f"Of {report.labelled:,} it is known whether they were fraud{unscored}.",
        highlight=False,
    )
    for table in tables(told):
        console.print(table)
