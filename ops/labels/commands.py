"""`paywarden labels ...`."""

from pathlib import Path
from typing import Annotated

import typer

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, console, progress_bars
from ops.times import now

__all__ = ["labels_app"]

_SHOWN = 20
"""How many errors are shown; all of them are in a file."""

labels_app = typer.Typer(no_args_is_help=True, help="Labels: what became known of payments, and how fast.")


@labels_app.command("maturity")
def show_maturity(
    run: Annotated[
        str | None, typer.Option("--run", help="A training run; by default the last that measured it.")
    ] = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Show how long frauds take until they are known, and whether the maturity in use is long enough.

    The page with the curves is copied to build/runs/RUN.
    """
    from ops.labels.maturity import latest_run, maturity_table, read_maturity, save_page
    from ops.runs import FOLDER

    deployment = connect(env, port=port)
    chosen = run or latest_run(deployment)
    found = read_maturity(deployment, chosen)
    if found.curves:
        console.print(maturity_table(found))
    console.print(f"{chosen}: {found.sentence}", markup=False, highlight=False)
    console.print(f"  {save_page(deployment, chosen, FOLDER / chosen)}", markup=False, highlight=False)


@labels_app.command("import")
def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet with merchant_id, transaction_id, label, known_at, perhaps source and confidence."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Record the labels of a file, as if each had been reported to the API. The same file again changes nothing.

    known_at is RFC 3339 with an offset from UTC, or milliseconds since 1970-01-01 UTC. Rows that cannot be
    recorded are listed beside the file, in NAME.errors.csv, and those of payments that were never decided here in
    NAME.unknown.csv.
    """
    from ops.labels.importing import import_labels, write_problems, write_unknown
    from ops.labels.reading import read_labels
    from runtime.stores.decisions import DynamoDecisionStore

    deployment = connect(env, port=port)
    rows = list(read_labels(path))
    store = DynamoDecisionStore(deployment.client("dynamodb"), deployment["DecisionsTable"])
    with progress_bars() as bars:
        task = bars.add_task("labels", total=len(rows))
        done = import_labels(
            rows,
            store=store,
            clock=now(),
            dry_run=dry_run,
            progress=lambda finished: bars.update(task, completed=finished),
        )
    would = "would be " if dry_run else ""
    say = f"{len(rows):,} rows: {done.recorded:,} labels {would}recorded, {done.repeated:,} said nothing new"
    say += f", {len(done.unknown):,} of unknown payments, {len(done.problems):,} with errors."
    console.print(say, markup=False, highlight=False)
    if done.unknown:
        write_unknown(unknown := path.with_name(f"{path.stem}.unknown.csv"), done.unknown)
        console.print(f"Unknown payments: {unknown}", markup=False, highlight=False)
    if done.problems:
        for each in done.problems[:_SHOWN]:
            console.print(f"row {each.row}, {each.field}: {each.remedy}", markup=False, highlight=False)
        write_problems(errors := path.with_name(f"{path.stem}.errors.csv"), done.problems)
        console.print(f"All errors: {errors}", markup=False, highlight=False)
        raise typer.Exit(1)
