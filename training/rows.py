"""All rows of a dataset at once, and how they are written as the parts that `training.parts` reads."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from training.arrays import Labels
from training.contract import ProgramError
from training.parts import ABOUT, COLUMNS
from training.split import Cuts

__all__ = ["Rows", "write_dataset"]

MOST_ROWS = 500_000
"""Of one file: about 150 MB in memory with the standard features."""

_MACHINES = 8
_LEAST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a dataset, ordered by time; every sequence has one entry per row.

    Attributes
    ----------
    times : array of int64
        Milliseconds, UTC.
    amounts : array of int64
        Minor units.
    countries : list of str
        Of the card's issuer, else of the billing address, else empty.
    new_cards : array of bool
        Where no earlier payment of the card is known.
    weights : array of float64
        1, or 1 / propensity of a payment that was let through at random, clipped; see `training.weights`.
    names : tuple of str
        Columns of `vectors`.
    vectors : array of float64, shape (rows, features)
    labels : array of int8
    clipped_weights : int
        Rows that would weigh more without the bound of `training.weights`.
    """

    event_ids: list[str]
    times: npt.NDArray[np.int64]
    amounts: npt.NDArray[np.int64]
    cards: list[str]
    merchants: list[str]
    countries: list[str]
    new_cards: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]
    names: tuple[str, ...]
    vectors: npt.NDArray[np.float64]
    labels: Labels
    clipped_weights: int = 0


def write_dataset(
    folder: Path,
    rows: Rows,
    cuts: Cuts,
    *,
    feature_set: str,
    about: dict[str, object],
    rows_a_file: int = MOST_ROWS,
) -> None:
    """Write the three parts and about/dataset.json; the same rows give the same bytes.

    Parameters
    ----------
    about : dict
        Further entries of dataset.json: as_of, options, sources, exclusions.
    rows_a_file : int
        No file of the train part has more. From 1,000 rows a file, it has 8 files of one size or more, which as
        many machines can share; the other parts are one file, since every machine reads them whole.
    """
    (folder / ABOUT).mkdir(parents=True, exist_ok=True)
    fingerprint = hashlib.sha256(msgspec.json.encode((feature_set, rows.names)))
    parts = {}
    for name, taken in cuts.slices(len(rows.labels)).items():
        table = _table(rows, taken)
        _feed(fingerprint, name, table)
        (folder / name).mkdir(exist_ok=True)
        for number, (start, stop) in enumerate(_files(table.num_rows, rows_a_file if name == "train" else None)):
            path = folder / name / f"part-{number:05d}.parquet"
            pq.write_table(table.slice(start, stop - start), path, compression="zstd")
        times, labels = rows.times[taken], rows.labels[taken]
        parts[name] = {
            "rows": len(labels),
            "frauds": int(labels.sum()),
            "window": [int(times[0]), int(times[-1])],
        }
    document = {
        **about,
        "feature_set": feature_set,
        "features": list(rows.names),
        "fingerprint": fingerprint.hexdigest(),
        "parts": parts,
    }
    (folder / ABOUT / "dataset.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _files(rows: int, most: int | None) -> Iterator[tuple[int, int]]:
    """First and last row (exclusive) of each file."""
    files = 1 if most is None else max(-(-rows // most), min(_MACHINES, rows // _LEAST_ROWS), 1)
    edges = [rows * number // files for number in range(files + 1)]
    return pairwise(edges)


def _table(rows: Rows, taken: slice) -> pa.Table:
    clash = sorted(set(rows.names) & {*COLUMNS, "label"})
    if clash:
        raise ProgramError(f"A feature is named {clash[0]!r}, as a column about the row is; rename the feature.")
    about: tuple[pa.Array[Any], ...] = (
        pa.array(rows.event_ids[taken], pa.string()),
        pa.array(rows.times[taken], pa.int64()),
        pa.array(rows.amounts[taken], pa.int64()),
        pa.array(rows.cards[taken], pa.string()),
        pa.array(rows.merchants[taken], pa.string()),
        pa.array(rows.countries[taken], pa.string()),
        pa.array(rows.new_cards[taken], pa.bool_()),
        pa.array(rows.weights[taken], pa.float64()),
    )
    vectors = [pa.array(rows.vectors[taken, column], pa.float64()) for column in range(len(rows.names))]
    labels = pa.array(rows.labels[taken], pa.int8())
    return pa.table([*about, *vectors, labels], names=[*COLUMNS, *rows.names, "label"])


def _feed(fingerprint: "hashlib._Hash", name: str, table: pa.Table) -> None:
    """Hash values rather than file bytes, so that another Parquet writer does not make another dataset."""
    fingerprint.update(f"{name}:{table.num_rows}\n".encode())
    for column_name in table.column_names:
        column = table.column(column_name)
        fingerprint.update(column_name.encode() + b"\n")
        if pa.types.is_string(column.type):
            fingerprint.update(msgspec.json.encode(column.to_pylist()))
            continue
        values = column.to_numpy()
        if values.dtype == np.float64:
            # All nans are one value here, whatever their bits.
            values = np.where(np.isnan(values), np.nan, values)
        fingerprint.update(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes())
