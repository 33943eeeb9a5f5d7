"""Parity: one history through the online fold and through the offline engines, compared bit for bit."""

import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from fraud.features import FeatureSet
from ops.featurestore.histories import events_of, table_of
from ops.featurestore.online import Online, online_matrix
from training.engines import vectorised
from training.engines.events import EventTable

__all__ = ["Engine", "Mismatch", "Report", "compare", "why_no_spark"]

type Matrix = npt.NDArray[np.float64]
type Progress = Callable[[str, int, int], None]


class Engine(StrEnum):
    """The engines that must agree; the first of those asked for is what the others are held against."""

    VECTORISED = "vectorised"
    SPARK = "spark"
    ONLINE = "online"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A number that two engines disagree on; `row` is the payment's place in the table, from 0."""

    row: int
    feature: str
    engine: Engine
    found: float
    expected: float


@dataclass(frozen=True, slots=True)
class Report:
    """What was compared, and where it differed.

    Attributes
    ----------
    duplicates, crashes : int
        Messages that came more than once on the online side, and updaters that died there.
    """

    rows: int
    features: int
    mismatches: tuple[Mismatch, ...]
    engines: tuple[Engine, ...]
    seconds: float
    duplicates: int
    crashes: int


def compare(
    frame: pd.DataFrame, features: FeatureSet, engines: Collection[Engine], *, seed: int, progress: Progress
) -> Report:
    """Run a history through engines and compare every number with the first one's.

    Parameters
    ----------
    frame : pandas.DataFrame
        Canonical rows, each transaction once.
    seed : int
        Of the shuffles, duplicates and crashes on the online side.

    Raises
    ------
    EventTableError, ParityError
        If the history cannot be used.
    """
    start = time.monotonic()
    events = EventTable.of(table_of(frame))
    online = Online(features, seed)
    asked = [each for each in Engine if each in engines]
    matrices: dict[Engine, Matrix] = {}
    for engine in asked:
        matrices[engine] = _run(engine, frame, events, features, online, progress)
    first = matrices[asked[0]]
    return Report(
        rows=len(frame),
        features=len(features.names),
        mismatches=tuple(
            each for engine in asked[1:] for each in _differences(engine, matrices[engine], first, features.names)
        ),
        engines=tuple(asked),
        seconds=round(time.monotonic() - start, 1),
        duplicates=online.duplicates,
        crashes=online.crashes,
    )


def why_no_spark() -> str:
    """Why Spark cannot run here; empty where it can."""
    return (
        "" if shutil.which("java") else "there is no `java` on the PATH; install Java 17 to compare with Spark too"
    )


def _run(
    engine: Engine,
    frame: pd.DataFrame,
    events: EventTable,
    features: FeatureSet,
    online: Online,
    progress: Progress,
) -> Matrix:
    def show(what: str, done: int, total: int) -> None:
        progress(f"{engine}: {what}", done, total)

    match engine:
        case Engine.VECTORISED:
            return vectorised.compute(events, features, progress=show)
        case Engine.SPARK:
            from training.engines import spark

            return spark.compute(events.table, features, cores=2, progress=show)
        case Engine.ONLINE:
            ids = zip(frame["merchant_id"], frame["transaction_id"], strict=True)
            places = {f"{merchant}/{transaction}": row for row, (merchant, transaction) in enumerate(ids)}
            return online_matrix(
                online, events_of(frame), places, progress=lambda done: show("payments", done, len(frame))
            )


def _differences(engine: Engine, found: Matrix, expected: Matrix, names: Sequence[str]) -> Iterator[Mismatch]:
    """Where two matrices differ in any bit; missing equals missing."""
    differ = (found.view(np.int64) != expected.view(np.int64)) & ~(np.isnan(found) & np.isnan(expected))
    for row, column in np.argwhere(differ):
        yield Mismatch(int(row), names[column], engine, float(found[row, column]), float(expected[row, column]))
