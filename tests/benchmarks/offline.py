"""Offline: whole histories, ours beside what else computes them on one machine."""

import json
import subprocess
import sys
from collections.abc import Iterator
from math import log

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fraud.features import STANDARD, FeatureSet
from fraud.features.handbook import HANDBOOK
from tests.benchmarks.data import HANDBOOK_FILE, ROOT, Columns, columns, event_table
from tests.benchmarks.peers import PEERS
from tests.benchmarks.results import Row, against, limit, measured, missing
from tests.benchmarks.timing import interleaved
from tests.benchmarks.worlds import events
from training.engines.events import EventTable, table_of
from training.engines.vectorised import compute

__all__ = ["offline_rows"]

# How many times faster we want to be; NumPy's way is there for orientation.
GOALS = {"polars": 2.0, "duckdb": 6.0, "pandas": 15.0, "numpy": None}
ROUNDS = {"ours": 7, "polars": 7, "duckdb": 5, "pandas": 3, "numpy": 7}
SIZES = (1, 2, 4, 8)
WORLD_ROWS = 100_000

type Matrix = npt.NDArray[np.float64]


def offline_rows() -> Iterator[Row]:
    """Every row about histories on one machine."""
    if HANDBOOK_FILE.is_file():
        yield from _peers()
        yield from _growth()
        yield from _memory()
    else:
        why = "the handbook data is not there; it is not part of this repository"
        for name, goal in GOALS.items():
            yield missing(f"offline, against {name}", why, goal=goal)
        yield missing("offline, growth from 1x to 8x the rows", why, goal=1.0)
        yield missing("offline, working memory", why)
    yield _standard()


def _ours(table: pa.Table, features: FeatureSet) -> Matrix:
    """From the columns in memory to the matrix; the checks of the table are part of it."""
    return compute(EventTable.of(table, ordered=True), features)


def _peers() -> Iterator[Row]:
    data = columns()
    table, rows = event_table(data), len(data.time)
    held = {name: peer.held(data) for name, peer in PEERS.items()}
    ours, tied = _ours(table, HANDBOOK), _tied(data)
    for name, peer in PEERS.items():
        _check(name, peer.matrix(peer.work(held[name])), ours, tied)
    works = {name: lambda name=name: PEERS[name].work(held[name]) for name in PEERS}
    seconds = interleaved({"ours": lambda: _ours(table, HANDBOOK), **works}, ROUNDS)
    rate = {name: rows / taken / 1e6 for name, taken in seconds.items()}
    work = f"12 handbook window features of {rows:,} rows, medians of interleaved runs, both cores"
    for name, peer in PEERS.items():
        yield against(
            f"offline, against {name}",
            work,
            rate["ours"],
            "M rows/s",
            name,
            peer.version,
            rate[name],
            goal=GOALS[name],
        )


def _tied(data: Columns) -> npt.NDArray[np.bool_]:
    """Rows of one customer in one instant: ours and pandas go by their order, the others count all of them."""
    order = np.lexsort((data.time, data.customer))
    same = (np.diff(data.customer[order]) == 0) & (np.diff(data.time[order]) == 0)
    tied = np.zeros(len(order), np.bool_)
    tied[order[1:][same]] = tied[order[:-1][same]] = True
    return tied


def _check(name: str, theirs: Matrix, ours: Matrix, tied: npt.NDArray[np.bool_]) -> None:
    """Counts and risks are equal, means to 1e-9; customers' features but for ties."""
    allowed = np.abs(ours) * np.array([0.0] * 3 + [1e-9] * 3 + [0.0] * 6)
    both = np.isnan(theirs) & np.isnan(ours)
    wrong = ~both & ~(np.abs(theirs - ours) <= allowed)
    wrong[tied, :6] = False
    if wrong.any():
        raise AssertionError(f"{name} and ours differ in {int(wrong.sum())} numbers; the times mean nothing")


def _growth() -> Iterator[Row]:
    tables = {f"{size}x": event_table(columns(size)) for size in SIZES}
    base = _ours(tables["1x"], HANDBOOK).shape[0]
    seconds = interleaved(
        {size: lambda table=table: _ours(table, HANDBOOK) for size, table in tables.items()},
        dict.fromkeys(tables, 5),
    )
    for size in SIZES:
        work = f"12 features of {base * size:,} rows, medians of interleaved runs"
        yield measured(f"offline, {size}x the rows", work, seconds[f"{size}x"], "s")
    # n log n from 1x to 8x, and nothing on top of it.
    most = SIZES[-1] * log(base * SIZES[-1]) / log(base)
    work = f"seconds at {SIZES[-1]}x over seconds at 1x; n log n gives {most:.2f}"
    yield limit(
        "offline, growth from 1x to 8x the rows", work, seconds[f"{SIZES[-1]}x"] / seconds["1x"], "times", most
    )


def _memory() -> Iterator[Row]:
    peaks = {}
    for name in ("ours", "polars"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.memory", name],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        peaks[name] = json.loads(done.stdout)
    ours, theirs = peaks["ours"], peaks["polars"]
    work = "MB a million rows beyond input and output, in a fresh process, 6 M rows"
    yield Row(
        "offline, working memory",
        work,
        ours,
        "MB/M rows",
        "polars",
        PEERS["polars"].version,
        theirs,
        theirs / ours,
    )


def _standard() -> Row:
    table = table_of(events(WORLD_ROWS))
    compute(table, STANDARD)
    seconds = interleaved({"ours": lambda: compute(table, STANDARD)}, {"ours": 5})["ours"]
    work = f"{len(STANDARD.names)} standard features of {WORLD_ROWS:,} generated payments with outcomes and labels"
    return measured("offline, standard set", work, WORLD_ROWS / seconds / 1e6, "M rows/s")
