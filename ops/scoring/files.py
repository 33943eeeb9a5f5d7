"""Scores in a file, which is there as a whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ops.scoring.errors import ScoringError

__all__ = ["check_target", "write"]


def check_target(path: Path) -> None:
    """Refuse a file that could not be written, before hours of work go into it.

    Raises
    ------
    ScoringError
        If it ends neither in .parquet nor in .csv, or its folder is not there.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise ScoringError(f"{path}: scores are written as .parquet or .csv; choose one of these endings")
    if not path.parent.is_dir():
        raise ScoringError(f"{path.parent}: there is no such folder; make it first")


def write(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables one after the other into one file, and return how many rows it has.

    In CSV a list is its items with a space between them.
    """
    part = path.with_name(f".{path.name}.part")
    rows = 0
    writer: pq.ParquetWriter | pyarrow.csv.CSVWriter | None = None
    try:
        for table in tables:
            shown = table if path.suffix == ".parquet" else _flat(table)
            if writer is None:
                kind = pq.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter
                writer = kind(str(part), shown.schema)
            writer.write_table(shown)
            rows += table.num_rows
        if writer is None:
            raise ScoringError("there is no row to score; check the file, --since and --limit")
        writer.close()
        part.replace(path)
    finally:
        if writer is not None:
            writer.close()
        part.unlink(missing_ok=True)
    return rows


def _flat(table: pa.Table) -> pa.Table:
    if "reasons" not in table.column_names:
        return table
    joined = pa.array([" ".join(each or ()) for each in table["reasons"].to_pylist()], pa.string())
    return table.set_column(table.column_names.index("reasons"), "reasons", joined)
