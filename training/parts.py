"""The dataset on disk: a folder for each part, its rows in Parquet files, and a folder that tells about them.

::

    about/dataset.json            what the rows are, and a fingerprint that pins their content
    train/part-00000.parquet      rows in time order, also from file to file; several files for several machines
    validation/part-00000.parquet
    evaluation/part-00000.parquet
"""

from collections.abc import Iterable, Sequence
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

__all__ = [
    "ABOUT",
    "COLUMNS",
    "Description",
    "Part",
    "PartSummary",
    "part_files",
    "read_description",
    "read_file",
    "read_part",
]

ABOUT = "about"
"""The folder, beside those of the parts, of what tells about them."""

# `amount` alone is the name of a feature, so the money column says its unit.
COLUMNS = (
    "event_id",
    "event_time",
    "amount_minor",
    "card",
    "merchant_id",
    "country",
    "new_card",
    "weight",
)
"""What every row says beside its features and its label."""


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
    """One part, or some files of it, as arrays of one entry per row.

    Attributes
    ----------
    times : array of int64
        Milliseconds, UTC, ascending.
    cards : array of int64
        A number for each card of these rows.
    vectors : array of float64, shape (rows, features)
    labels : array of int8
    amounts : array of int64
        Minor units.
    merchants, countries : array of str
    new_cards : array of bool
        Where no earlier payment of the card was known.
    weights : array of float64
        1, or 1 / propensity of a payment that was let through at random, clipped; see `training.weights`.
    """

    times: npt.NDArray[np.int64]
    cards: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float64]
    labels: Labels
    amounts: npt.NDArray[np.int64]
    merchants: npt.NDArray[np.object_]
    countries: npt.NDArray[np.object_]
    new_cards: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]


def read_description(about: Path) -> Description:
    """Read dataset.json in the folder `about` of a dataset.

    Raises
    ------
    ProgramError
        It is absent or not one that `dataset` writes.
    """
    path = about / "dataset.json"
    if not path.is_file():
        raise ProgramError(f"There is no {path}; give this job the output of the dataset step as its input.")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Description)
    except msgspec.DecodeError as error:
        raise ProgramError(f"{path} is not usable ({error}); build the dataset again.") from error


def part_files(folder: Path) -> list[Path]:
    """The files of a part, or of this machine's share of it, in the order of time.

    Raises
    ------
    ProgramError
        There is none.
    """
    found = sorted(folder.glob("part-*.parquet"))
    if not found:
        raise ProgramError(
            f"There are no part-*.parquet in {folder}; give this job the output of the dataset step as its input."
        )
    return found


def read_part(folder: Path, features: Sequence[str]) -> Part:
    """Read a part's folder, its vectors in the order of `features`.

    Raises
    ------
    ProgramError
        It holds no file, or one that cannot be read, lacks a column or is empty, or whose labels are not 0 and 1.
    """
    return _part((_read(path, features) for path in part_files(folder)), features)


def read_file(path: Path, features: Sequence[str]) -> Part:
    """Read one of `part_files`, for data larger than memory; raises as `read_part`."""
    return _part((_read(path, features),), features)


def _read(path: Path, features: Sequence[str]) -> pa.Table:
    needed = [*COLUMNS[1:], *features, "label"]
    try:
        with pq.ParquetFile(path) as file:
            missing = sorted(set(needed) - set(file.schema_arrow.names))
            if missing:
                raise ProgramError(
                    f"{path} has no column {missing[0]!r}; build the dataset again with this version."
                )
            table = file.read(columns=needed)
    except (pa.ArrowInvalid, OSError) as error:
        raise ProgramError(f"{path} is not a readable Parquet file ({error}); build the dataset again.") from error
    labels = table.column("label").to_numpy()
    if not len(labels) or not np.isin(labels, (0, 1)).all():
        raise ProgramError(
            f"Column 'label' of {path} must be 0 or 1 in at least one row; build the dataset again."
        )
    return table


def _part(tables: Iterable[pa.Table], features: Sequence[str]) -> Part:
    table = pa.concat_tables(tables)
    vectors = np.empty((table.num_rows, len(features)))
    for place, name in enumerate(features):
        vectors[:, place] = table.column(name).to_numpy()
    cards, _ = _numbered(table, "card")
    return Part(
        times=table.column("event_time").to_numpy().astype(np.int64),
        cards=cards,
        vectors=vectors,
        labels=table.column("label").to_numpy().astype(np.int8),
        amounts=table.column("amount_minor").to_numpy().astype(np.int64),
        merchants=_texts(table, "merchant_id"),
        countries=_texts(table, "country"),
        new_cards=table.column("new_card").to_numpy().astype(np.bool_),
        weights=table.column("weight").to_numpy().astype(np.float64),
    )


def _numbered(table: pa.Table, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_]]:
    """Each row's number, and what each number stands for, in the order of their first rows."""
    column: Any = table.column(name).combine_chunks()
    coded = column.dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_numpy(zero_copy_only=False)


def _texts(table: pa.Table, name: str) -> npt.NDArray[np.object_]:
    """One object for each text, however many rows have it."""
    codes, texts = _numbered(table, name)
    return texts[codes]
