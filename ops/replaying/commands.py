"""`paywarden replay ...`."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import typer

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, console, ms, progress_bars, stages
from ops.times import now

__all__ = ["replay"]

FOLDER = Path("build/replays")


class Features(StrEnum):
    """Whose vectors a model is given."""

    SERVED = "served"
    STANDARD = "standard"
    HANDBOOK = "handbook"
    ALL = "all"


def replay(
    since: Annotated[
        datetime | None, typer.Option("--since", help="Replay payments from this time on (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", help="Replay payments before this time (UTC); now by default.")
    ] = None,
    merchant: Annotated[str, typer.Option("--merchant", help="Only this merchant's; all by default.")] = "",
    features: Annotated[
        Features,
        typer.Option("--features", help="As they were served, or a feature set to compute anew from all history."),
    ] = Features.SERVED,
    model: Annotated[
        str,
        typer.Option("--model", help="served, champion, a version, or a folder with model.ubj and manifest.json."),
    ] = "served",
    rules: Annotated[
        str,
        typer.Option("--rules", help="served, current, or a JSON file as PUT /v1/rules takes it, for everybody."),
    ] = "served",
    policy: Annotated[
        str,
        typer.Option(
            "--policy", help="served, current, or a JSON file as PUT /v1/policy takes it, for everybody."
        ),
    ] = "served",
    job: Annotated[
        bool,
        typer.Option("--job/--here", help="As a SageMaker job beside the lake, or in this process over copies."),
    ] = True,
    machine: Annotated[
        str, typer.Option("--machine", help="The job's machine; features computed anew take the memory.")
    ] = "ml.m5.xlarge",
    fetch: Annotated[
        str, typer.Option("--fetch", help="Start none, but fetch the report of this one, a job that has ended.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the report; build/replays/ID by default.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures on standard output, as replay.json has them.")
    ] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Decide a stretch of the past once more, and compare: nothing is served, sent or published.

    Without further options everything is as it was, and nothing may change. Name what is to be different: another
    model, today's rules, a policy from a file. The report tells each way from action to action in counts and
    money, and of how much of it is known whether it was fraud; changes.parquet names every payment that comes out
    otherwise.
    """
    from ops.replaying.errors import ReplayError
    from ops.replaying.planning import Asked, plan_of
    from ops.replaying.running import as_job, fetched, here

    deployment = connect(env, port=port)
    if fetch:
        target = out or FOLDER / fetch
        _show(fetched(deployment, fetch, target), target, as_json=as_json)
        return
    if since is None:
        raise ReplayError("--since: give the time from which on to replay; --fetch gets the report of a job")
    at = now()
    asked = Asked(
        since=ms(since) or 0,
        until=ms(until) or at,
        merchant=merchant,
        features=features.value,
        model=model,
        rules=rules,
        policy=policy,
    )
    id_ = f"replay-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"
    target = out or FOLDER / id_
    if job:
        console.print(
            f"Replay {id_}. If this command ends early, its job goes on: "
            f"`paywarden replay --fetch {id_} --env {env}` has the report then.",
            highlight=False,
            soft_wrap=True,
        )
    with progress_bars() as bars:
        show = stages(bars)
        show("looking up what decided", 0, 0)
        planned = plan_of(deployment, asked, id_, now=at)
        told = (
            as_job(deployment, planned, target, machine=machine, show=show)
            if job
            else here(deployment, planned, target, show=show)
        )
    _show(told, target, as_json=as_json)


def _show(told: dict[str, Any], target: Path, *, as_json: bool) -> None:
    from ops.replaying.tables import shown

    if as_json:
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        for part in shown(told):
            console.print(part, highlight=False)
    console.print(f"{target}/report.html", markup=False, highlight=False)
