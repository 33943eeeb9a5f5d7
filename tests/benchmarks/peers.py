"""The handbook's twelve window features in other libraries' words, each as that library does it fastest.

Every function takes a form of the same sorted columns and gives the whole table of features, its columns in the
order of `fraud.features.handbook.PUBLISHED`; mean amounts are in minor units, risks of nothing are NaN.
"""

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from tests.benchmarks.data import Columns

__all__ = ["PEERS", "Peer"]

DAY = 86_400_000
DAYS = (1, 7, 30)
DELAY = 7

type Matrix = npt.NDArray[np.float64]


class Peer:
    """A library: how it holds the input, how it does the work, how its answer becomes a matrix to compare."""

    def __init__(
        self,
        version: str,
        held: Callable[[Columns], Any],
        work: Callable[[Any], Any],
        matrix: Callable[[Any], Matrix],
    ) -> None:
        self.version, self.held, self.work, self.matrix = version, held, work, matrix


def _polars_held(of: Columns) -> pl.DataFrame:
    frame = pl.DataFrame({name: getattr(of, name) for name in ("customer", "terminal", "time", "amount", "fraud")})
    return frame.with_columns(pl.col("time").cast(pl.Datetime("ms")), one=pl.lit(1, pl.Int64))


def _polars(frame: pl.DataFrame) -> pl.DataFrame:
    def rolling(what: str, days: int, over: str) -> pl.Expr:
        return pl.col(what).rolling_sum_by("time", window_size=f"{days}d").over(over)

    sums = frame.select(
        *(rolling("one", days, "customer").alias(f"count_{days}") for days in DAYS),
        *(rolling("amount", days, "customer").alias(f"amount_{days}") for days in DAYS),
        *(
            rolling(what, DELAY + days, "terminal").alias(f"{what}_{days}")
            for what in ("one", "fraud")
            for days in DAYS
        ),
        rolling("one", DELAY, "terminal").alias("one_0"),
        rolling("fraud", DELAY, "terminal").alias("fraud_0"),
    )
    seen = {days: pl.col(f"one_{days}") - pl.col("one_0") for days in DAYS}
    return sums.select(
        *(pl.col(f"count_{days}").cast(pl.Float64) for days in DAYS),
        *((pl.col(f"amount_{days}") / pl.col(f"count_{days}")).alias(f"mean_{days}") for days in DAYS),
        *(seen[days].cast(pl.Float64).alias(f"seen_{days}") for days in DAYS),
        *(((pl.col(f"fraud_{days}") - pl.col("fraud_0")) / seen[days]).alias(f"risk_{days}") for days in DAYS),
    )


def _duckdb_held(of: Columns) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    frame = pd.DataFrame({name: getattr(of, name) for name in Columns.__slots__})  # noqa: F841 (the query reads it)
    connection.execute("create table t as select row_number() over () as n, * from frame")
    return connection


def _duckdb(connection: duckdb.DuckDBPyConnection) -> Any:
    windows, columns = [], []
    for days in DAYS:
        first, late = days * DAY - 1, DELAY * DAY
        spans = {
            f"c{days}": f"partition by customer order by time range between {first} preceding and current row",
            f"t{days}": f"partition by terminal order by time range between {late + first} preceding and "
            f"{late} preceding",
        }
        windows += [f"{name} as ({span})" for name, span in spans.items()]
    for what in ("count(*) over c{}", "avg(amount) over c{}", "count(*) over t{}", "avg(fraud) over t{}"):
        columns += [f"({what.format(days)})::double as f{len(columns) + n}" for n, days in enumerate(DAYS)]
    query = f"select n, {', '.join(columns)} from t window {', '.join(windows)}"  # noqa: S608 - names from constants
    return connection.sql(query).to_arrow_table()


def _duckdb_matrix(table: Any) -> Matrix:
    frame = table.to_pandas().sort_values("n").drop(columns="n")
    return frame.to_numpy(np.float64)


def _pandas_held(of: Columns) -> pd.DataFrame:
    frame = pd.DataFrame({name: getattr(of, name) for name in ("customer", "terminal", "amount", "fraud")})
    frame.index = pd.DatetimeIndex(of.time.view("datetime64[ms]"))
    return frame


def _pandas(frame: pd.DataFrame) -> Matrix:
    out = np.empty((len(frame), 12))
    order = np.argsort(frame["customer"].to_numpy(), kind="stable")
    groups = frame.groupby("customer")["amount"]
    for n, days in enumerate(DAYS):
        out[order, n] = groups.rolling(f"{days}D").count()
        out[order, 3 + n] = groups.rolling(f"{days}D").mean()
    order = np.argsort(frame["terminal"].to_numpy(), kind="stable")
    groups = frame.groupby("terminal")["fraud"]
    count = {days: groups.rolling(f"{days}D").count().to_numpy() for days in (DELAY, *(DELAY + d for d in DAYS))}
    total = {days: groups.rolling(f"{days}D").sum().to_numpy() for days in count}
    for n, days in enumerate(DAYS):
        seen = count[DELAY + days] - count[DELAY]
        out[order, 6 + n] = seen
        with np.errstate(invalid="ignore"):
            out[order, 9 + n] = (total[DELAY + days] - total[DELAY]) / seen
    return out


def _numpy(of: Columns) -> Matrix:
    """Sorted by key and time in one 64-bit number, with running sums and binary searches."""
    out = np.empty((len(of.time), 12))
    for column, key, what, delay in ((0, of.customer, of.amount, 0), (6, of.terminal, of.fraud, DELAY * DAY)):
        # A day is nearly 2**27 ms, a year 2**35: 42 bits hold the time and the widest window.
        joined = (key << 42) + (of.time - of.time[0]) + 64 * DAY
        order = np.argsort(joined, kind="stable")
        joined = joined[order]
        sums = np.concatenate([[0], np.cumsum(what[order])])
        end = np.searchsorted(joined, joined - delay, side="right")
        for n, days in enumerate(DAYS):
            begin = np.searchsorted(joined, joined - delay - days * DAY, side="right")
            count = end - begin
            out[order, column + n] = count
            with np.errstate(invalid="ignore"):
                out[order, column + 3 + n] = (sums[end] - sums[begin]) / count
    return out


def _itself(matrix: Matrix) -> Matrix:
    return matrix


PEERS: dict[str, Peer] = {
    "polars": Peer(pl.__version__, _polars_held, _polars, lambda frame: frame.to_numpy()),
    "duckdb": Peer(duckdb.__version__, _duckdb_held, _duckdb, _duckdb_matrix),
    "pandas": Peer(pd.__version__, _pandas_held, _pandas, _itself),
    "numpy": Peer(np.__version__, lambda of: of, _numpy, _itself),
}
