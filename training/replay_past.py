"""Past decisions as the lake has them, so many at a time, each once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from fraud.events import Transaction
from fraud.features import STANDARD
from fraud.policy import Action
from training.contract import ProgramError
from training.lake_files import TRANSACTIONS, lake_files, numbers_of, optional_column
from training.money import ACTIONS
from training.outcomes import event_ids

__all__ = ["MOST_ROWS", "PastDecision", "PastDecisions", "Stretch"]

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

MOST_ROWS = 200_000
"""Of the files that are read together; a day that has more comes in several parts. About 700 MB at the most."""

_REQUIRED = ("decision", "features", "feature_set", "degraded")
_TEXTS = ("model_version", "policy_version", "rules_version", "would_be")
_NUMBERS = ("score", "raw_score", "propensity")
_NAMES = ("rules", "lists")
_WINDOWED = tuple(each.name for each in STANDARD.windowed)

type Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PastDecision:
    """A decision as it was recorded, without its vector.

    Attributes
    ----------
    was_read : bool
        Whether the payment's history was known when it was decided.
    recorded_at : int
        Wall-clock ms; the time of the event where the record has none.
    """

    transaction: Transaction
    decision: Action
    score: float | None
    model_version: str
    policy_version: str
    rules_version: str
    rules: tuple[str, ...]
    lists: tuple[str, ...]
    would_be: str
    propensity: float
    was_read: bool
    recorded_at: int


@dataclass(frozen=True, slots=True)
class PastDecisions:
    """Some of them, in the order of (event_time, event_id); all of it is aligned.

    Attributes
    ----------
    names : array of str
        Event ids.
    vectors : array of float64, shape (decisions, columns)
        As served; nan where a feature was missing.
    raw : array of float64
        The model's own probability as recorded; nan for none.
    feature_sets : array of str
    """

    decisions: list[PastDecision]
    names: npt.NDArray[np.object_]
    vectors: Numbers
    raw: Numbers
    feature_sets: npt.NDArray[np.object_]


class Stretch:
    """The decisions of a time.

    Parameters
    ----------
    folder : Path
        The lake's decisions.
    since, until : int
        since <= event_time < until, in ms.
    merchant : str
        Only this one's; empty for all.
    columns : sequence of str
        Names of the features to read.

    Attributes
    ----------
    repeated : int
        Records that were delivered more than once, counted while reading.
    """

    def __init__(
        self,
        folder: Path,
        *,
        since: int,
        until: int,
        merchant: str,
        columns: Sequence[str],
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._folder, self._since, self._until, self._merchant = folder, since, until, merchant
        self._columns, self._most_rows = tuple(columns), most_rows
        # Hashes, of 8 bytes where a name takes 80: of a hundred million decisions, two share one at odds of 1 in
        # 3,000.
        self._seen = np.empty(0, np.uint64)
        self.repeated = 0

    def parts(self) -> Iterator[PastDecisions]:
        """The decisions, a day's files at a time, or some of them where a day has many.

        Raises
        ------
        ProgramError
            A file cannot be read or lacks a column.
        """
        for files in _together(self._folder, self._since, self._until, self._most_rows):
            tables = [self._read(path) for path in files]
            found = [each for each in tables if each is not None]
            if found:
                part = self._part(pd.concat([frame for frame, _, _ in found], ignore_index=True), found)
                if part.decisions:
                    yield part

    def _read(self, path: Path) -> tuple[pd.DataFrame, pa.Table, Numbers] | None:
        """A file's rows of the stretch, and the features asked for, with whether any of history is there last."""
        ((_, table),) = lake_files(path.parent, _REQUIRED, (*_TEXTS, *_NUMBERS, *_NAMES, "recorded_at"), only=path)
        times = table["event_time"].to_numpy()
        wanted = (times >= self._since) & (times < self._until)
        if self._merchant:
            wanted &= pc.equal(table["merchant_id"], self._merchant).to_numpy()
        if not wanted.any():
            return None
        table = table.filter(pa.array(wanted)).combine_chunks()
        strange = sorted({str(each) for each in pc.unique(table["decision"]).to_pylist()} - set(ACTIONS))
        if strange:
            raise ProgramError(
                f"Column 'decision' of {path} holds {strange[0]!r}; it must be one of {', '.join(ACTIONS)}. "
                "Correct or remove the record."
            )
        frame = pd.DataFrame({"name": event_ids(table).to_numpy(), "time": table["event_time"].to_numpy()})
        for name in _TEXTS:
            frame[name] = pc.fill_null(optional_column(table, name, pa.string(), path), "").to_numpy()
        for name in _NUMBERS:
            frame[name] = pc.fill_null(optional_column(table, name, pa.float64(), path), np.nan).to_numpy()
        for name in _NAMES:
            kept = optional_column(table, name, pa.list_(pa.string()), path).to_pylist()
            frame[name] = pd.Series([tuple(each or ()) for each in kept], dtype=object)
        recorded = pc.coalesce(optional_column(table, "recorded_at", pa.int64(), path), table["event_time"])
        frame["recorded_at"] = recorded.to_numpy()
        frame["decision"] = table["decision"].to_numpy()
        frame["feature_set"] = pc.fill_null(table["feature_set"], "").to_numpy()
        features = table["features"].combine_chunks()
        vectors, _ = numbers_of(features, self._columns, path)
        # A decision with a score has read its history; of the few others, any feature of it tells.
        frame["was_read"] = ~np.isnan(frame["score"])
        unscored = np.flatnonzero(~frame["was_read"])
        if len(unscored):
            known, _ = numbers_of(features.take(unscored), _WINDOWED, path)
            frame.loc[unscored, "was_read"] = ~np.isnan(known).all(axis=1)
        return frame, table.select(TRANSACTIONS.names), vectors

    def _part(self, frame: pd.DataFrame, found: Sequence[tuple[pd.DataFrame, pa.Table, Numbers]]) -> PastDecisions:
        hashes = pd.util.hash_array(frame["name"].to_numpy(object))
        fresh = ~pd.Series(hashes).duplicated().to_numpy() & ~np.isin(hashes, self._seen)
        self.repeated += int((~fresh).sum())
        self._seen = np.concatenate([self._seen, hashes[fresh]])
        frame = frame[fresh].sort_values(["time", "name"], kind="stable")
        order = frame.index.to_numpy()
        transactions = pa.concat_tables([table for _, table, _ in found]).take(order)
        return PastDecisions(
            decisions=list(_decisions(frame, transactions)),
            names=frame["name"].to_numpy(object),
            vectors=np.concatenate([vectors for _, _, vectors in found])[order],
            raw=frame["raw_score"].to_numpy(np.float64),
            feature_sets=frame["feature_set"].to_numpy(object),
        )


def _decisions(frame: pd.DataFrame, transactions: pa.Table) -> Iterator[PastDecision]:
    names = ("decision", "score", *_TEXTS[:3], *_NAMES, "would_be", "propensity", "was_read", "recorded_at")
    columns = [frame[name].tolist() for name in names]
    for told, row in zip(transactions.to_pylist(), zip(*columns, strict=True), strict=True):
        action, score, model, policy, version, rules, lists, would_be, propensity, was_read, recorded_at = row
        yield PastDecision(
            transaction=msgspec.convert(told, Transaction),
            decision=action,
            score=None if score != score else score,
            model_version=model,
            policy_version=policy,
            rules_version=version,
            rules=rules,
            lists=lists,
            would_be=would_be,
            propensity=0.0 if propensity != propensity else propensity,
            was_read=was_read,
            recorded_at=recorded_at,
        )


def _together(folder: Path, since: int, until: int, most_rows: int) -> Iterator[list[Path]]:
    """The files of one folder, which is a day of the lake, and of them no more rows than that unless one has."""
    for _, day in groupby(sorted(folder.rglob("*.parquet")), key=lambda path: path.parent):
        taken: list[Path] = []
        rows = 0
        for path in day:
            more = _rows_of(path, since, until)
            if not more:
                continue
            if taken and rows + more > most_rows:
                yield taken
                taken, rows = [], 0
            taken.append(path)
            rows += more
        if taken:
            yield taken


def _rows_of(path: Path, since: int, until: int) -> int:
    """The rows of a file; 0 where its own statistics say that none is of the stretch, so that it is not read."""
    try:
        about = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise ProgramError(f"{path} is not a readable Parquet file ({error}); replace or remove it.") from error
    place = about.schema.to_arrow_schema().get_field_index("event_time")
    for number in range(about.num_row_groups if place >= 0 else 0):
        group = about.row_group(number)
        columns = map(group.column, range(group.num_columns))
        told: Any = next(each.statistics for each in columns if each.path_in_schema == "event_time")
        if told is None or not told.has_min_max or (told.max >= since and told.min < until):
            return int(about.num_rows)
    return int(about.num_rows) if place < 0 else 0
