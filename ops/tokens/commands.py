"""`paywarden tokens ...`."""

import secrets
from typing import Annotated

import typer
from rich.table import Table

from fraud.tokens import Keyring
from fraud.windows import duration
from ops import tokens
from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, console
from ops.times import now, shown
from runtime.keyring import lead

__all__ = ["tokens_app"]

tokens_app = typer.Typer(no_args_is_help=True, help="The key that cards, emails and devices become tokens under.")


@tokens_app.command("rotate")
def rotate_key(
    overlap: Annotated[
        str | None,
        typer.Option(
            "--overlap", help="How long states are read under both keys; as the longest window by default."
        ),
    ] = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Make a new key, which counts from ten minutes on, and keep the one before for the overlap."""
    try:
        span = tokens.shortest_overlap() if overlap is None else duration(overlap)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--overlap") from None
    deployment = connect(env, port=port)
    ring = tokens.rotate(
        tokens.Secret.of(deployment),
        secrets.token_hex(32),
        clock=now(),
        lead=lead(deployment.environment.token_refresh_seconds),
        overlap=span,
    )
    console.print(f"Key {ring.current} counts from {shown(ring.activates_at)} UTC on.")
    console.print(f"States are read under key {ring.before} too until {shown(ring.until)} UTC; retire it then.")


@tokens_app.command("status")
def show_status(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Show which keys there are, and what comes next; never a key itself."""
    ring, _ = tokens.Secret.of(connect(env, port=port)).read()
    table = Table("key", "makes tokens", "states are read")
    for row in _rows(ring, now()):
        table.add_row(*row)
    console.print(table)
    if ring.erased:
        console.print("People are being erased; `paywarden erase status` tells how far that is.")
    console.print(f"Next: {_next(ring, now())}")


@tokens_app.command("retire")
def retire_key(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Delete the key before, once its overlap is over: nothing links its tokens to anybody from then on."""
    ring = tokens.retire(tokens.Secret.of(connect(env, port=port)), clock=now())
    console.print(f"Key {ring.current} is the only one now.")


def _rows(ring: Keyring, now: int) -> list[tuple[str, str, str]]:
    if not ring.before:
        return [(ring.current, "now", "now")]
    start, end = f"{shown(ring.activates_at)} UTC", f"{shown(ring.until)} UTC"
    active, over = now >= ring.activates_at, now >= ring.until
    return [
        (ring.current, f"since {start}" if active else f"from {start} on", "now" if active else "not yet"),
        (ring.before, f"until {start}", "no more" if over else f"until {end}"),
    ]


def _next(ring: Keyring, now: int) -> str:
    if not ring.before:
        return "`paywarden tokens rotate`, when the key is to be changed."
    if now >= ring.until:
        return "`paywarden tokens retire` deletes the key before."
    return f"`paywarden tokens retire`, from {shown(ring.until)} UTC on."
