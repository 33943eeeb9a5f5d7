"""The dataset on disk: one Parquet file per part, and a description that pins its content."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from training.arrays import Labels
from training.contract import ProgramError
from training.split import PARTS, Cuts

__all__ = ["Description", "Part", "PartSummary", "Rows", "read_description", "read_part", "write_dataset"]

# `amount` alone is the name of a feature, so the money column says its unit.
_ABOUT_COLUMNS = ("event_id", "event_time", "amount_minor", "card", "merchant_id")


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a dataset, ordered by time; every sequence has one entry per row.

    Attributes
    ----------
    times : array of int64
        Milliseconds, UTC.
    amounts : array of int64
        Minor units.
    names : tuple of str
        Columns of `vectors`.
    vectors : array of float64, shape (rows, features)
    labels : array of int8
    """

    event_ids: list[str]
    times: npt.NDArray[np.int64]
    amounts: npt.NDArray[np.int64]
    cards: list[str]
    merchants: list[str]
    names: tuple[str, ...]
    vectors: npt.NDArray[np.float64]
    labels: Labels


class PartSummary(msgspec.Struct, frozen=True):
    """Size of a part; `window` is the time of its first and last row, in milliseconds."""

    rows: int
    frauds: int
    window: tuple[int, int]


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What the later steps need of dataset.json; the file says more for people."""

    as_of: int
    feature_set: str
    features: tuple[str, ...]
    fingerprint: str
    parts: dict[str, PartSummary]


@dataclass(frozen=True, slots=True)
class Part:
    """One part as arrays; `cards` numbers the cards."""

    times: npt.NDArray[np.int64]
    cards: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float64]
    labels: Labels


def write_dataset(folder: Path, rows: Rows, cuts: Cuts, *, feature_set: str, about: dict[str, object]) -> None:
    """Write the three parts and dataset.json; the same rows give the same bytes.

    Parameters
    ----------
    about : dict
        Further entries of dataset.json: as_of, options, sources, exclusions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = hashlib.sha256(msgspec.json.encode((feature_set, rows.names)))
    parts = {}
    for name, taken in cuts.slices(len(rows.labels)).items():
        table = _table(rows, taken)
        _feed(fingerprint, name, table)
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
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
    (folder / "dataset.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def read_description(folder: Path) -> Description:
    """Read dataset.json.

    Raises
    ------
    ProgramError
        It is absent or not one that `dataset` writes.
    """
    path = folder / "dataset.json"
    if not path.is_file():
        raise ProgramError(f"There is no {path}; give this job the output of the dataset step as its input.")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Description)
    except msgspec.DecodeError as error:
        raise ProgramError(f"{path} is not usable ({error}); build the dataset again.") from error


def read_part(folder: Path, name: str, features: Sequence[str]) -> Part:
    """Read one part, its vectors in the order of `features`.

    Raises
    ------
    ProgramError
        The file is absent, lacks a column or is empty, or its labels are not 0 and 1.
    """
    if name not in PARTS:
        raise ValueError(f"{name!r} is not a part; the parts are {', '.join(PARTS)}")
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise ProgramError(f"There is no {path}; give this job the output of the dataset step as its input.")
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise ProgramError(f"{path} is not a readable Parquet file ({error}); build the dataset again.") from error
    missing = sorted({"event_time", "card", "label", *features} - set(table.column_names))
    if missing:
        raise ProgramError(f"{path} has no column {missing[0]!r}; build the dataset again with this version.")
    labels = table.column("label").to_numpy()
    if not len(labels) or not np.isin(labels, (0, 1)).all():
        raise ProgramError(
            f"Column 'label' of {path} must be 0 or 1 in at least one row; build the dataset again."
        )
    _, cards = np.unique(np.asarray(table.column("card").to_pylist(), dtype=np.str_), return_inverse=True)
    return Part(
        times=table.column("event_time").to_numpy().astype(np.int64),
        cards=cards.astype(np.int64),
        vectors=np.column_stack([table.column(feature).to_numpy() for feature in features]).astype(np.float64),
        labels=labels.astype(np.int8),
    )


def _table(rows: Rows, taken: slice) -> pa.Table:
    clash = sorted(set(rows.names) & {*_ABOUT_COLUMNS, "label"})
    if clash:
        raise ProgramError(f"A feature is named {clash[0]!r}, as a column about the row is; rename the feature.")
    about: tuple[pa.Array[Any], ...] = (
        pa.array(rows.event_ids[taken], pa.string()),
        pa.array(rows.times[taken], pa.int64()),
        pa.array(rows.amounts[taken], pa.int64()),
        pa.array(rows.cards[taken], pa.string()),
        pa.array(rows.merchants[taken], pa.string()),
    )
    vectors = [pa.array(rows.vectors[taken, column], pa.float64()) for column in range(len(rows.names))]
    labels = pa.array(rows.labels[taken], pa.int8())
    return pa.table([*about, *vectors, labels], names=[*_ABOUT_COLUMNS, *rows.names, "label"])


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
