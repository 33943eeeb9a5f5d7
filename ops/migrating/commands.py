"""`paywarden migrate states`."""

import time
from typing import Annotated

import typer

from fraud.codec import FORMS
from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, Yes, ask, console, progress_bars, stages
from ops.times import now

__all__ = ["migrate_app"]

migrate_app = typer.Typer(no_args_is_help=True, help="Bring stored data into the form of another release.")


@migrate_app.command("states")
def migrate_states(
    to: Annotated[
        int, typer.Option("--to", help="The version of the packed form; by default the newest known here.")
    ] = max(FORMS),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the states by their form.")] = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Have all states written in another packed form, and rewrite those that there are, beside live traffic.

    All code that may be called has to read the form, or nothing is begun. Decisions and updates go on; nothing is
    folded twice or lost. It waits a minute first, and reads the whole table twice at least. Ended early, it goes
    on when it is run again. `--to` the form before undoes it, which comes before any roll-back to code that does
    not read the new one.
    """
    from ops.migrating.readers import refuse_unread
    from ops.migrating.states import count, migrate

    deployment = connect(env, port=port)
    store, client, table = deployment.features(), deployment.client("dynamodb"), deployment["FeaturesTable"]
    refuse_unread(deployment, to)
    written = store.look(())[0].form
    if dry_run:
        with progress_bars() as bars:
            found = count(client, table, progress=stages(bars))
        told = ", ".join(f"{number:,} in form {form}" for form, number in found.items()) or "none"
        console.print(f"Written is form {written}, and would be form {to}. States: {told}.", highlight=False)
        console.print("Nothing was changed.")
        return
    question = f"Have states written in form {to} (now {written}) in {env}, and rewrite the others?"
    ask(question, yes=yes)
    deployment.tell("states", "migrate", before={"form": written}, after={"form": to})
    with progress_bars() as bars:
        done = migrate(
            store,
            client,
            table,
            to,
            clock=now,
            sleep=time.sleep,
            progress=stages(bars),
        )
    told = f"{done.rewritten:,} rewritten, {done.overtaken:,} by live traffic meanwhile"
    console.print(f"All states are in form {to}: {told}.", highlight=False)
    if done.unreadable:
        told = ", ".join(sorted(done.unreadable)[:3])
        console.print(
            f"{len(done.unreadable):,} cannot be read and were left, such as {told}: `paywarden rebuild-state`.",
            markup=False,
            highlight=False,
        )
        raise typer.Exit(1)
