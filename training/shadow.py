"""Decisions that two models scored: one of them decided, or both in shadow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from training.arrays import Scores
from training.lake_files import lake_files, numbers_of
from training.outcomes import event_ids
from training.weights import COLUMNS as PROPENSITY
from training.weights import clip, weights_of

__all__ = ["Scored", "read_scores"]

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

_REQUIRED = ("decision", "model_version")
_OPTIONAL = ("score", "shadow", "recorded_at", *PROPENSITY)

type Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Decisions with both scores, in the order of their events; all of it is aligned.

    Attributes
    ----------
    names : array of str
        Event ids, each once.
    times, amounts, cards : array of int64
        Milliseconds, minor units, a number per card.
    decisions : array of str
        What was done.
    weights : array of float64
        1, or 1 / propensity of a payment that was let through at random, clipped; see `training.weights`.
    challenger, champion : array of float64
        Calibrated scores.
    seen : int
        Decisions since then, with both scores or not.
    """

    names: npt.NDArray[np.object_]
    times: Numbers
    amounts: Numbers
    cards: Numbers
    decisions: npt.NDArray[np.object_]
    weights: npt.NDArray[np.float64]
    challenger: Scores
    champion: Scores
    seen: int


def read_scores(folder: Path, *, challenger: str, champion: str, since: int, as_of: int) -> Scored:
    """Read the lake's decisions of a time, by when they were written where the lake says so, else by their event.

    Parameters
    ----------
    challenger, champion : str
        Versions; a score is the decision's own where the version decided, else its entry in the shadow map.
    since, as_of : int
        From the first millisecond up to and with the second.

    Raises
    ------
    ProgramError
        A file cannot be read or lacks a column.
    """
    frames = [_empty()]
    for path, whole_file in lake_files(folder, _REQUIRED, optional=_OPTIONAL, since=since):
        # At once, so that of a lake of years only the shadow's rows are ever together in memory.
        table = _within(whole_file, since, as_of)
        frame = pd.DataFrame(
            {
                "name": event_ids(table).to_numpy(),
                "time": table["event_time"].to_numpy(),
                "amount": table["amount"].to_numpy(),
                "card": table["card"].to_numpy(),
                "decision": table["decision"].to_numpy(),
            }
        )
        frame["weight"], _ = clip(weights_of(table, path))
        shadow = np.full((len(frame), 2), np.nan)
        if "shadow" in table.column_names:
            shadow, _ = numbers_of(table["shadow"].combine_chunks(), (challenger, champion), path, "shadow")
        own, version = _column(table, "score", np.nan), table["model_version"].to_numpy()
        frame["challenger"] = np.where(version == challenger, own, shadow[:, 0])
        frame["champion"] = np.where(version == champion, own, shadow[:, 1])
        frames.append(frame)
    whole = pd.concat([each for each in frames if len(each)] or frames)
    inside = whole.drop_duplicates("name")
    both = inside.dropna(subset=["challenger", "champion"]).sort_values(["time", "name"])
    return Scored(
        names=both["name"].to_numpy(object),
        times=both["time"].to_numpy(np.int64),
        amounts=both["amount"].to_numpy(np.int64),
        cards=pd.factorize(both["card"])[0].astype(np.int64),
        decisions=both["decision"].to_numpy(object),
        weights=both["weight"].to_numpy(np.float64),
        challenger=both["challenger"].to_numpy(np.float64),
        champion=both["champion"].to_numpy(np.float64),
        seen=len(inside),
    )


def _within(table: pa.Table, since: int, as_of: int) -> pa.Table:
    recorded = _column(table, "recorded_at", np.nan)
    recorded = np.where(np.isnan(recorded), table["event_time"].to_numpy(), recorded)
    return table.filter(pa.array((recorded >= since) & (recorded <= as_of)))


def _column(table: pa.Table, name: str, default: float) -> npt.NDArray[np.float64]:
    """Numbers of a column that older files lack."""
    if name not in table.column_names:
        return np.full(table.num_rows, default)
    column: npt.NDArray[np.float64] = pc.fill_null(table[name].cast(pa.float64()), default).to_numpy()
    return column


def _empty() -> pd.DataFrame:
    columns = ("name", "time", "amount", "card", "decision", "weight", "challenger", "champion")
    return pd.DataFrame({name: [] for name in columns})
