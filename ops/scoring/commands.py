"""`paywarden score ...`."""

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Limit, MappingFile, Port, Table_, console, mapping_of, ms, progress_bars, stages

__all__ = ["score"]


def score(
    path: Table_,
    mapping: MappingFile,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A .parquet or .csv file; the table's name with .scores.parquet by default."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="A folder with model.ubj and manifest.json, instead of a deployment."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="JSON as PUT /v1/policy takes it; the deployment's own by default."),
    ] = None,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Tell reason codes too, of all rows that are not approved.")
    ] = False,
    since: Annotated[
        datetime | None, typer.Option("--since", help="Score from this time on (UTC); rows before it are history.")
    ] = None,
    limit: Limit = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="How many rows to score and write at once.")
    ] = 65_536,
    env: Annotated[str, typer.Option("--env", help="The deployment whose champion scores.")] = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Score a whole table of payments at once: what the model would have said of each at its moment.

    Every row sees the rows before it in time, and labels once they were known, so put the history that cards and
    customers have into the same file; --since scores the later rows only. The scores are those that serving would
    have given, bit for bit. With a policy (a deployment's, or --policy), each row is decided too: by the policy
    alone, since lists and rules belong to a merchant.

    Features take 8 bytes for each row and each feature of the model, and have to fit into memory together.
    """
    from ops.backtests.trying import read_document
    from ops.featurestore.histories import read_history
    from ops.scoring.files import check_target, write
    from ops.scoring.models import model_in, model_of
    from ops.scoring.vectors import Scoring, tokenised
    from runtime.contract.settings import PolicyRequest

    target = out or path.with_name(f"{path.stem}.scores.parquet")
    check_target(target)
    chosen = read_document(policy, PolicyRequest).policy("given") if policy else None
    tokeniser = None
    if bundle is not None:
        model = model_in(bundle)
    else:
        deployment = connect(env, port=port)
        model, serving = model_of(deployment)
        chosen, tokeniser = chosen or serving.policy, deployment.tokeniser()
    scoring = Scoring(model, chosen, reasons)
    with progress_bars() as bars:
        show = stages(bars)
        show("reading", 0, 0)
        frame, repeated = read_history(path, mapping_of(mapping), limit=limit)
        started = time.monotonic()
        if tokeniser is not None:
            frame = tokenised(frame, tokeniser)
        rows = write(target, scoring.rows(frame, since=ms(since), batch=batch, progress=show))
    seconds = time.monotonic() - started
    again = f" {repeated:,} rows were there twice and are counted once." if repeated else ""
    console.print(
        f"{rows:,} rows scored by {model.manifest.version} in {seconds:.1f} s ({len(frame) / seconds:,.0f} rows a "
        f"second): {target}.{again}",
        highlight=False,
        markup=False,
    )
    if chosen is not None and chosen.allowance() is not None:
        console.print(
            "The policy's bounds and what it lets through are left aside: they count payments as they come."
        )
