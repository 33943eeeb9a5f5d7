"""`paywarden rollback model` and `paywarden rollback code`: back to what served before."""

from typing import Annotated

import typer
from rich.table import Column, Table

from ops.deployment import Deployment, connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.migrating.readers import refuse_version
from ops.models.desk import Desk
from ops.rollouts import Rollout, stop, under_way
from ops.terminal import Env, Port, Yes, ask, console, progress_bars
from ops.versions import Code, RollbackError, awake, code_of, move, target

__all__ = ["RollbackError", "rollback_app"]

rollback_app = typer.Typer(
    no_args_is_help=True, help="Go back to an earlier model, or to an earlier version of a function's code."
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would serve.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: it is kept.")]


@rollback_app.command("code")
def roll_back_code(
    function: Annotated[str, typer.Argument(help="Such as score_transaction.")],
    version: Annotated[
        int | None,
        typer.Argument(help="The version to go to; by default the last before the live one that was not left."),
    ] = None,
    reason: Reason = "rolled back by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Let an earlier version of a function answer merchants: its alias `live` is moved, which takes seconds.

    A version holds code, layers and settings as they were deployed, and no permissions: one that a deployment took
    comes back with the deployment of the revision before. A version that sleeps, as it may after weeks
    without a call, is woken first, which takes a minute or two; the one that is live goes on meanwhile.

    The next deployment that changes the function moves the alias forward again; one that does not leaves it. Who
    moved it last, when and why is kept with the alias; CloudTrail has all moves.

    While a deployment gives the function its new version by and by, that is stopped instead, and undoes itself.
    """
    deployment = connect(env, port=port)
    code = code_of(deployment, function)
    _show(code)
    if rollout := under_way(deployment, function):
        _stop(deployment, rollout, code, version=version, reason=reason, dry_run=dry_run, yes=yes)
        return
    to = target(code, version)
    refuse_version(deployment, function, code.name, to.number)
    if dry_run:
        first = "" if to.state == "Active" else f"; it is {to.state.lower()}, and would be woken first"
        console.print(f"Version {to.number} would follow {code.live}{first}.", highlight=False)
        return
    ask(f"Version {to.number} of {function} takes over from {code.live} in {env}. Go?", yes=yes)
    with progress_bars() as progress:
        task = progress.add_task("looking whether it is active", total=None)
        awake(deployment, code, to, tell=lambda line: progress.update(task, description=line))
    move(deployment, code, to, by=deployment.client("sts").get_caller_identity()["Arn"], reason=reason)
    console.print(
        f"Version {to.number} of {function} is live. `paywarden rollback code {function} {code.live}` undoes it.",
        highlight=False,
    )
    if deployment.environment.shift:
        console.print(
            "CodeDeploy moves an alias only from where the last deployment left it: run the next one that changes "
            f"{function} with `-c canary=off`.",
            highlight=False,
        )


@rollback_app.command("model")
def roll_back_model(
    version: Annotated[
        str | None,
        typer.Argument(
            help="The model to go back to, approved; by default the champion before. The champion's own name ends "
            "a canary alone."
        ),
    ] = None,
    reason: Reason = "rolled back by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Go back to an earlier model: its bundle is verified, and it decides on every payment from then on.

    What else decided is withdrawn: the champion until now, and a canary. Without a name both are, and the champion
    before comes back; with the champion's own name only the canary is.
    """
    desk = Desk.of(connect(env, port=port), acts=not dry_run)
    to, serving = desk.target(version), desk.serving()
    ends = [each for each in serving.deciding if each != to]
    left = " and ".join(f"{each} (canary)" if each != serving.champion else each for each in ends) or "none"
    if dry_run:
        console.print(f"Model {to} would follow {left}; its bundle is whole.", highlight=False)
        return
    ask(f"Model {to} takes over from {left} in {env}, on every payment. Go back?", yes=yes)
    published = desk.roll_back(to, reason=reason)
    console.print(
        f"Model {to} serves, as number {published.served.number} of the history. Functions take it over within a "
        "minute or so.",
        highlight=False,
    )


def _stop(
    deployment: Deployment,
    rollout: Rollout,
    code: Code,
    *,
    version: int | None,
    reason: str,
    dry_run: bool,
    yes: bool,
) -> None:
    if version is not None:
        raise RollbackError(
            f"deployment {rollout.id} is giving the function a new version: leave the number out, to stop it and "
            f"stay with {code.live}, or wait until it is over"
        )
    if dry_run:
        console.print(
            f"Deployment {rollout.id} would be stopped; all calls go to version {code.live}.", highlight=False
        )
        return
    ask(f"Deployment {rollout.id} stops, and all calls go to version {code.live}. Go?", yes=yes)
    deployment.tell(
        "code", "stop", of=code.name, before={"deployment": rollout.id}, after={"live": code.live}, reason=reason
    )
    stop(deployment, rollout, code)
    console.print(
        f"Deployment {rollout.id} is stopped, version {code.live} has all calls, and CloudFormation takes the "
        "rest of the change back.",
        highlight=False,
    )


def _show(code: Code) -> None:
    table = Table("version", "published", Column("code", no_wrap=True), "")
    for each in code.versions:
        live = "live" if each.number == code.live else ""
        told = f"{live}, with others" if live and code.shared else live
        if each.number in code.left:
            told = "was rolled back from"
        state = "" if each.state == "Active" else each.state.lower()
        table.add_row(
            str(each.number), each.published_at[:19].replace("T", " "), each.digest[:12], f"{told} {state}".strip()
        )
    console.print(table)
    if code.described:
        console.print(f"Moved last: {code.described}", markup=False, highlight=False)
