"""`paywarden rebuild-state`."""

import time
from typing import Annotated

import typer
from rich.table import Column, Table

from fraud.features import STANDARD
from ops.deployment import Deployment, connect
from ops.featurestore.lifecycle import GenerationError
from ops.localcloud.settings import DEFAULT_PORT
from ops.rebuilding.comparing import Comparison
from ops.terminal import Env, Port, console, progress_bars, stages
from ops.times import now, shown

__all__ = ["rebuild_state"]

SHOWN_EVENTS = 3


def rebuild_state(
    check: Annotated[
        list[str] | None,
        typer.Option("--check", help="Only recompute this key (ENTITY#TOKEN#SHARD) and compare it; repeat it."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", min=1, help="Only recompute so many keys, drawn at random, and compare."),
    ] = None,
    abandon: Annotated[bool, typer.Option("--abandon", help="Give up the states that were built.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Switch without asking.")] = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Build all states anew from history, compare them with those that serve, and switch to them.

    For states that are wrong or lost. Decisions go on meanwhile, with the states that serve, and live traffic is
    folded into both. It takes two minutes of waiting, and then as long as history is. Ended early, it goes on
    where it was when it is run again; `--abandon` gives the new states up. Nothing serves them before you say so.

    `--check` and `--sample` find out first whether anything is wrong, and write nothing: they exit with 1 if a
    state is wrong or missing. A state that is behind waits for events in the queue; one that is busy changed at
    each of three looks.
    """
    deployment = connect(env, port=port)
    if check or sample:
        _check(deployment, check or [], sample or 0)
    elif abandon:
        _abandon(deployment, dry_run=dry_run, yes=yes)
    elif dry_run:
        _plan(deployment)
    else:
        _rebuild(deployment, env, yes=yes)


def _check(deployment: Deployment, names: list[str], count: int) -> None:
    from ops.rebuilding.checking import Verdict, key_named, sample
    from ops.rebuilding.checking import check as recompute

    keys = [key_named(name) for name in names]
    keys += sample(deployment, count) if count else []
    if not keys:
        console.print("No states are stored, so there is none to check.")
        return
    with progress_bars() as bars:
        checked = recompute(deployment, list(dict.fromkeys(keys)), now=now, progress=stages(bars))
    found: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
    table = Table(
        Column("key", overflow="fold"), "its state is", "events", Column("not folded yet", overflow="fold")
    )
    for each in checked:
        found[each.verdict] += 1
        if each.verdict is not Verdict.RIGHT:
            waiting = ", ".join(each.waiting[:SHOWN_EVENTS])
            more = f" and {len(each.waiting) - SHOWN_EVENTS} more" if len(each.waiting) > SHOWN_EVENTS else ""
            table.add_row(str(each.key), str(each.verdict), str(each.events), f"{waiting}{more}")
    if table.row_count:
        console.print(table, markup=False)
    told = ", ".join(f"{number} {verdict}" for verdict, number in found.items())
    console.print(f"{len(checked)} states recomputed from history: {told}.", highlight=False)
    if found[Verdict.WRONG] or found[Verdict.MISSING]:
        console.print("`paywarden rebuild-state` builds all of them anew.")
        raise typer.Exit(1)


def _abandon(deployment: Deployment, *, dry_run: bool, yes: bool) -> None:
    from ops.featurestore.lifecycle import abandon, status

    building = status(deployment).generations.building
    if building is None:
        raise GenerationError("no states are being built, so there are none to give up")
    if dry_run:
        console.print(f"Generation {building.number} would be given up; its states would expire.", highlight=False)
        return
    _ask(f"Give up generation {building.number}? What serves goes on serving.", yes=yes)
    abandon(deployment)
    console.print(f"Generation {building.number} is given up; what serves goes on serving.", highlight=False)


def _plan(deployment: Deployment) -> None:
    from ops.featurestore.lifecycle import status
    from ops.featurestore.sources import import_names

    found = status(deployment)
    building = found.generations.building
    dynamodb = deployment.client("dynamodb")
    sizes = {
        name: dynamodb.describe_table(TableName=deployment[name])["Table"]
        for name in ("DecisionsTable", "FeaturesTable")
    }
    imports = import_names(deployment.client("s3"), deployment["LakeBucket"])
    serving = found.generations.serving
    console.print(f"Generation {serving.number} serves{_since(serving.watermark)}.", highlight=False)
    if building is not None:
        done = "is built" if building.built else f"is being built: {found.done} of {building.buckets} buckets"
        console.print(f"Generation {building.number} {done}; it would be gone on with.", highlight=False)
    else:
        console.print(f"Generation {found.generations.latest + 1} would be built beside it.", highlight=False)
    ledger, features = (sizes[name] for name in ("DecisionsTable", "FeaturesTable"))
    console.print(
        f"Read: {len(imports)} imports in the lake and about {ledger['ItemCount']:,} lines of the ledger "
        f"({ledger['TableSizeBytes'] / 1e6:,.0f} MB). Written: about as many states as there are now; the table "
        f"has {features['ItemCount']:,} items ({features['TableSizeBytes'] / 1e6:,.0f} MB). DynamoDB counts these "
        "every six hours.",
        highlight=False,
    )
    console.print("Nothing was changed.")


def _rebuild(deployment: Deployment, env: str, *, yes: bool) -> None:
    from ops.featurestore import bootstrap as building
    from ops.featurestore.lifecycle import switch
    from ops.rebuilding.comparing import compare, forget

    deployment.tell("states", "build", reason="paywarden rebuild-state")
    with progress_bars() as bars:
        show = stages(bars)
        built = building.bootstrap(deployment, clock=now, sleep=time.sleep, progress=show)
        before = deployment.features().look(())[0].serving.number
        compared = compare(
            deployment,
            serving=before,
            built=built.generation,
            progress=lambda seen: show("compare", seen, 0),
        )
    again = f", {built.resumed} of them by an earlier run" if built.resumed else ""
    console.print(
        f"Generation {built.generation} is built{_since(built.watermark)}: {built.events:,} events read, "
        f"{built.refused:,} refused, {built.buckets + built.resumed} buckets written{again}.",
        highlight=False,
    )
    _tell(compared)
    _ask(f"Let generation {built.generation} serve in {env}?", yes=yes, declined="rebuild-state` asks again")
    switch(deployment, clock=now, feature_set=STANDARD.version)
    forgotten = forget(deployment, compared.unreadable, generation=before)
    told = f"; {forgotten} of its states could not be read and were deleted" if forgotten else ""
    console.print(
        f"Generation {built.generation} serves. The one before is kept up for ten minutes, and expires{told}.",
        highlight=False,
    )


def _tell(compared: Comparison) -> None:
    table = Table("compared with what serves", "states")
    for what, number in (
        ("equal, byte for byte", compared.equal),
        ("different", compared.different),
        ("only in the new ones", compared.new),
        ("only in those that serve: no window reaches back to their events", compared.gone),
    ):
        table.add_row(what, f"{number:,}")
    console.print(table)
    if compared.unreadable:
        console.print(f"{len(compared.unreadable):,} of those that serve cannot be read at all.", highlight=False)
    if compared.changes:
        by = ", ".join(f"{entity} {number:,}" for entity, number in compared.entities.most_common())
        console.print(f"By entity: {by}. Some: {', '.join(compared.keys[:SHOWN_EVENTS])}", markup=False)


def _ask(question: str, *, yes: bool, declined: str = "") -> None:
    if yes or typer.confirm(question, err=True):
        return
    if declined:
        console.print(f"Nothing reads them: `paywarden {declined}, `--abandon` gives them up.")
    raise typer.Exit(1)


def _since(watermark: int) -> str:
    if watermark < 0:
        return ""
    return f", from what was recorded up to {shown(watermark)} UTC"
