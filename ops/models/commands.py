"""`paywarden models ...`."""

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Column, Table

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.models.desk import Desk, ModelError
from ops.terminal import Env, Port, Yes, ask, console, ms
from ops.times import shown

__all__ = ["models_app"]

models_app = typer.Typer(no_args_is_help=True, help="Models: what there is, what serves, who approved it.")

Version = Annotated[str, typer.Argument(help="The model, as `paywarden models list` shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: the records and the registry keep it.")]


@models_app.command("list")
def list_models(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """List models, what became of each, and the share of payments that it decides on."""
    table = Table(Column("model", no_wrap=True), "made", "state", "serves as", "share", "what was said last")
    for model in Desk.of(connect(env, port=port)).models():
        lineage = model.lineage
        table.add_row(
            model.version,
            f"{shown(lineage.created_at)} UTC" if lineage else "",
            lineage.state if lineage else "not recorded",
            model.role,
            f"{model.share:.1%}" if model.share else "",
            lineage.events[-1].reason if lineage else "",
        )
    console.print(table)


@models_app.command("show")
def show_model(version: Version, env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Show where a model comes from, and what happened to it."""
    lineage, manifest = Desk.of(connect(env, port=port)).show(version)
    table = Table("what", Column("value", overflow="fold"), show_header=False)
    rows = {
        "model": version,
        "made": f"{shown(manifest.created_at)} UTC",
        "data": manifest.lineage.dataset,
        "code": manifest.lineage.code_version,
        "features": f"{len(manifest.features)} of set {manifest.feature_set}",
        "parameters": ", ".join(f"{name}={value}" for name, value in sorted(manifest.lineage.parameters.items())),
        "metrics": ", ".join(f"{name} {value:.4f}" for name, value in sorted(manifest.metrics.items())),
    }
    if lineage is not None:
        rows |= {
            "started because": lineage.reason,
            "execution": lineage.execution,
            "package": lineage.package,
            "artifact": lineage.artifact,
            "report": f"{lineage.evaluation}report.html",
        }
    for what, value in rows.items():
        table.add_row(what, value)
    console.print(table, markup=False)
    events = Table("when", "what", "by", "why")
    for event in lineage.events if lineage else ():
        events.add_row(f"{shown(event.at)} UTC", event.what, event.by, event.reason)
    console.print(events if lineage else "It was made before releases were recorded.", markup=False)


@models_app.command("approve")
def approve_model(
    version: Version, reason: Reason, yes: Yes = False, env: Env = "local", port: Port = DEFAULT_PORT
) -> None:
    """Approve a model; an execution that waits for this goes on."""
    _say(version, reason, yes=yes, env=env, port=port, approved=True)


@models_app.command("reject")
def reject_model(
    version: Version, reason: Reason, yes: Yes = False, env: Env = "local", port: Port = DEFAULT_PORT
) -> None:
    """Reject a model; an execution that waits for it ends, and the champion stays."""
    _say(version, reason, yes=yes, env=env, port=port, approved=False)


@models_app.command("history")
def history(
    at: Annotated[datetime | None, typer.Option("--at", help="Only what served at this time (UTC).")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 20,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Show what served when, who changed it, and why."""
    table = Table("number", "since", "champion", "canary", "shadow", "policy", "by", "why")
    for served in Desk.of(connect(env, port=port)).history(at=ms(at), limit=limit):
        document = served.document
        canary = document.canary
        table.add_row(
            str(served.number),
            f"{shown(served.at)} UTC" if served.at else "before this history",
            document.champion or "none",
            f"{canary.version} ({canary.share:.1%})" if canary else "",
            ", ".join(document.challengers),
            document.policy.version,
            served.by,
            served.reason,
        )
    if not table.row_count:
        raise ModelError("the history begins later than that; `paywarden models history` shows all of it")
    console.print(table)


def _say(version: str, reason: str, *, yes: bool, env: str, port: int, approved: bool) -> None:
    desk = Desk.of(connect(env, port=port), acts=True)
    lineage, _ = desk.show(version)
    if lineage is not None:
        console.print(lineage.events[0].reason, markup=False)
    ask(f"{'Approve' if approved else 'Reject'} model {version} in {env}?", yes=yes)
    waited = desk.say(version, approved=approved, reason=reason)
    said = "approved" if approved else "rejected"
    told = "its run goes on" if waited else "no run waits for it here; the registry tells any that does"
    console.print(f"Model {version} is {said}; {told}.", highlight=False)
