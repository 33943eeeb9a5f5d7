"""`paywarden audit ...`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.table import Column, Table

from ops.audit.errors import AuditError
from ops.audit.exporting import export
from ops.audit.reading import Wanted, differences, read
from ops.audit.verifying import Verdict, keep, verify
from ops.deployment import Deployment, connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, Yes, ask, console, ms, progress_bars
from ops.times import now, shown
from runtime.auditing import PLATFORM, Kind, merchant

__all__ = ["audit_app"]

audit_app = typer.Typer(no_args_is_help=True, help="Who changed what, when, and from what to what.")

_KINDS = get_args(Kind.__value__)

Merchant = Annotated[str, typer.Option("--merchant", "-m", help="Only what was changed of this merchant's.")]
Platform = Annotated[bool, typer.Option("--platform", help="Only what was changed of everybody's.")]
OfKind = Annotated[str, typer.Option("--kind", help=f"One of: {', '.join(_KINDS)}.")]
Who = Annotated[str, typer.Option("--who", help="Who did it; a part of the name is enough.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Only what was changed from this time on (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", help="Only what was changed before this time (UTC).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@audit_app.command("list")
def list_entries(
    merchant_id: Merchant = "",
    platform: Platform = False,
    kind: OfKind = "",
    who: Who = "",
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 50,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """List changes, the newest first; `show` tells from what to what."""
    wanted = _wanted(merchant_id, kind, who, since, until, platform=platform)
    found = read(connect(env, port=port), wanted)
    table = Table(Column("id", no_wrap=True), "when (UTC)", "who", "of", "what", "which", "why", box=None)
    for each in found[: -limit - 1 : -1]:
        entry, subject = each.entry, each.subject.removeprefix("merchant#")
        told = (
            (entry.who, subject, f"{entry.kind}: {entry.action}", entry.of, entry.reason)
            if entry
            else ("", subject, "cannot be read")
        )
        table.add_row(each.id, shown(each.at), *told)
    Console().print(table, markup=False)
    if len(found) > limit:
        console.print(f"There are {len(found) - limit} more: --limit, or --until.", highlight=False)


@audit_app.command("show")
def show_entry(
    entry_id: Annotated[str, typer.Argument(help="As `list` shows it.")],
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Show one change: what is gone with a minus, what is new with a plus."""
    for each in (each for each in read(connect(env, port=port)) if each.id == entry_id):
        entry = each.entry
        table = Table("what", Column("value", overflow="fold"), show_header=False, box=None)
        if entry is None:
            table.add_row("subject", each.subject)
            table.add_row("cannot be read", each.text)
        else:
            for name in ("subject", "kind", "action", "of", "who", "reason", "correlation_id"):
                if value := getattr(entry, name):
                    table.add_row(name.replace("_", " "), value)
        table.add_row("at", f"{shown(each.at)} UTC")
        out = Console()
        out.print(table, markup=False)
        for line in differences(entry) if entry else ():
            style = {"+": "green", "-": "red"}.get(line[:1])
            out.print(line, style=style, markup=False, highlight=False)
        return
    raise AuditError(f"there is no entry {entry_id!r}; `paywarden audit list` shows those that there are")


@audit_app.command("export")
def export_entries(
    path: Annotated[Path, typer.Argument(help="A new file; .jsonl or .csv tells its format.")],
    merchant_id: Merchant = "",
    platform: Platform = False,
    kind: OfKind = "",
    who: Who = "",
    since: Since = None,
    until: Until = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Also if the trail is not what was kept of it.")
    ] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Write all entries that are asked for to a file, with its SHA-256 beside it, once the trail is verified."""
    wanted = _wanted(merchant_id, kind, who, since, until, platform=platform)
    deployment = connect(env, port=port)
    if not unverified and _verdict(deployment).tampered:
        raise AuditError("the trail was altered: see `paywarden audit verify`, or export it with --unverified")
    found = read(deployment, wanted)
    digest = export(found, path)
    state = "not verified" if unverified else "verified"
    console.print(f"{len(found)} entries ({state}) in {path}, SHA-256 {digest}.", highlight=False)


@audit_app.command("verify")
def verify_entries(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Compare the trail with its locked copies, entry by entry; fails if anything is missing or altered."""
    verdict = _verdict(connect(env, port=port))
    overdue = verdict.overdue(now())
    table = Table("found", "entries", Column("the first of them", overflow="fold"), box=None)
    for what, keys in (
        ("without a copy", [each.key for each in overdue]),
        ("not in the table any more", verdict.lost),
        ("other than their copy, or unreadable", verdict.different),
        ("copies covered by later ones", verdict.covered),
        ("changes seen in the table", verdict.altered),
        ("with a late copy, which proves nothing of before", verdict.late),
    ):
        table.add_row(what, str(len(keys)), " ".join(keys[:3]))
    Console().print(table, markup=False)
    coming = len(verdict.unkept) - len(overdue)
    on_their_way = f", {coming} of them so new that their copies are on their way" if coming else ""
    console.print(f"{verdict.entries} entries{on_their_way}.", highlight=False)
    if overdue:
        console.print("`paywarden audit keep` makes the copies that are missing.")
    if overdue or verdict.tampered:
        raise typer.Exit(1)


@audit_app.command("keep")
def keep_entries(dry_run: DryRun = False, yes: Yes = False, env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Copy entries into the locked bucket that have no copy there, as after a day without `keep_audit`."""
    deployment = connect(env, port=port)
    unkept = _verdict(deployment).unkept
    if dry_run or not unkept:
        console.print(f"{len(unkept)} entries have no copy; none was made.", highlight=False)
        return
    ask(f"Copy {len(unkept)} entries in {env}? It cannot be undone.", yes=yes)
    console.print(f"{keep(deployment, unkept)} entries were copied.", highlight=False)


def _verdict(deployment: Deployment) -> Verdict:
    with progress_bars() as progress:
        task = progress.add_task("comparing with the copies", total=None)
        return verify(deployment, progress=lambda done: progress.update(task, completed=done))


def _wanted(
    merchant_id: str, kind: str, who: str, since: datetime | None, until: datetime | None, *, platform: bool
) -> Wanted:
    if kind and kind not in _KINDS:
        raise AuditError(f"--kind: there is no kind {kind!r}; give one of: {', '.join(_KINDS)}")
    if merchant_id and platform:
        raise AuditError("--platform: what is of everybody's is no merchant's; leave one of the two out")
    subject = PLATFORM if platform else merchant(merchant_id) if merchant_id else ""
    return Wanted(subject=subject, kind=kind, who=who, since=ms(since), until=ms(until))
