"""`paywarden backtest`: how good a model would have been on somebody's history."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from fraud.features import STANDARD, FeatureSet
from fraud.features.extended import GROUPS, extended
from fraud.features.handbook import modelled
from fraud.windows import DAY, SECOND
from ops.backtests.trying import BacktestError
from ops.inputs import Mapping
from ops.terminal import console, mapping_of, ms, progress_bars, stages

__all__ = ["Backtest", "Features", "ModelName", "Protocol", "backtest", "run"]

CARDS_KNOWN_DAYS = 7

type Progress = Callable[[str, int, int], None]


class Protocol(StrEnum):
    """How the history is cut."""

    WEEKLY = "weekly"


class Features(StrEnum):
    """Which features a model is given."""

    HANDBOOK = "handbook"
    STANDARD = "standard"
    ALL = "all"


class ModelName(StrEnum):
    """The models of `training.peers`, which is not imported before it is needed; `xgboost` is one of the three."""

    XGBOOST = "xgboost"
    OURS = "xgboost-ours"
    HANDBOOK = "xgboost-handbook"
    SELECTED = "xgboost-handbook-selected"
    LOGISTIC = "logistic"
    FOREST = "forest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What is to be tried; `first_test` in ms, lengths in days."""

    data: Path
    mapping: Mapping
    first_test: int
    folds: int = 1
    train_days: int = 7
    delay_days: int = 7
    test_days: int = 7
    known_days: int = CARDS_KNOWN_DAYS
    features: Features = Features.ALL
    groups: tuple[str, ...] = GROUPS
    model: ModelName = ModelName.XGBOOST
    seed: int = 0
    threads: int = 0

    @property
    def settings(self) -> ModelName:
        """The model that counts: `xgboost` has the settings that belong to the features.

        Those of the handbook's features are the ones that its figures were published with: XGBoost's defaults for
        the single split of its chapter 3, selected ones for the successive windows of chapter 5.
        """
        if self.model is not ModelName.XGBOOST:
            return self.model
        if self.features is not Features.HANDBOOK:
            return ModelName.OURS
        return ModelName.HANDBOOK if self.folds == 1 else ModelName.SELECTED


def backtest(
    data: Annotated[Path, typer.Option("--data", help="A CSV or Parquet file, or a folder of Parquet files.")],
    mapping: Annotated[
        str, typer.Option("--mapping", help="A mapping file, or the name of one that ships, such as handbook.")
    ],
    first_test: Annotated[datetime, typer.Option("--first-test", help="Start of the first test window (UTC).")],
    protocol: Annotated[
        Protocol, typer.Option("--protocol", help="weekly: train, wait for labels, test, and move on.")
    ] = Protocol.WEEKLY,
    folds: Annotated[int, typer.Option("--folds", min=1, help="How many test windows, one after another.")] = 1,
    train_days: Annotated[int, typer.Option("--train-days", min=1, help="Days of each training window.")] = 7,
    delay_days: Annotated[
        int,
        typer.Option("--delay-days", min=0, help="Days until a label is known; the mapping's own do not count."),
    ] = 7,
    test_days: Annotated[int, typer.Option("--test-days", min=1, help="Days of each test window.")] = 7,
    known_days: Annotated[
        int | None,
        typer.Option(
            "--known-days",
            min=0,
            help="Cards with a known fraud in this many last days of training, or since, are left out of the "
            "test; 7 by default, or as many as --train-days if they are fewer.",
        ),
    ] = None,
    features: Annotated[
        Features, typer.Option("--features", help="The features that the model is given.")
    ] = Features.ALL,
    groups: Annotated[
        str,
        typer.Option(
            "--groups", help="With --features all: the groups to take beside the amount, parted by commas."
        ),
    ] = ",".join(GROUPS),
    model: Annotated[
        ModelName,
        typer.Option(
            "--model", help="XGBoost as suits the features, ours or the handbook's, or a classic to compare."
        ),
    ] = ModelName.XGBOOST,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the model's random choices.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Processors to use; 0 for all there are.")] = 0,
    json_only: Annotated[
        bool, typer.Option("--json-only", help="Print no progress and no table, only the line of JSON.")
    ] = False,
) -> None:
    """Try a model on any history: fit it on some days, wait for labels, test it on later days.

    Prints one line of JSON. Nothing needs to be deployed, and the history stays where it is.
    """
    start = ms(first_test)
    if start is None:  # a typed option cannot be None; this tells the type checker
        raise BacktestError("--first-test is missing; name the first day to test, such as 2018-08-08")
    asked = Backtest(
        data=data,
        mapping=mapping_of(mapping),
        first_test=start,
        folds=folds,
        train_days=train_days,
        delay_days=delay_days,
        test_days=test_days,
        known_days=min(CARDS_KNOWN_DAYS, train_days) if known_days is None else known_days,
        features=features,
        groups=_groups(groups),
        model=model,
        seed=seed,
        threads=threads,
    )
    if json_only:
        found = run(asked)
    else:
        with progress_bars() as bars:
            found = run(asked, stages(bars))
    sys.stdout.write(msgspec.json.encode({"protocol": protocol.value, **found}).decode() + "\n")
    if not json_only:
        _show(found)


def run(asked: Backtest, progress: Progress = lambda _what, _done, _total: None) -> dict[str, Any]:
    """Try it; the figures as the command prints them.

    Raises
    ------
    BacktestError
        The history cannot answer what is asked; the message names the option and the remedy.
    MappingError, RowError
        The file cannot be read through the mapping.
    """
    from ops.inputs.history import events_of, read_payments
    from training.engines.events import EventTable
    from training.engines.vectorised import compute
    from training.folds import weekly
    from training.peers import PEERS
    from training.walkforward import UNKNOWN, History, mean_of, walk

    if asked.mapping.label is None:
        raise BacktestError(
            f"--mapping {asked.mapping.path} has no [label]; say which column tells fraud, since there is "
            "nothing to learn and to judge without it"
        )
    started = time.perf_counter()
    folds = weekly(asked.first_test, asked.train_days, asked.delay_days, asked.test_days, asked.folds)
    payments = read_payments(asked.data, asked.mapping, until=folds[-1].test[1], progress=progress)
    if payments is None:
        raise BacktestError(
            f"--data {asked.data} has no payment before {_day(folds[-1].test[1])}; check --first-test"
        )
    times, labels = payments.times, payments.labels
    if times[-1] < asked.first_test:
        raise BacktestError(
            f"--first-test is after the last payment of --data: they lie between {_day(int(times[0]))} and "
            f"{_day(int(times[-1]))} (UTC); name an earlier day"
        )
    if times[0] >= folds[-1].train[1]:
        raise BacktestError(
            f"there is nothing to train on: payments of --data begin on {_day(int(times[0]))}, and training ends "
            f"{asked.delay_days} days before a test; name a later --first-test, or fewer --delay-days"
        )
    read_in = time.perf_counter()
    chosen = feature_set(asked.features, asked.delay_days * DAY, asked.groups)
    events = EventTable.of(events_of(payments, asked.delay_days * DAY), ordered=True)
    vectors = compute(events, chosen, threads=asked.threads or None, progress=progress)
    history = History(times, payments.cards, labels, vectors)
    computed = time.perf_counter()
    peer = PEERS[asked.settings.value]
    results = []
    for result in walk(history, folds, asked.known_days, peer.make(asked.seed, asked.threads)):
        results.append(result)
        progress("folds", len(results), len(folds))
    ended = time.perf_counter()
    return {
        "data": asked.data.name,
        "mapping": Path(asked.mapping.path).stem,
        "train_days": asked.train_days,
        "delay_days": asked.delay_days,
        "test_days": asked.test_days,
        "known_days": asked.known_days,
        "first_test": _day(asked.first_test),
        "features": asked.features.value,
        "groups": asked.groups if asked.features is Features.ALL else (),
        "feature_set": chosen.version,
        "feature_count": len(chosen.names),
        "model": asked.model.value,
        "settings": asked.settings.value,
        "parameters": peer.parameters,
        "seed": asked.seed,
        "rows": len(times),
        "frauds": int((labels == 1).sum()),
        "unlabelled": int((labels == UNKNOWN).sum()),
        "mean": mean_of(results),
        "folds": results,
        "seconds": round(ended - started, 3),
        "seconds_reading": round(read_in - started, 3),
        "seconds_features": round(computed - read_in, 3),
    }


def feature_set(features: Features, delay: int, only: tuple[str, ...] = GROUPS) -> FeatureSet:
    """The features of a name, with labels `delay` ms late.

    The standard set is as it serves, with its own delay of 7 days: where labels are slower, it sees fewer frauds.
    """
    delay = max(delay, DAY)  # labels are never known at once, and a feature over them must say so
    match features:
        case Features.HANDBOOK:
            # Windows there end with the payment that is exactly as old as the delay.
            return modelled(delay - SECOND)
        case Features.STANDARD:
            return STANDARD
        case Features.ALL:
            return extended(delay, only=only)


def _groups(text: str) -> tuple[str, ...]:
    """The groups that are named, in the order of `GROUPS`."""
    named = {name.strip() for name in text.split(",")} - {""}
    strange = sorted(named - set(GROUPS))
    if strange:
        raise BacktestError(f"--groups: there is no group {strange[0]!r}; use some of {', '.join(GROUPS)}")
    return tuple(name for name in GROUPS if name in named)


def _day(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / 1_000, UTC):%Y-%m-%d}"


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("test from", "rows", "frauds", "AUC", "average precision", "card precision@100", "note")
    for each in found["folds"]:
        row = (each.test.since[:10], f"{each.test.rows:,}", f"{each.test.frauds:,}")
        table.add_row(*row, *map(_figure, msgspec.structs.astuple(each.figures)), each.note)
    table.add_row("mean", "", "", *map(_figure, msgspec.structs.astuple(found["mean"])), "")
    console.print(table)


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
