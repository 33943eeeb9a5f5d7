"""`paywarden policy pass-through`: what it would cost first, and only then the change."""

import secrets
import string
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from fraud.currency import CURRENCIES, written
from fraud.features import STANDARD
from fraud.passing import MOST_SHARE, PassThrough
from fraud.windows import DAY
from lambdas.backtest_rules.past import Window
from lambdas.backtest_rules.trying import draft_of
from ops.backtests.trying import Progress, last_of, show_past
from ops.deployment import Deployment, connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.settings.desk import Desk, RefusedError, refusing
from ops.settings.expectation import Expectation, expect
from ops.terminal import Env, Port, Yes, ask, console, progress_bars, stages
from ops.times import now
from runtime.contract.settings import PolicyRequest

__all__ = ["pass_through"]

MONTH = 30
"""Days that sums are told for."""


def pass_through(
    merchant: Annotated[str, typer.Option("--merchant", "-m", help="The merchant's id.")],
    by: Annotated[
        str, typer.Option("--by", help="Your name, which the change is recorded under; none for --dry-run.")
    ] = "",
    share: Annotated[
        float | None,
        typer.Option("--share", help=f"Which part of the declines to let through: above 0, up to {MOST_SHARE}."),
    ] = None,
    most_amount: Annotated[
        int | None, typer.Option("--most-amount", help="Let no larger payment through, in minor units.")
    ] = None,
    most_a_day: Annotated[
        int | None, typer.Option("--most-a-day", help="On average no more a day, in each scoring process.")
    ] = None,
    most_money_a_day: Annotated[
        int | None, typer.Option("--most-money-a-day", help="The same for their amounts together, in minor units.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Let nothing through any more.")] = False,
    days: Annotated[
        int, typer.Option("--days", min=1, max=366, help="How many days of past decisions tell the cost.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell the cost and change nothing.")] = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Let a few of a merchant's declines through at random, to learn what they would have been.

    Tells first what that would have cost over the merchant's past decisions, then asks. What is left out stays as
    it is set now. It is off until somebody sets it.
    """
    if not by and not dry_run:
        raise typer.BadParameter("name yourself: the change is recorded under it", param_hint="--by")
    deployment = connect(env, port=port)
    desk = Desk.of(deployment, merchant, by=by)
    found = desk.ask(desk.policy.show)
    request = _request(found)
    given = {
        "share": share,
        "most_amount": most_amount,
        "most_a_day": most_a_day,
        "most_money_a_day": most_money_a_day,
    }
    if off:
        if any(each is not None for each in given.values()):
            raise typer.BadParameter("it goes with no share and no bounds", param_hint="--off")
        if request.pass_through is None:
            console.print("Nothing is let through already; nothing is changed.")
        elif dry_run:
            console.print("Nothing would be let through any more.")
        else:
            _change(desk, found, request, None)
        return
    passing = _passing(given, request.pass_through)
    with progress_bars() as bars:
        told = _expected(
            deployment,
            desk,
            msgspec.structs.replace(request, pass_through=passing),
            days=days,
            now=now(),
            progress=stages(bars),
        )
    _show(told, passing, own_costs=request.costs is not None)
    if not found["own"]:
        console.print(
            "The merchant goes by the platform's policy: the change makes that its own, and later changes of the "
            "platform's no longer reach it."
        )
    if dry_run:
        return
    ask(f"Let declines of merchant {merchant} through in {env}?", yes=yes)
    _change(desk, found, request, passing)


def _expected(
    deployment: Deployment, desk: Desk, request: PolicyRequest, *, days: int, now: int, progress: Progress
) -> Expectation:
    """What a policy that lets declines through would have cost the merchant over its last days.

    Where payments can have times of their own, the days end with the last of them.
    """
    replays, last = deployment.environment.replay_time, None
    if replays:
        last = last_of(deployment, desk.merchant_id)
    until = now if last is None else last + 1
    window = Window(desk.merchant_id, max(until - days * DAY, 0), until, replays=replays)
    with refusing():
        draft = draft_of(desk.merchant_id, None, request, desk.store, desk.default, STANDARD)
    _, told = show_past(
        deployment,
        window,
        draft,
        lambda past: expect(past, draft, until=until),
        progress,
        remedy="name more --days",
    )
    return told


def _request(found: dict[str, Any]) -> PolicyRequest:
    """A policy that is shown, as it would be put."""
    names = PolicyRequest.__struct_fields__
    return msgspec.convert({name: found[name] for name in names if found[name] is not None}, PolicyRequest)


def _passing(given: dict[str, float | int | None], held: PassThrough | None) -> PassThrough:
    """What is asked for, over what is set now; with a fresh salt where nothing is."""
    base = msgspec.to_builtins(held) if held is not None else {"salt": _salt()}
    wanted = {**base, **{name: value for name, value in given.items() if value is not None}}
    for name in ("share", "most_amount"):
        if name not in wanted:
            raise typer.BadParameter("name it: nothing is let through yet", param_hint=_option(name))
    try:
        return msgspec.convert(wanted, PassThrough)
    except msgspec.ValidationError as error:
        raise RefusedError(f"pass_through: {error}") from None


def _salt() -> str:
    # Letters alone: some of sixteen digits read as a card number, with which no policy is taken.
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _change(desk: Desk, found: dict[str, Any], request: PolicyRequest, passing: PassThrough | None) -> None:
    body = msgspec.json.encode(msgspec.structs.replace(request, pass_through=passing))
    # What was shown is what is changed: a policy that somebody else changed meanwhile is left alone.
    changed = desk.ask(desk.policy.change, body=body, based_on=found["version"])
    told = "lets declines through" if passing is not None else "lets nothing through any more"
    console.print(f"The policy, version {changed['version']}, {told}.", highlight=False)


def _show(told: Expectation, passing: PassThrough, *, own_costs: bool) -> None:
    declined, eligible = (f"{told.per(1, each):,.1f}" for each in (told.declined, told.eligible))
    console.print(
        f"{told.decisions:,} decisions of {told.days:.1f} days: the policy declines {declined} a day, of which "
        f"{eligible} could be let through.",
        highlight=False,
    )
    console.print(_table(told))
    console.print(_sentence(told, passing, own_costs=own_costs), highlight=False)


def _table(told: Expectation) -> Table:
    table = Table("let through, as expected", title=f"In {MONTH} days", title_justify="left")
    table.add_column("within the bounds a day", justify="right")
    table.add_column("at the most", justify="right")
    both = (told.within, told.most)

    def row(name: str, *sums: float, decimals: int = 1) -> None:
        table.add_row(name, *(f"{told.per(MONTH, each):,.{decimals}f}" for each in sums))

    table.add_row("payments a day", *(f"{told.per(1, each.payments):,.2f}" for each in both))
    row("payments, each with a label in the end", *(each.payments for each in both))
    row("of them frauds, by their scores", *(each.frauds for each in both))
    row("labels, counted at one and the same weight", told.counts_for, told.most.payments)
    for currency, money in told.currencies.items():
        decimals = CURRENCIES[currency]
        for name, field in (("lost by frauds", "lost"), ("regained of genuine", "regained"), ("net cost", "net")):
            sums = (getattr(each, field) / 10**decimals for each in money)
            row(f"{name}, {currency}", *sums, decimals=decimals)
    return table


def _sentence(told: Expectation, passing: PassThrough, *, own_costs: bool) -> str:
    if told.smallest is None:
        return (
            f"No decline of that time could have been let through: none that the policy alone decides is of up to "
            f"{passing.most_amount} minor units. Nothing would be learned, and nothing lost."
        )
    costs = "the policy's costs" if own_costs else "the default costs, as the policy has none"
    sentence = (
        f"{told.per(MONTH, told.within.payments):,.1f} labels in {MONTH} days, "
        f"{told.per(MONTH, told.within.frauds):,.1f} of them of frauds if the scores are right, at a net cost of "
        f"{_net(told)} by {costs}."
    )
    if 1 / told.smallest <= 2 / passing.share:
        return sentence
    return (
        f"{sentence} The bounds a day are tight for this share: the last payment of a day can stand for "
        f"{1 / told.smallest:,.0f} others. A smaller --share spreads what is let through over the day."
    )


def _net(told: Expectation) -> str:
    sums = ((name, within.net) for name, (within, _) in told.currencies.items())
    return " and ".join(f"{written(told.per(MONTH, net), name)} {name}" for name, net in sums)
