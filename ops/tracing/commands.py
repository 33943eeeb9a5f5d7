"""`paywarden trace ...`."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, console
from ops.times import now

__all__ = ["trace"]


def trace(
    request: Annotated[str, typer.Argument(help="A correlation id; with --merchant the id of a transaction.")],
    merchant: Annotated[str, typer.Option("--merchant", "-m", help="Follow a transaction of this merchant.")] = "",
    hours: Annotated[
        float,
        typer.Option(
            "--hours",
            min=0.1,
            help="How far back to look in the lake; logs are read around what is found there, else as far back.",
        ),
    ] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print the moments as JSON.")] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Show what became of one request, in the order of time: log lines, ledger, features, lake.

    The id is the one that the merchant sent as Paywarden-Correlation-Id, or was answered under that name. Every
    function names it in its lines, and the rows of the ledger and the lake carry it. Nothing is changed.
    """
    from ops.tracing.following import follow

    deployment = connect(env, port=port)
    since = now() - round(hours * 3_600_000)
    with console.status("reading the lake, the ledger and the logs"):
        moments = follow(deployment, request, merchant=merchant, since=since)
    if as_json:
        sys.stdout.write(msgspec.json.encode(moments).decode() + "\n")
        return
    table = Table("time (UTC)", Column("after", justify="right"), "where", Column("what", overflow="fold"))
    for moment in moments:
        at = datetime.fromtimestamp(moment.at / 1_000, UTC).isoformat(sep=" ", timespec="milliseconds")[:-6]
        about = f"{moment.event_id} {moment.what}" if moment.event_id else moment.what
        table.add_row(at, f"{moment.at - moments[0].at} ms", moment.where, about)
    out = Console()
    out.print(table, highlight=False)
    if not deployment.environment.replay_time and any(moment.event_id for moment in moments):
        out.print(
            f"Logs were read only around these moments; `paywarden logs FUNCTION --containing ID --minutes N "
            f"--env {env}` reads more.",
            highlight=False,
            soft_wrap=True,
        )
    traces = sorted({moment.trace for moment in moments if moment.trace})
    if traces:
        out.print(f"X-Ray traces: {', '.join(traces)}", highlight=False)
