"""`paywarden inventory`."""

from typing import Annotated

import typer
from rich.table import Table

from ops.terminal import console

__all__ = ["inventory"]


def inventory(
    env: Annotated[str, typer.Option("--env", help="An environment of infra/environments.py.")] = "prod",
    write: Annotated[
        bool, typer.Option("--write", help="Make the tables of docs/deploy.md anew, from production's templates.")
    ] = False,
) -> None:
    """Show what a deployment of an environment consists of, and what of it listens; nothing is deployed."""
    from ops.inventory.page import PAGE, replaced
    from ops.inventory.tables import counted, listening
    from ops.inventory.templates import synthesized

    try:
        templates = synthesized(env)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--env") from None
    there = Table("type", *templates, "all", title=f"What {env} consists of")
    for row in counted(templates):
        there.add_row(*row)
    console.print(there)
    heard = Table("what", "how many", "names", "reached by", title="What listens")
    for row in listening(templates):
        heard.add_row(*row)
    console.print(heard)
    if write:
        made = templates if env == "prod" else synthesized("prod")
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
        console.print(f"Written: docs/{PAGE.name}")
