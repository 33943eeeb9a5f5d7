"""`paywarden logs`: what a function said of late."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, console

__all__ = ["logs"]

_STYLES = {"ERROR": "red", "CRITICAL": "red", "WARNING": "yellow"}


def logs(
    function: Annotated[str, typer.Argument(help="Such as score_transaction.")],
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="How far to look back.")] = 15,
    every: Annotated[bool, typer.Option("--all", help="All lines, not only those that tell of trouble.")] = False,
    containing: Annotated[
        str, typer.Option("--containing", help="Only lines with this text, such as a correlation id.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest so many lines.")] = 50,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Show what a function logged of late: errors and warnings, or what contains a text.

    Lines hold ids and no data of payers. What every line has, such as its request and trace, is left out here.
    """
    from ops.logs.reading import TROUBLE, read

    deployment = connect(env, port=port)
    since = round((time.time() - 60 * minutes) * 1_000)
    text = containing.replace('"', "")
    pattern = f'"{text}"' if text else "" if every else TROUBLE
    lines = read(deployment, function, since=since, pattern=pattern, limit=limit)
    for each in lines:
        at = datetime.fromtimestamp(each.at / 1_000, UTC).strftime("%H:%M:%S")
        style = _STYLES.get(each.level, "default")
        more = " ".join(f"{name}={value}" for name, value in each.more.items())
        console.print(
            f"{at} [{style}]{each.level:8}[/{style}] {escape(each.message)} [dim]{escape(more)}[/dim]",
            highlight=False,
            soft_wrap=True,
        )
    if not lines:
        what = "lines with that text" if text else "lines" if every else "errors or warnings"
        console.print(f"No {what} of {function} in the last {minutes:g} minutes.", highlight=False)
