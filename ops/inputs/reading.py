"""Reading a table of payments, batch by batch, through a mapping."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from ops.inputs.convert import convert
from ops.inputs.mapping import Mapping, MappingError
from ops.inputs.rows import CANONICAL

__all__ = ["read", "read_frame"]

BATCH_ROWS = 65_536
_DAMAGE = {
    "Empty CSV": "it is empty; a table starts with a row of column names",
    "UTF8": "it is not UTF-8 text; convert it, for instance with iconv",
    "Parquet magic bytes": "it is no Parquet file, whatever its name says",
}


def read(
    path: str | Path,
    mapping: Mapping,
    *,
    since: int | None = None,
    until: int | None = None,
    limit: int | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pd.DataFrame]:
    """Read a CSV or Parquet file as canonical rows, never more than a batch at a time.

    Parameters
    ----------
    path : str or Path
        A ``.parquet`` file, a ``.csv`` (or ``.csv.gz``) file, or a folder of Parquet files, read by name.
    since, until : int, optional
        Keep rows with since <= event_time < until; milliseconds since the epoch, UTC.
    limit : int, optional
        Stop after so many kept rows.

    Yields
    ------
    pandas.DataFrame
        Columns `CANONICAL`, in the order of the file; never empty.

    Raises
    ------
    MappingError
        If the file lacks a column or is of no known kind.
    RowError
        If a row cannot be used.
    """
    source = Path(path)
    row = 1
    left = limit
    for batch in _readable(source, mapping, batch_rows):
        if left is not None and left <= 0:
            return
        frame = convert(batch, mapping, row)
        row += len(batch)
        if since is not None:
            frame = frame[frame["event_time"] >= since]
        if until is not None:
            frame = frame[frame["event_time"] < until]
        if left is not None:
            frame = frame.head(left)
            left -= len(frame)
        if len(frame):
            yield frame.reset_index(drop=True)


def read_frame(
    path: str | Path,
    mapping: Mapping,
    *,
    since: int | None = None,
    until: int | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """Like `read`, as one frame; for slices that fit in memory."""
    frames = list(read(path, mapping, since=since, until=until, limit=limit))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(CANONICAL))


def _readable(source: Path, mapping: Mapping, batch_rows: int) -> Iterator[pd.DataFrame]:
    """The batches of a file, with the parsers' own errors told in our words."""
    try:
        yield from _batches(source, mapping, batch_rows)
    except pa.ArrowInvalid as error:
        # Arrow quotes the line at fault, which may hold anything; only its shape is passed on.
        shape = re.search(r"(Row #\d+: )?Expected \d+ columns, got \d+", str(error))
        detail = next((why for sign, why in _DAMAGE.items() if sign in str(error)), "it is damaged")
        raise MappingError(
            f"{source}: cannot be read: {shape[0].replace('Row #', 'line ') if shape else detail}"
        ) from None


def _batches(source: Path, mapping: Mapping, batch_rows: int) -> Iterator[pd.DataFrame]:
    if source.is_dir():
        parts = sorted(source.glob("*.parquet"))
        if not parts:
            raise MappingError(f"{source}: no .parquet file in this folder")
        for part in parts:
            yield from _parquet(part, mapping, batch_rows)
    elif not source.exists():
        raise MappingError(f"{source}: there is no such file")
    elif source.suffix == ".parquet":
        yield from _parquet(source, mapping, batch_rows)
    elif source.suffix == ".csv" or source.suffixes[-2:] == [".csv", ".gz"]:
        yield from _csv(source, mapping, batch_rows)
    else:
        raise MappingError(f"{source}: neither .parquet, .csv nor .csv.gz; convert it, or rename it if it is one")


def _parquet(source: Path, mapping: Mapping, batch_rows: int) -> Iterator[pd.DataFrame]:
    with parquet.ParquetFile(source) as file:
        mapping.check_columns(file.schema_arrow.names, source.name)
        for batch in file.iter_batches(batch_size=batch_rows, columns=list(mapping.source_columns)):
            yield batch.to_pandas()


def _csv(source: Path, mapping: Mapping, batch_rows: int) -> Iterator[pd.DataFrame]:
    parse = csv.ParseOptions(newlines_in_values=True)
    # One thread, so that an error can name its row.
    settings = csv.ReadOptions(use_threads=False)
    with csv.open_csv(source, read_options=settings, parse_options=parse) as header:
        mapping.check_columns(header.schema.names, source.name)
    # Everything is read as text: guessing types would turn the id 007 into 7.
    convert_options = csv.ConvertOptions(
        column_types={name: pa.string() for name in mapping.source_columns},
        include_columns=list(mapping.source_columns),
        strings_can_be_null=True,
        null_values=[""],
    )
    with csv.open_csv(
        source, read_options=settings, parse_options=parse, convert_options=convert_options
    ) as reader:
        for block in reader:
            for start in range(0, block.num_rows, batch_rows):
                yield block.slice(start, batch_rows).to_pandas()
