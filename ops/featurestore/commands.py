"""`paywarden features ...` and `paywarden parity`."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from fraud.features import STANDARD, FeatureSet
from fraud.features.definitions import WindowFeature
from fraud.features.handbook import HANDBOOK
from fraud.windows import Window, written
from ops.deployment import connect
from ops.featurestore import catalogue
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Limit, MappingFile, Port, console, mapping_of, progress_bars, stages
from ops.times import now, shown

__all__ = ["features_app", "parity"]

features_app = typer.Typer(no_args_is_help=True, help="Definitions of features, and the states that serve them.")

SETS: dict[str, FeatureSet] = {"standard": STANDARD, "handbook": HANDBOOK}
SHOWN_MISMATCHES = 10
WIDE = 130


@features_app.command("list")
def list_features(
    entity: Annotated[str | None, typer.Option("--entity", help="Only those of one entity, such as card.")] = None,
) -> None:
    """List the features that every model may use, with what a read of each costs."""
    names = [each.name for each in STANDARD.entities]
    if entity is not None and entity not in names:
        raise catalogue.CatalogueError(f"there is no entity {entity!r}; there are {', '.join(names)}")
    out = Console()
    wide = out.width >= WIDE or not out.is_terminal
    table = Table(Column("feature", no_wrap=True), "window", "tiles", "version", box=None, pad_edge=False)
    if wide:
        table.add_column("what fraud it catches", overflow="fold")
        out.width = max(out.width, WIDE)
    for feature in STANDARD.features:
        mine, window = "", ("", "")
        if isinstance(feature, WindowFeature):
            mine, window = feature.entity.name, _window(feature.window, feature.tiles)
        if entity not in (None, mine):
            continue
        row = [feature.name, *window]
        table.add_row(*row, str(feature.version), *([feature.catches] if wide else []))
    out.print(table)
    console.print(f"Feature set {STANDARD.version}. A window moves by its hop and may end before the payment.")
    console.print("Most tiles and distinct values in the states of one key, over its shards:")
    told = (f"{name} {most}" for name, most in catalogue.cost().items() if entity in (None, name))
    console.print("  " + ", ".join(told), highlight=False)


def _window(window: Window, tiles: int) -> tuple[str, str]:
    late = f", {written(window.delay)} ago" if window.delay else ""
    return f"{written(window.length)} by {written(window.hop)}{late}", str(tiles)


@features_app.command("show")
def show_feature(name: Annotated[str, typer.Argument(help="A name from `paywarden features list`.")]) -> None:
    """Print one definition as JSON: entity, series, windows, cost in tiles, version, what it catches."""
    sys.stdout.write(json.dumps(catalogue.find(name), indent=2) + "\n")


@features_app.command("diff")
def diff_features(
    revision: Annotated[str, typer.Argument(help="A commit, branch or tag of this repository.")],
) -> None:
    """Show which definitions were added, removed or changed since a revision."""
    found = catalogue.since(revision)
    console.print(f"feature set {found.before} -> {found.after}", highlight=False)
    for mark, names in (("+", found.added), ("-", found.removed)):
        for name in names:
            sys.stdout.write(f"{mark} {name}\n")
    for name, fields in found.changed.items():
        told = "; ".join(f"{field}: {before!r} -> {after!r}" for field, (before, after) in fields.items())
        sys.stdout.write(f"~ {name}: {told}\n")
    if not (found.added or found.removed or found.changed):
        console.print("No definition changed.")


@features_app.command("export")
def export_features() -> None:
    """Write features.json, features.md and reasons.md in docs/ from the definitions, as they are committed."""
    catalogue.CATALOGUE.write_text(catalogue.document())
    catalogue.PAGE.write_text(catalogue.page())
    catalogue.REASONS.write_text(catalogue.reasons_page())
    console.print(f"{catalogue.CATALOGUE}, {catalogue.PAGE} and {catalogue.REASONS} are up to date.")


@features_app.command("bootstrap")
def bootstrap_states(
    switch: Annotated[
        bool, typer.Option("--switch", help="Let the new states serve as soon as all of history is in them.")
    ] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Build all states anew from history, beside those that serve and while live traffic goes on.

    For features that need more of the past than the stored states hold, and for states that were lost or are
    wrong. If it is ended early, run it again: it goes on where it was. `paywarden features switch` makes the
    result serve.
    """
    from ops.featurestore import bootstrap as building
    from ops.featurestore.lifecycle import switch as switch_to

    deployment = connect(env, port=port)
    deployment.tell("states", "build", reason="paywarden features bootstrap")
    with progress_bars() as bars:
        built = building.bootstrap(deployment, clock=now, sleep=time.sleep, progress=stages(bars))
    console.print(
        f"Generation {built.generation} holds all of history up to its watermark ({built.watermark}) and what was "
        f"recorded since: {built.events} events read, {built.refused} refused; {built.states} states written in "
        f"{built.buckets} buckets, {built.resumed} buckets were there already.",
        highlight=False,
    )
    if switch:
        switch_to(deployment, clock=now, feature_set=STANDARD.version)
        console.print(f"Generation {built.generation} serves.")
    else:
        console.print("Nothing reads it yet: `paywarden features switch` lets it serve.")


@features_app.command("switch")
def switch_states(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Let the states that a bootstrap built serve; those from before are kept up for another ten minutes."""
    from ops.featurestore.lifecycle import switch

    generations = switch(connect(env, port=port), clock=now, feature_set=STANDARD.version)
    console.print(f"Generation {generations.serving.number} serves.")


@features_app.command("abandon")
def abandon_states(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Give up the states that are being built: they are not written any more, and expire."""
    from ops.featurestore.lifecycle import abandon

    abandon(connect(env, port=port))
    console.print("The build is given up; what serves goes on serving.")


@features_app.command("status")
def status_of_states(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Show which generation of states serves, and how far the one being built is."""
    from ops.featurestore.lifecycle import status

    found = status(connect(env, port=port))
    table = Table("generation", "does", "features", "built from history up to", "progress")
    told = {"serves": found.generations.serving, "is built": found.generations.building}
    if now() < found.generations.retire_at:
        told["retires"] = found.generations.retiring
    for does, each in told.items():
        if each is not None:
            since = "" if each.watermark < 0 else shown(each.watermark)
            progress = f"{found.done} of {each.buckets} buckets" if does == "is built" else ""
            table.add_row(str(each.number), does, each.feature_set, since, progress)
    console.print(table)


def parity(
    data: Annotated[Path, typer.Option("--data", help="A CSV or Parquet file, or a folder of Parquet files.")],
    mapping: MappingFile,
    limit: Limit = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the shuffles, duplicates and crashes.")] = 7,
    which: Annotated[str, typer.Option("--features", help=f"Which set: {', '.join(SETS)}.")] = "standard",
    engines: Annotated[
        list[str] | None,
        typer.Option("--engine", help="online, vectorised or spark; repeat it for several. All by default."),
    ] = None,
) -> None:
    """Prove that the engines agree: replay a history through all of them and compare every bit.

    The online fold gets it in shuffled batches, with duplicates and with updaters that die. Prints one line of
    JSON, and exits with 0 only if there is no mismatch.
    """
    from ops.featurestore.histories import read_history
    from ops.featurestore.online import ParityError
    from ops.featurestore.parity import Engine, compare, why_no_spark

    if which not in SETS:
        raise ParityError(f"there is no feature set {which!r}; there are {', '.join(SETS)}")
    unknown = sorted(set(engines or ()) - set(Engine))
    if unknown:
        raise ParityError(f"there is no engine {unknown[0]!r}; there are {', '.join(Engine)}")
    asked = {Engine(each) for each in engines or Engine}
    if Engine.SPARK in asked and (reason := why_no_spark()):
        console.print(f"[yellow]Spark is left out:[/yellow] {reason}")
        asked.remove(Engine.SPARK)
    if len(asked) < 2:
        raise ParityError("one engine alone has nothing to agree with; name at least two")
    with progress_bars() as bars:
        show = stages(bars)
        show("reading", 0, 0)
        frame, repeated = read_history(data, mapping_of(mapping), limit=limit)
        report = compare(frame, SETS[which], asked, seed=seed, progress=show)
    if repeated:
        console.print(f"{repeated} rows were there twice and are counted once.")
    for each in report.mismatches[:SHOWN_MISMATCHES]:
        first = f"{report.engines[0]} has {each.expected!r}"
        told = f"row {each.row}, {each.feature}: {first}, {each.engine} has {each.found!r}"
        console.print(told, markup=False, highlight=False)
    line = {
        "rows": report.rows,
        "features": report.features,
        "mismatches": len(report.mismatches),
        "engines": report.engines,
        "seconds": report.seconds,
        "seed": seed,
        "duplicates": report.duplicates,
        "crashes": report.crashes,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    if report.mismatches:
        raise typer.Exit(1)
