"""`paywarden restore ...`."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from ops.deployment import Deployment, connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.recovery.comparing import Restored, put_back
from ops.recovery.dropped import completed, lacking, newest_backup, revived
from ops.recovery.errors import RecoveryError
from ops.recovery.objects import changes, set_back
from ops.recovery.tables import KINDS, Kind, exists, restored_aside, table_of
from ops.terminal import Env, Port, Yes, ask, console, progress_bars

__all__ = ["restore_app"]

restore_app = typer.Typer(no_args_is_help=True, help="Get data back: tables and objects as they were at a moment.")

BUCKETS: Final = {"lake": "LakeBucket", "models": "ModelsBucket"}

At = Annotated[datetime | None, typer.Option("--at", help="The moment (UTC) that was still well.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be put back, and write nothing.")]


@restore_app.command("table")
def restore_table(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(KINDS)}.")],
    at: At = None,
    side: Annotated[
        str | None, typer.Option("--side", help="A table that is restored already; kept afterwards.")
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Set back items that are other than they were, too; never decisions.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the table beside when all is done.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Restore a table beside the one that serves, compare, and put back what is missing.

    The table goes on serving. An item is written only if nobody wrote it meanwhile; one of a later version stays,
    and so does every decision that is there. A merchant's keys go back only if its account was not changed since:
    one that was disabled or rotated lets nobody in again.

    A table that is gone is made again from its newest backup, and takes its place. If that ended early, the same
    command without a moment goes on with it.
    """
    deployment = connect(env, port=port)
    kind, table = table_of(deployment, name)
    client = deployment.client("dynamodb")
    if not exists(client, table):
        _revive(deployment, client, kind, table, dry_run=dry_run, yes=yes)
        return
    if side is None and at is None and _completed(deployment, client, kind, table, dry_run=dry_run, yes=yes):
        return
    if side is None and at is None:
        raise RecoveryError("--at: give the moment that was still well, or a restored table with --side")
    with progress_bars() as progress:
        task = progress.add_task("", total=None)
        source = side
        if source is None and at is not None:
            moment = at if at.tzinfo else at.replace(tzinfo=UTC)
            source = restored_aside(
                client, table, moment, tell=lambda line: progress.update(task, description=line)
            )
        assert source is not None  # noqa: S101 - one of the two is given, as was checked above
        progress.update(task, description=f"comparing {source} with {table}")
        looked = put_back(
            client,
            kind,
            table,
            source,
            changed=changed,
            write=False,
            progress=lambda count: progress.update(task, completed=count),
        )
    _show(looked)
    wanted = looked.counts["missing"] + (looked.counts["changed"] if changed else 0)
    if not wanted and side is None and not keep:
        client.delete_table(TableName=source)
    elif side is None:
        # Restoring it took long, so it is not thrown away before all is done; only a person knows when that is.
        console.print(
            f"{source} is there beside, and is paid for until it is deleted. Go on with `--side {source}`; "
            f"`aws dynamodb delete-table --table-name {source}` ends it.",
            highlight=False,
        )
    if dry_run or not wanted:
        console.print("Nothing was written.")
        return
    ask(f"Write {wanted:,} items into {table} ({env})?", yes=yes)
    deployment.tell("restore", "put back", of=table, after={"items": wanted, "from": source, "changed": changed})
    with progress_bars() as progress:
        task = progress.add_task("writing", total=looked.counts.total())
        done = put_back(
            client,
            kind,
            table,
            source,
            changed=changed,
            write=True,
            progress=lambda count: progress.update(task, completed=count),
        )
    each = done.seconds * 1_000 / max(1, done.counts.total())
    console.print(
        f"{done.written:,} items are back in {done.seconds:,.1f} s ({each:.2f} ms for each looked at); "
        f"{done.raced:,} were written by somebody else meanwhile and stay.",
        highlight=False,
    )
    if name == "decisions" and done.written:
        console.print(
            "Their events go out once more; what was folded or delivered before counts once all the same."
        )
    if side is None and not keep:
        client.delete_table(TableName=source)


@restore_app.command("objects")
def restore_objects(
    bucket: Annotated[str, typer.Argument(help=f"One of: {', '.join(BUCKETS)}.")],
    at: Annotated[datetime, typer.Option("--at", help="The moment (UTC) that was still well.")],
    prefix: Annotated[str, typer.Option("--prefix", help="Only objects whose keys begin so.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Bring back deleted objects, and set overwritten ones back, by their versions. What was added since stays.

    Versions that no longer count are kept for 30 days.
    """
    if bucket not in BUCKETS:
        raise RecoveryError(f"bucket: there is no bucket {bucket!r}; give one of: {', '.join(BUCKETS)}")
    deployment = connect(env, port=port)
    client, name = deployment.client("s3"), deployment[BUCKETS[bucket]]
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    found = list(changes(client, name, prefix, moment))
    wanted = [each for each in found if each.what != "added"]
    table = Table("what was done since", "objects", "MB then")
    for what in ("deleted", "overwritten", "added"):
        several = [each for each in found if each.what == what]
        table.add_row(what, f"{len(several):,}", f"{sum(each.size for each in several) / 1e6:,.1f}")
    console.print(table)
    for each in wanted[:20]:
        console.print(f"{each.what}: {each.key}", markup=False, highlight=False)
    if dry_run or not wanted:
        console.print("Nothing was written.")
        return
    ask(f"Bring back {len(wanted):,} objects of {name} ({env})?", yes=yes)
    deployment.tell(
        "restore",
        "put back",
        of=name,
        after={"objects": len(wanted), "prefix": prefix, "as of": moment.isoformat()},
    )
    back = 0
    with progress_bars() as progress:
        task = progress.add_task("bringing back", total=len(wanted))
        for each in wanted:
            back += set_back(client, name, each)
            progress.advance(task)
    console.print(f"{back:,} objects are as they were; {len(wanted) - back:,} were changed meanwhile and stay.")


def _revive(deployment: Deployment, client: Any, kind: Kind, table: str, *, dry_run: bool, yes: bool) -> None:
    """Make a table again that is gone."""
    backup = newest_backup(client, table)
    console.print(
        f"{table} is gone. Its newest backup is of {backup['BackupCreationDateTime']:%Y-%m-%d %H:%M:%S} "
        f"({backup['BackupType'].lower()}).",
        highlight=False,
    )
    if dry_run:
        console.print("Nothing was written.")
        return
    ask(f"Make {table} again from it ({deployment.environment.name})?", yes=yes)
    # Not of the table of entries itself, which is gone then: its locked copies are there.
    if kind.output != "AuditTable":
        deployment.tell("restore", "make again", of=table, after={"backup": backup["BackupArn"]})
    with progress_bars() as progress:
        task = progress.add_task("restoring", total=None)
        revived(client, table, backup["BackupArn"], tell=lambda line: progress.update(task, description=line))
    _complete(deployment, client, kind, table)


def _completed(deployment: Deployment, client: Any, kind: Kind, table: str, *, dry_run: bool, yes: bool) -> bool:
    """Go on with a table that was made again and lacks something; False if it lacks nothing."""
    recoverable = deployment.environment.point_in_time_recovery
    missing = lacking(client, deployment.client("lambda"), kind, table, recoverable=recoverable)
    if not missing:
        return False
    console.print(f"{table} is there and lacks {', '.join(missing)}.", highlight=False)
    if dry_run:
        console.print("Nothing was written.")
        return True
    ask(f"Set what it lacks ({deployment.environment.name})?", yes=yes)
    deployment.tell("restore", "make again", of=table, after={"set": missing})
    _complete(deployment, client, kind, table)
    return True


def _complete(deployment: Deployment, client: Any, kind: Kind, table: str) -> None:
    environment = deployment.environment
    with progress_bars() as progress:
        task = progress.add_task("setting what it lacks", total=None)
        names = completed(
            client,
            deployment.client("lambda"),
            kind,
            table,
            recoverable=environment.point_in_time_recovery,
            protected=environment.termination_protection,
            tell=lambda line: progress.update(task, description=line),
        )
    console.print(f"{table} is there again.", highlight=False)
    if kind.stream:
        told = ", ".join(names) or "whoever reads it already; if that is nobody, see docs/recovery.md"
        console.print(f"Its new stream is read by: {told}.", highlight=False)


def _show(found: Restored) -> None:
    table = Table("compared with then", "items")
    for verdict in ("same", "missing", "changed", "newer", "kept", "expired"):
        table.add_row(verdict, f"{found.counts[verdict]:,}")
    console.print(table)
    for line in found.shown:
        console.print(line, markup=False, highlight=False)
