"""`paywarden merchants ...`."""

import sys
import time
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Column, Table

from fraud.windows import DAY, HOUR, MINUTE, SECOND, duration
from ops import merchants
from ops.deployment import Deployment, connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.merchants.lifecycle import Change, NewKey
from ops.terminal import Env, Port, console
from ops.times import now
from runtime.stores.merchants import Credential

__all__ = ["merchants_app"]

merchants_app = typer.Typer(no_args_is_help=True, help="Merchants, their keys and their usage plans.")

LONGEST_GRACE: Final = 30 * DAY

Merchant = Annotated[str, typer.Argument(help="The merchant's id: letters, digits, '-', '_', '.', ':'.")]
KeyId = Annotated[
    str | None, typer.Option("--key", help="Only the key with this id, as `paywarden merchants list` shows it.")
]


@merchants_app.command("add")
def add_merchant(
    merchant_id: Merchant,
    plan: Annotated[
        str | None, typer.Option("--plan", help="The usage plan: standard (by default) or high.")
    ] = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Make a merchant and its key. The key is printed once, on standard output, and cannot be shown again."""
    _print(merchants.add(connect(env, port=port), merchant_id, at=now(), plan=plan))


@merchants_app.command("rotate")
def rotate_key(
    merchant_id: Merchant,
    grace: Annotated[
        str | None, typer.Option("--grace", help="How long the older key lives on: 24h by default, 30d at most.")
    ] = None,
    at_once: Annotated[
        bool, typer.Option("--now", help="End every older key at once, instead of a grace.")
    ] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Make a merchant's next key, printed once on standard output; the older one lives on for a while."""
    if at_once and grace is not None:
        raise typer.BadParameter("give either --grace or --now")
    deployment, at = connect(env, port=port), now()
    key = merchants.rotate(deployment, merchant_id, at=at, grace=0 if at_once else _grace(grace or "24h"))
    _print(key)
    for older in key.change.account.live_keys(at):
        if older.key_id != key.key_id:
            console.print(
                f"Key {older.key_id} lives on for {_span(older.expires_at - at)}: move over before that."
            )
    if at_once:
        _tell_bound(deployment, key.change)


@merchants_app.command("disable")
def disable_merchant(
    merchant_id: Merchant, key: KeyId = None, env: Env = "local", port: Port = DEFAULT_PORT
) -> None:
    """End all keys of a merchant, or one of them, until `enable`."""
    deployment = connect(env, port=port)
    change = merchants.disable(deployment, merchant_id, at=now(), key_id=key)
    what = f"Key {key} of merchant {merchant_id}" if key else f"Merchant {merchant_id}"
    console.print(f"{what} {'is' if change.changed else 'was already'} disabled.", highlight=False)
    if not change.account.disabled_at and not change.account.live_keys(now()):
        console.print(f"It has no live key left: `paywarden merchants rotate {merchant_id}` makes one.")
    _tell_bound(deployment, change)


@merchants_app.command("enable")
def enable_merchant(
    merchant_id: Merchant, key: KeyId = None, env: Env = "local", port: Port = DEFAULT_PORT
) -> None:
    """Let a disabled merchant's keys work again: those that were ended with it, or the one that is named."""
    change = merchants.enable(connect(env, port=port), merchant_id, at=now(), key_id=key)
    live = ", ".join(each.key_id for each in change.account.live_keys(now()))
    state = "is" if change.changed else "was already"
    console.print(f"Merchant {merchant_id} {state} enabled; live keys: {live or 'none'}.", highlight=False)
    if not live:
        console.print(f"`paywarden merchants rotate {merchant_id}` makes one.")


@merchants_app.command("plan")
def move_merchant(
    merchant_id: Merchant,
    plan: Annotated[str, typer.Argument(help="The usage plan to be in: standard or high.")],
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Put a merchant into another usage plan; its keys stay the same, and no request is lost.

    On AWS the first move to a plan takes two runs: API Gateway has to learn of an API key before it is used.
    """
    deployment = connect(env, port=port)
    change = merchants.move(deployment, merchant_id, plan, at=now())
    state = "is" if change.changed else "was already"
    console.print(f"Merchant {merchant_id} {state} in the plan {plan}.", highlight=False)
    if change.kept_answers:
        console.print(
            f"The plan before may count for up to {deployment.environment.authorizer_cache_seconds} more seconds."
        )


@merchants_app.command("join")
def join_plans(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Put all merchants into their usage plans again, after the API was made anew: until then they get 403."""
    joined = merchants.join(connect(env, port=port), at=now())
    console.print(f"{len(joined)} merchants are in their plans; disabled ones join when they are enabled.")


@merchants_app.command("list")
def list_merchants(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """List merchants, their plans and the public halves of their keys."""
    at, key_id = now(), Column("key", no_wrap=True)
    table = Table("merchant", "plan", key_id, "state", "created", "last change")
    for account in connect(env, port=port).merchants().accounts():
        name, plan, changed = account.merchant_id, account.plan, _time(account.changed_at)
        for key in account.keys:
            table.add_row(name, plan, key.key_id, _state(key, at), _time(key.created_at), changed)
            name = plan = changed = ""
        table.add_section()
    console.print(table)


def _print(key: NewKey) -> None:
    console.print(
        f"Key {key.key_id} of merchant {key.merchant_id}, plan {key.change.account.plan}. Keep it safe; it cannot "
        "be shown again:",
        highlight=False,
    )
    sys.stdout.write(key.secret + "\n")
    sys.stdout.flush()


def _tell_bound(deployment: Deployment, change: Change) -> None:
    if change.kept_answers:
        console.print(
            f"API Gateway did not drop the answers it keeps ({escape(change.kept_answers)}): what was ended may "
            f"be accepted for up to {deployment.environment.authorizer_cache_seconds} more seconds.",
            highlight=False,
        )


def _grace(text: str) -> int:
    try:
        span = duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--grace") from error
    if span > LONGEST_GRACE:
        raise typer.BadParameter("give 30d at most, or disable the older key by hand later", param_hint="--grace")
    return span


def _state(key: Credential, at: int) -> str:
    state = key.state(at)
    return f"live, expires in {_span(key.expires_at - at)}" if state == "live" and key.expires_at else state


def _span(span: int) -> str:
    """A time to come, of `span` ms, in the two units that matter: ``23 h 59 min``."""
    units = (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND))
    first = next((place for place, (_, size) in enumerate(units) if span >= size), len(units) - 1)
    parts = []
    for unit, size in units[first : first + 2]:
        count, span = divmod(span, size)
        parts.append(f"{count} {unit}")
    return " ".join(part for part in parts if not part.startswith("0 ")) or "0 s"


def _time(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment / 1_000))
