"""`paywarden erase ...`."""

import secrets
import time
from collections import Counter
from typing import Annotated

import typer
from rich.table import Table

from fraud.features import STANDARD
from fraud.tokens import IDENTIFIERS
from ops import persons
from ops.deployment import Deployment, connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.persons.erasing import due
from ops.persons.traces import keys_of
from ops.terminal import Env, Port, Yes, ask, console, progress_bars
from ops.times import now, shown
from ops.tokens import Secret

__all__ = ["erase_app"]

_PATIENCE = 900
"""Seconds that payments on their way are waited for, looking every `_PAUSE`; `finish` tells why after that."""

_PAUSE = 3

erase_app = typer.Typer(
    no_args_is_help=True,
    help="Erase people: delete what their tokens are made with, and what is kept under these tokens.",
)


@erase_app.command("person")
def erase_person(
    identifiers: Annotated[
        typer.FileText,
        typer.Argument(
            help='A file, or - for standard input, with a line for each: {"field": "email", "value": "..."}; '
            'fields are card, customer (with "merchant"), device, ip, email and phone.'
        ),
    ],
    reason: Annotated[
        str, typer.Option("--reason", help="Such as the request's number, for the audit trail; no name, no email.")
    ],
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for what `paywarden erase finish` does, and do it.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Make a person's tokens impossible, and delete the states and list entries under them.

    Identifiers are read from a file, since arguments stay in the shell's history; delete the file afterwards. Give
    all that are known, each as it was sent, for tokens that are not erased still tell which payments go together.
    Payments that were decided stay, under tokens that nobody can link to anybody. Nothing brings the history back.

    Several people may be in one file. What is run again erases what came since.
    """
    deployment = connect(env, port=port)
    values = persons.read_identifiers(
        identifiers,
        deployment.tokeniser(),
        clock=now(),
        known=lambda name: deployment.merchants().account(name) is not None,
    )
    _show(deployment, values)
    if dry_run:
        return
    ask(f"Erase them in {env}? This cannot be taken back.", yes=yes)
    ring = persons.erase(
        Secret.of(deployment),
        values,
        clock=now,
        fresh=lambda: secrets.token_bytes(32),
        reason=reason,
    )
    ready = due(ring, deployment.environment.token_refresh_seconds)
    console.print(
        "The keys that count cannot make their tokens any more. Until the erasure is finished the keys of before "
        "are kept, and processes that have not seen the new ones make those tokens."
    )
    if not wait:
        console.print(f"From {shown(ready)} UTC on `paywarden erase finish` deletes what is kept under them.")
        return
    _wait(deployment, ready)
    _finish(deployment)


@erase_app.command("finish")
def finish_erasure(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Delete what is kept under tokens that are being erased, and the keys of before, once no process makes them.

    What `paywarden erase person` does by itself unless it is told not to wait, or was cut off. It is refused while
    payments under those tokens are still on their way to the features.
    """
    _finish(connect(env, port=port))


@erase_app.command("status")
def show_status(
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 while an erasure is not finished.")] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Show whether an erasure is under way, when it can be finished, and how much was erased under each key."""
    deployment = connect(env, port=port)
    secret = Secret.of(deployment)
    ring, _ = secret.read()
    table = Table("key", "trees", "nodes kept")
    for name, key in secret.tokeniser(ring).keys.items():
        table.add_row(name, str(len(key.trees)), f"{sum(map(len, key.trees)):,}")
    console.print(table)
    if ring.erased:
        ready = due(ring, deployment.environment.token_refresh_seconds)
        console.print(
            f"{len(secret.erased(ring))} tokens are being erased since {shown(ring.erased_at)} UTC; from "
            f"{shown(ready)} UTC on `paywarden erase finish` deletes what is kept under them and the keys of "
            "before. Until then whoever holds these can make those tokens.",
            highlight=False,
        )
    else:
        console.print("No erasure is under way.")
    _reach(len(secret.within_reach()))
    if check and ring.erased:
        raise typer.Exit(1)


def _show(deployment: Deployment, values: list[tuple[str, str]]) -> None:
    fields = {kind: field for field, kind in IDENTIFIERS.items()}
    tokens = deployment.tokeniser().tokens(values)
    merchants = [each.merchant_id for each in deployment.merchants().accounts()]
    table = Table("identifiers", "given")
    for kind, count in Counter(kind for kind, _ in values).items():
        table.add_row(fields[kind], str(count))
    console.print(table)
    store = deployment.features()
    states = store.read(keys_of(STANDARD, tokens, merchants)) if tokens else {}
    console.print(
        f"{len(tokens)} tokens would be erased; {len(states)} states that serve are kept under them.",
        highlight=False,
    )


def _finish(deployment: Deployment) -> None:
    done = persons.finish(deployment, clock=now())
    console.print(
        f"{done.tokens} tokens are gone, with {done.states} states and {done.entries} entries of lists. Payments "
        "stay in the ledger and the lake, under tokens that nobody can link to anybody.",
        highlight=False,
    )
    _reach(done.within_reach)


def _reach(versions: int) -> None:
    if versions:
        console.print(
            f"AWS still keeps {versions} earlier versions of the secret which hold a key that the current one "
            "does not; whoever may read the secret can ask for one by its id. `paywarden erase status` tells when "
            "they are gone (docs/security-of-data.md).",
            highlight=False,
        )


def _wait(deployment: Deployment, ready: int) -> None:
    with progress_bars() as bars:
        total = max(ready - now(), 0) // 1_000 + 1
        task = bars.add_task("until every process has the new keys (seconds)", total=total)
        for done in range(total):
            bars.update(task, completed=done)
            time.sleep(1)
        task = bars.add_task("until no payment under those tokens is on its way (seconds)", total=_PATIENCE)
        for done in range(0, _PATIENCE, _PAUSE):
            bars.update(task, completed=done)
            if not persons.held_up(deployment, ready, clock=now()):
                return
            time.sleep(_PAUSE)
