"""Spark on this machine: rows a second on one and two cores, and the same bits as the vectorised engine."""

from collections.abc import Iterator
from time import perf_counter

import numpy as np

from fraud.features.handbook import HANDBOOK
from tests.benchmarks.data import HANDBOOK_FILE, columns, event_table
from tests.benchmarks.results import Row, measured, missing
from training.engines.vectorised import compute

__all__ = ["spark_rows"]

ROWS = 200_000
CORES = (1, 2)


def spark_rows() -> Iterator[Row]:
    """A row for each number of cores; sessions are started and ended with each."""
    names = {cores: f"spark, {cores} local core{'s' if cores > 1 else ''}" for cores in CORES}
    try:
        from training.engines import spark
    except ImportError as error:
        for name in names.values():
            yield missing(name, f"there is no Spark engine here ({error.name})")
        return
    if not HANDBOOK_FILE.is_file():
        for name in names.values():
            yield missing(name, "the handbook data is not there; it is not part of this repository")
        return
    table = event_table(columns(most=ROWS))
    ours = compute(table, HANDBOOK)
    for cores, name in names.items():
        begun = perf_counter()
        try:
            found = spark.compute(table, HANDBOOK, cores=cores)
        except Exception as error:
            yield missing(name, f"Spark did not run ({type(error).__name__})")
            continue
        seconds = perf_counter() - begun
        if not np.array_equal(found, ours, equal_nan=True):
            raise AssertionError("Spark and the vectorised engine differ; the times mean nothing")
        work = f"12 handbook features of {ROWS:,} rows with start and end of the session, bits equal"
        yield measured(name, work, ROWS / seconds, "rows/s")
