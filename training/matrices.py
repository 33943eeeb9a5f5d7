"""The rows of a part as XGBoost wants them: as bins, in memory or on disk, read a batch at a time.

Either way the rows pass through memory in the same batches, so the bins, and with them the model, are the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

from fraud.hyperparameters import Hyperparameters
from training.contract import ProgramError
from training.parts import Part, part_files, read_file

__all__ = ["BATCH_ROWS", "Count", "available_memory", "count_rows", "matrices", "needs_disk"]

BATCH_ROWS = 65_536
"""Rows that are in memory as numbers at once."""

# Of one value, while XGBoost keeps the bins of a part in memory: about 9 were measured (docs/benchmarks.md).
_BYTES_A_VALUE = 12
# What the job may take of the memory that is free when it starts.
_SHARE = 0.6

_UNLIMITED = "max"


@dataclass(frozen=True, slots=True)
class Count:
    """What a part's rows, or a machine's share of them, come to.

    Attributes
    ----------
    weight, fraud_weight : float
        Sum over all rows, and over the frauds.
    first, last : int
        Times of the first and last row, in milliseconds.
    """

    rows: int
    frauds: int
    weight: float
    fraud_weight: float
    first: int
    last: int


def count_rows(folder: Path) -> Count:
    """Count without reading the features; raises as `read_file` does."""
    # File by file: all rows' cards and merchants at once would be more than their bins.
    counts = [_count(read_file(path, ())) for path in part_files(folder)]
    return Count(
        rows=sum(each.rows for each in counts),
        frauds=sum(each.frauds for each in counts),
        weight=sum(each.weight for each in counts),
        fraud_weight=sum(each.fraud_weight for each in counts),
        first=min(each.first for each in counts),
        last=max(each.last for each in counts),
    )


def _count(part: Part) -> Count:
    return Count(
        rows=len(part.labels),
        frauds=int(part.labels.sum()),
        weight=float(part.weights.sum()),
        fraud_weight=float(part.weights[part.labels == 1].sum()),
        first=int(part.times.min()),
        last=int(part.times.max()),
    )


def matrices(
    train: Path,
    validation: Path,
    names: Sequence[str],
    parameters: Hyperparameters,
    *,
    threads: int,
    scratch: Path | None,
) -> tuple[xgb.DMatrix, xgb.DMatrix]:
    """Both parts as bins of the train part's quantiles.

    Parameters
    ----------
    scratch : Path or None
        A folder on disk for the bins, which must outlive the matrices; None: they stay in memory.

    Raises
    ------
    ProgramError
        A file cannot be read or lacks a column.
    """

    def made(folder: Path, name: str, ref: xgb.DMatrix | None) -> xgb.DMatrix:
        batches = _Batches(folder, names, str(scratch / name) if scratch is not None else None)
        kind: Callable[..., xgb.DMatrix] = (
            xgb.ExtMemQuantileDMatrix if scratch is not None else xgb.QuantileDMatrix
        )
        return kind(batches, missing=np.nan, nthread=threads, max_bin=parameters.max_bin, ref=ref)

    training = made(train, "train", None)
    return training, made(validation, "validation", training)


def needs_disk(folders: Sequence[Path], features: int, memory: str, available: int) -> bool:
    """Whether the bins of these parts should lie on disk.

    Parameters
    ----------
    memory : str
        ``resident``, ``external``, or ``auto``: what `available` bytes allow.
    """
    if memory != "auto":
        return memory == "external"
    rows = sum(_rows(path) for folder in folders for path in part_files(folder))
    return rows * features * _BYTES_A_VALUE > available * _SHARE


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may still take: what the kernel calls available, or what its group has left."""
    lines = (root / "proc/meminfo").read_text().splitlines()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    limit, used = root / "sys/fs/cgroup/memory.max", root / "sys/fs/cgroup/memory.current"
    if limit.is_file() and used.is_file() and limit.read_text().strip() != _UNLIMITED:
        found.append(max(int(limit.read_text()) - int(used.read_text()), 0))
    return min(found)


class _Batches(xgb.DataIter):
    """Batches of the files of a part.

    Parameters
    ----------
    cache : str or None
        Where XGBoost keeps the bins on disk; None: in memory.
    """

    def __init__(self, folder: Path, names: Sequence[str], cache: str | None) -> None:
        self._paths, self._names = part_files(folder), list(names)
        self._batches = self._read()
        super().__init__(cache_prefix=cache, release_data=True)

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Give XGBoost one more batch, if there is one."""
        batch = next(self._batches, None)
        if batch is None:
            return False
        vectors, labels, weights = batch
        input_data(data=vectors, label=labels, weight=weights, feature_names=self._names)
        return True

    def reset(self) -> None:
        """Begin again."""
        self._batches = self._read()

    def _read(self) -> Iterator[tuple[npt.NDArray[np.float32], ...]]:
        for path in self._paths:
            try:
                with pq.ParquetFile(path) as file:
                    missing = sorted(set(self._names) - set(file.schema_arrow.names))
                    if missing:
                        raise ProgramError(
                            f"{path} has no column {missing[0]!r}; build the dataset again with this version."
                        )
                    columns = [*self._names, "label", "weight"]
                    for batch in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
                        yield _arrays(batch, self._names)
            except (pa.ArrowInvalid, OSError) as error:
                raise ProgramError(
                    f"{path} is not a readable Parquet file ({error}); build the dataset again."
                ) from error


def _arrays(batch: pa.RecordBatch, names: Sequence[str]) -> tuple[npt.NDArray[np.float32], ...]:
    """Vectors, labels and weights, with 32 bits as XGBoost's own numbers have: it would keep no more."""
    vectors = np.empty((batch.num_rows, len(names)), dtype=np.float32)
    for place, name in enumerate(names):
        vectors[:, place] = batch.column(name).to_numpy(zero_copy_only=False)
    labels = batch.column("label").to_numpy(zero_copy_only=False).astype(np.float32)
    weights = batch.column("weight").to_numpy(zero_copy_only=False).astype(np.float32)
    return vectors, labels, weights


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise ProgramError(f"{path} is not a readable Parquet file ({error}); build the dataset again.") from error
