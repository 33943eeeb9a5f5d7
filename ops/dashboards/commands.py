"""`paywarden dashboards`: pictures of the dashboards, for those who have no console, and for the documentation."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, console, progress_bars

__all__ = ["dashboards"]

_OUT = Path("build/dashboards")


def dashboards(
    env: Env = "local",
    out: Annotated[Path, typer.Option("--out", help="The folder to write the pictures to.")] = _OUT,
    minutes: Annotated[
        int | None,
        typer.Option("--minutes", min=5, help="Show so many minutes instead of what each dashboard says."),
    ] = None,
    port: Port = DEFAULT_PORT,
) -> None:
    """Draw the deployed dashboards as PNG files, with what CloudWatch has measured until now."""
    # Matplotlib takes half a second to import, which other commands should not wait for.
    from ops.dashboards.pictures import pictures

    deployment = connect(env, port=port)
    now = datetime.now(UTC)
    span = timedelta(minutes=minutes) if minutes else None
    out.mkdir(parents=True, exist_ok=True)
    with progress_bars() as progress:
        task = progress.add_task("reading and drawing", total=None)
        prefix = deployment.environment.prefix
        for name, picture in pictures(deployment.client("cloudwatch"), prefix=prefix, until=now, span=span):
            path = out / f"dashboard-{name}.png"
            path.write_bytes(picture)
            progress.update(task, description=f"drew {name}", advance=1)
            console.print(f"{path}")
