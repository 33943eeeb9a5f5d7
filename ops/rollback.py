"""`paywarden rollback model` and `paywarden rollback code`: back to what served before."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from botocore.exceptions import ClientError
from rich.table import Column, Table

from ops.deployment import Deployment, connect
from ops.functions import deployed
from ops.localcloud.settings import DEFAULT_PORT
from ops.models.desk import Desk
from ops.terminal import Env, Port, console

__all__ = ["Code", "RollbackError", "Version", "code_of", "move", "rollback_app", "target"]

LIVE: Final = "live"
_MOST_DESCRIBED: Final = 256
"""Characters that Lambda keeps as an alias's description."""

rollback_app = typer.Typer(
    no_args_is_help=True, help="Go back to an earlier model, or to an earlier version of a function's code."
)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would serve.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: it is kept.")]


class RollbackError(Exception):
    """Code cannot go back so; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Version:
    """A published version of a function.

    Attributes
    ----------
    published_at : str
        As Lambda tells it: ISO 8601 in UTC.
    state : str
        ``Active``, or ``Inactive`` if Lambda has to prepare it again first.
    """

    number: int
    published_at: str
    digest: str
    state: str


@dataclass(frozen=True)
class Code:
    """The versions of one function, the newest first, and which of them its alias `live` points to.

    Attributes
    ----------
    name : str
        The function's full name.
    shared : bool
        Whether the alias sends a part of its calls elsewhere.
    described : str
        What was said when the alias was moved last.
    revision : str
        Of the alias; it changes with it.
    """

    name: str
    live: int
    versions: Sequence[Version]
    shared: bool
    described: str
    revision: str


def code_of(deployment: Deployment, verb_noun: str) -> Code:
    """The versions of a function.

    Raises
    ------
    RollbackError
        If there is no such function, or nobody calls it by its alias.
    """
    names = deployed(deployment)
    if verb_noun not in names:
        raise RollbackError(f"there is no function {verb_noun!r}; there are {', '.join(names)}")
    client, name = deployment.client("lambda"), names[verb_noun]
    try:
        alias = client.get_alias(FunctionName=name, Name=LIVE)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise RollbackError(
            f"{verb_noun} has no alias {LIVE!r}: queues and workflows call its newest code. Deploy the revision "
            "before it instead: `git switch --detach REVISION`, then `make deploy`"
        ) from error
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    versions = [_version(each) for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"]
    return Code(
        name=name,
        live=int(alias["FunctionVersion"]),
        versions=sorted(versions, key=lambda each: -each.number),
        shared=bool(alias.get("RoutingConfig", {}).get("AdditionalVersionWeights")),
        described=alias.get("Description", ""),
        revision=alias.get("RevisionId", ""),
    )


def target(code: Code, version: int | None) -> Version:
    """The version to go to: the one that is named, or the one before that which is live.

    Raises
    ------
    RollbackError
        If there is none, or it is live already.
    """
    if version is None:
        earlier = [each for each in code.versions if each.number < code.live]
        if not earlier:
            raise RollbackError(
                f"there is no version before {code.live}, which is live; environments that do not keep data keep "
                "no old versions either: deploy the revision before it"
            )
        return earlier[0]
    if version == code.live:
        raise RollbackError(f"version {version} is live already")
    found = [each for each in code.versions if each.number == version]
    if not found:
        there = ", ".join(str(each.number) for each in code.versions)
        raise RollbackError(f"there is no version {version}; there are {there}")
    return found[0]


def move(deployment: Deployment, code: Code, to: Version, *, by: str, reason: str) -> None:
    """Let the alias point to a version, for all calls.

    Raises
    ------
    RollbackError
        If somebody else moved it since `code` was read.
    """
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    told = f"{moment}: from {code.live} to {to.number} by {by.rpartition('/')[2]}: {reason}"
    try:
        deployment.client("lambda").update_alias(
            FunctionName=code.name,
            Name=LIVE,
            FunctionVersion=str(to.number),
            Description=told[:_MOST_DESCRIBED],
            RoutingConfig={"AdditionalVersionWeights": {}},
            **({"RevisionId": code.revision} if code.revision else {}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailedException":
            raise
        raise RollbackError("somebody else moved the alias just now; look again, then run this again") from error


@rollback_app.command("code")
def roll_back_code(
    function: Annotated[str, typer.Argument(help="Such as score_transaction.")],
    version: Annotated[
        int | None, typer.Argument(help="The version to go to; by default the one before that which is live.")
    ] = None,
    reason: Reason = "rolled back by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Let an earlier version of a function answer merchants: its alias `live` is moved, which takes seconds.

    A version holds code, layers and settings as they were deployed. The next deployment that changes the function
    moves the alias forward again; one that does not leaves it. Lambda keeps who moved it last, when and why, with
    the alias; CloudTrail has all moves.
    """
    deployment = connect(env, port=port)
    code = code_of(deployment, function)
    _show(code)
    to = target(code, version)
    if dry_run:
        console.print(f"Version {to.number} would follow {code.live}.", highlight=False)
        return
    _ask(f"Version {to.number} of {function} takes over from {code.live} in {env}. Go?", yes=yes)
    move(deployment, code, to, by=deployment.client("sts").get_caller_identity()["Arn"], reason=reason)
    console.print(
        f"Version {to.number} of {function} is live. `paywarden rollback code {function} {code.live}` undoes it.",
        highlight=False,
    )


@rollback_app.command("model")
def roll_back_model(
    version: Annotated[
        str | None, typer.Argument(help="The model to go back to, approved; by default the champion before.")
    ] = None,
    reason: Reason = "rolled back by hand",
    dry_run: DryRun = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Go back to an earlier model: its bundle is verified, and it decides on every payment from then on."""
    desk = Desk.of(connect(env, port=port), acts=not dry_run)
    to, champion = desk.target(version), desk.serving().champion
    if dry_run:
        console.print(f"Model {to} would follow {champion or 'none'}; its bundle is whole.", highlight=False)
        return
    _ask(f"Model {to} takes over from {champion or 'none'} in {env}, on every payment. Go back?", yes=yes)
    published = desk.roll_back(to, reason=reason)
    console.print(
        f"Model {to} serves, as number {published.served.number} of the history. Functions take it over within a "
        "minute or so.",
        highlight=False,
    )


def _show(code: Code) -> None:
    table = Table("version", "published", Column("code", no_wrap=True), "")
    for each in code.versions:
        live = "live" if each.number == code.live else ""
        told = f"{live}, with others" if live and code.shared else live
        state = "" if each.state == "Active" else each.state.lower()
        table.add_row(
            str(each.number), each.published_at[:19].replace("T", " "), each.digest[:12], f"{told} {state}".strip()
        )
    console.print(table)
    if code.described:
        console.print(f"Moved last: {code.described}", markup=False, highlight=False)


def _version(told: Any) -> Version:
    return Version(
        number=int(told["Version"]),
        published_at=told["LastModified"],
        digest=told.get("CodeSha256", ""),
        state=told.get("State", "Active"),
    )


def _ask(question: str, *, yes: bool) -> None:
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)
