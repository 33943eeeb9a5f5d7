"""`paywarden status` and `paywarden resources`."""

import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Column, Table

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port

__all__ = ["resources", "status"]


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option("--every", min=2, help="Seconds between two looks of --watch.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for scripts.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 while a page is on, or alarms are unknown.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write the screen to this file as SVG as well, for a report.")
    ] = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Show how a deployment is, on one screen of 100 columns.

    Alarms that are on, with their runbook; traffic and times of the last five to ten minutes beside those of an
    hour before; queues and dead letters; what is left of each objective's allowance over 30 days; the models that
    serve, and the last retraining and monitoring. A dash is a figure that nothing was measured for.

    It exits with 0 whatever it shows, unless --check asks for more. Each look asks CloudWatch for metrics, and
    that costs a little.
    """
    from ops.status.gathering import gather, pages
    from ops.status.screen import WIDTH, screen

    deployment = connect(env, port=port)
    found = gather(deployment)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        out = Console(record=picture is not None)
        if not out.is_terminal:
            out.width = max(out.width, WIDTH)
        if watch:
            with Live(screen(found), console=out, screen=True, auto_refresh=False) as live:
                try:
                    while True:
                        time.sleep(every)
                        found = gather(deployment)
                        live.update(screen(found), refresh=True)
                except KeyboardInterrupt:
                    pass
        out.print(screen(found))
        if picture is not None:
            out.save_svg(str(picture), title=f"paywarden status --env {env}")
    if check and (found.alarms is None or pages(found.alarms.on)):
        raise typer.Exit(1)


def resources(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """List a deployment's resources by the names that they have here: tables, buckets, queues, topics, the API."""
    deployment = connect(env, port=port)
    table = Table("resource", Column("name", overflow="fold"))
    # Outputs with digits in their names are the CDK's own wiring between stacks.
    for name in sorted(name for name in deployment.resources if name.isalpha()):
        table.add_row(name, deployment.resources[name])
    table.add_row("API", deployment.api_url)
    Console().print(table)
