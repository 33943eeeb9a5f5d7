"""`paywarden replay ...`."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
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
    since: Annotated[datetime, typer.Option("--since", help="Replay payments from this time on (UTC).")],
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
    from ops.replaying.planning import Asked, plan_of
    from ops.replaying.running import as_job, here
    from ops.replaying.tables import shown

    deployment = connect(env, port=port)
    at = now()
    start = ms(since)
    asked = Asked(
        since=0 if start is None else start,
        until=ms(until) or at,
        merchant=merchant,
        features=features.value,
        model=model,
        rules=rules,
        policy=policy,
    )
    id_ = f"replay-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"
    target = out or FOLDER / id_
    with progress_bars() as bars:
        show = stages(bars)
        show("looking up what decided", 0, 0)
        planned = plan_of(deployment, asked, id_, now=at)
        told = (
            as_job(deployment, planned, target, machine=machine, show=show)
            if job
            else here(deployment, planned, target, show=show)
        )
    if as_json:
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        for part in shown(told):
            console.print(part, highlight=False)
    console.print(f"{target}/report.html", markup=False, highlight=False)
