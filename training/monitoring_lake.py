"""The lake's decisions as monitoring looks at them: who decided what, when, and whether it was once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from training.arrays import Scores
from training.lake import Decisions
from training.lake_files import lake_files, numbers_of, optional_column
from training.monitoring_document import Audit
from training.monitoring_plan import MonitoringPlan
from training.outcomes import event_ids
from training.sources import Sources
from training.weights import clip

__all__ = ["DIMENSIONS", "Watched", "audit", "last_label", "read_watched"]

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

DIMENSIONS = ("merchant_id", "mcc", "currency", "channel", "issuer_country")
"""Columns whose values are slices. The lake does not hold the tier of a merchant."""

GRACE = 3_600_000
"""How long a decision may be on its way to the lake, in ms, before a report on it tells that it was lost.

Delivery gathers rows for five minutes, and the relay tries again for a while."""

_EXAMPLES = 10
_OWN = ("score", "model_version", "recorded_at", "shadow")

type Numbers = npt.NDArray[np.int64]
type Words = npt.NDArray[np.object_]
type Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Watched:
    """Decided payments, each once, in the order of their record; all of it is aligned.

    Attributes
    ----------
    names : array of str
        Event ids.
    rows : array of int64
        Places in the `training.lake.Decisions` that were read with them.
    times, recorded : array of int64
        Of the payment and of the decision's record, in ms.
    cards : array of int64
        A number per card.
    decisions, versions : array of str
        What was done, and the model that decided; empty for none.
    scores : array of float64
        The champion's, as the decider or in shadow; nan where it did not score.
    degraded : array of bool
    weights : array of float64
        See `training.weights`; clipped.
    slices : dict of str to array of str
        By `DIMENSIONS`.
    """

    names: Words
    rows: Numbers
    times: Numbers
    recorded: Numbers
    cards: Numbers
    decisions: Words
    versions: Words
    scores: Scores
    degraded: Flags
    weights: npt.NDArray[np.float64]
    slices: dict[str, Words]

    def within(self, window: tuple[int, int]) -> Flags:
        """Those recorded after the first moment and up to the second."""
        inside: Flags = (self.recorded > window[0]) & (self.recorded <= window[1])
        return inside


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows of one payment in the lake beyond its first.

    Attributes
    ----------
    again : int
        The same row once more.
    twice : Series of int64
        By event id, when the last one with another decision was recorded, in ms.
    """

    again: int
    twice: "pd.Series[int]"


def read_watched(folder: Path, decisions: Decisions, champion: str, as_of: int) -> tuple[Watched, Repeats]:
    """What `training.lake.read_decisions` left unread, row by row beside it.

    Parameters
    ----------
    folder : Path
        The one that `decisions` were read from.
    champion : str
        Whose scores are wanted.
    as_of : int
        Milliseconds: rows recorded later are left out.

    Raises
    ------
    ProgramError
        A file cannot be read or lacks a column.
    """
    frames = [_frame(table, path, champion) for path, table in lake_files(folder, ("decision",), optional=_OWN)]
    frame = pd.concat([_empty(), *frames], ignore_index=True) if frames else _empty()
    frame["row"] = np.arange(len(frame))
    frame = frame[frame["recorded"] <= as_of]
    # Rows that are alike were delivered twice; others were decided twice.
    distinct = frame.drop_duplicates(["name", "decision", "recorded", "own", "version"])
    ordered = distinct.sort_values(["recorded", "name"], kind="stable")
    repeats = Repeats(
        again=len(frame) - len(distinct),
        twice=ordered[ordered["name"].duplicated()].groupby("name")["recorded"].max(),
    )
    once = ordered.drop_duplicates("name")
    rows = once["row"].to_numpy(np.int64)
    transactions = decisions.transactions
    weights = np.ones(transactions.num_rows) if decisions.weights is None else clip(decisions.weights)[0]
    return (
        Watched(
            names=once["name"].to_numpy(object),
            rows=rows,
            times=transactions["event_time"].to_numpy()[rows],
            recorded=once["recorded"].to_numpy(np.int64),
            cards=pd.factorize(transactions["card"].to_numpy()[rows])[0].astype(np.int64),
            decisions=once["decision"].to_numpy(object),
            versions=once["version"].to_numpy(object),
            scores=once["score"].to_numpy(np.float64),
            degraded=decisions.degraded[rows],
            weights=weights[rows],
            slices={name: transactions[name].to_numpy()[rows] for name in DIMENSIONS},
        ),
        repeats,
    )


def audit(
    folders: tuple[Path, Path], sources: Sources, watched: Watched, repeats: Repeats, plan: MonitoringPlan
) -> Audit:
    """Exactly-once, as far as the lake tells of it.

    A label or an outcome is recorded of a payment in the ledger only. One whose payment is neither in the lake nor
    in imported history tells of a decision that was lost on its way there. Of payments from before the days that
    were read nothing can be told.

    Parameters
    ----------
    folders : (Path, Path)
        Of labels and of outcomes.
    """
    decided = [
        event_ids(each).to_numpy() for each in (sources.decisions.transactions, sources.history.transactions)
    ]
    known = pd.Index(np.concatenate(decided)).unique()
    told = [
        _recorded(folder, *columns)
        for folder, columns in zip(folders, (("label", "known_at"), ("outcome", "outcome_time")), strict=True)
    ]
    reports = pd.concat(told)
    # A payment's own time may be some minutes ahead of its decision.
    read = (reports["time"] >= plan.since + GRACE) & ~reports["name"].isin(known)
    missed = reports[read & (reports["recorded"] <= plan.as_of - GRACE)]
    lost = missed.groupby("name")["recorded"].max()
    twice = repeats.twice
    begin, end = plan.window
    # What was too young for one report must not be too old for the next.
    found = [(twice, twice.between(begin, end, inclusive="right")), (lost, lost > begin - GRACE)]
    names = [*(name for rows, new in found for name in rows.index[new]), *twice.index, *lost.index]
    return Audit(
        looked_at=len(watched.names),
        delivered_again=repeats.again,
        decided_twice=len(twice),
        lost=len(lost),
        decided_twice_now=int(found[0][1].sum()),
        lost_now=int(found[1][1].sum()),
        examples=tuple(dict.fromkeys(names))[:_EXAMPLES],
    )


def last_label(folder: Path, as_of: int) -> int | None:
    """When the last label was recorded, in ms; None without any."""
    recorded = _recorded(folder, "label", "known_at")["recorded"]
    early = recorded[recorded <= as_of]
    return int(early.max()) if len(early) else None


def _recorded(folder: Path, *columns: str) -> pd.DataFrame:
    """Names and times of the payments that reports are of, and when these were recorded, or else known."""
    nothing = np.empty(0, np.int64)
    frames = [pd.DataFrame({"name": np.empty(0, object), "time": nothing, "recorded": nothing})]
    for path, table in lake_files(folder, columns, optional=("recorded_at",)):
        recorded = pc.coalesce(optional_column(table, "recorded_at", pa.int64(), path), table[columns[1]])
        columns_read = {"time": table["event_time"].to_numpy(), "recorded": recorded.to_numpy()}
        frames.append(pd.DataFrame({"name": event_ids(table).to_numpy(), **columns_read}))
    return pd.concat([each for each in frames if len(each)] or frames[:1])


def _frame(table: pa.Table, path: Path, champion: str) -> pd.DataFrame:
    own = pc.fill_null(optional_column(table, "score", pa.float64(), path), np.nan).to_numpy()
    version = pc.fill_null(optional_column(table, "model_version", pa.string(), path), "").to_numpy()
    shadow = np.full(table.num_rows, np.nan)
    if "shadow" in table.column_names:
        shadow = numbers_of(table["shadow"].combine_chunks(), (champion,), path, "shadow")[0][:, 0]
    recorded = pc.coalesce(optional_column(table, "recorded_at", pa.int64(), path), table["event_time"])
    return pd.DataFrame(
        {
            "name": event_ids(table).to_numpy(),
            "recorded": recorded.to_numpy(),
            "decision": table["decision"].to_numpy(),
            "version": version,
            "own": own,
            "score": np.where(version == champion, own, shadow) if champion else np.nan,
        }
    )


def _empty() -> pd.DataFrame:
    words, numbers = ("name", "decision", "version"), ("own", "score")
    return pd.DataFrame(
        {
            **{name: np.empty(0, object) for name in words},
            "recorded": np.empty(0, np.int64),
            **{name: np.empty(0) for name in numbers},
        }
    )
