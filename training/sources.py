"""All that was known at a moment: payments, each once, what became known of them, and their features from it."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fraud.features import FeatureSet
from training.contract import Contract, ProgramError
from training.lake import (
    EVENTS,
    TRANSACTIONS,
    Decisions,
    History,
    events_of,
    read_decisions,
    read_history,
    read_labels,
    read_outcomes,
)
from training.outcomes import Reports, event_ids, first_reports, unsure, verdicts
from training.rotation import relinked

__all__ = ["ENGINES", "Engine", "Payments", "Sources", "read_sources", "recompute", "say", "unite"]

Engine = Literal["vectorised", "spark"]
ENGINES: tuple[Engine, ...] = ("vectorised", "spark")

type Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read, before any row was left out."""

    history: History
    decisions: Decisions
    labels: pa.Table
    outcomes: pa.Table


@dataclass(frozen=True, slots=True)
class Payments:
    """Every payment known at a moment, once, and all events that its features may look back on.

    Attributes
    ----------
    events : pyarrow.Table
        See `training.engines.events`; the payments are its first rows, in the order of the arrays below. A token
        of an earlier key is replaced by the one that it became; see `training.rotation`.
    names : array of str, shape (payments,)
    times : array of int64, shape (payments,)
        Milliseconds, UTC.
    decision : array of int64, shape (payments,)
        Row of the decision; -1 where the payment is known from imported history only.
    in_history : array of bool, shape (payments,)
    unusable : array of str, shape (payments,)
        Why the decision has no vector of use today, such as ``decision_degraded``; empty where it has one.
    fraud : Series of bool
        By event_id: what is known of the labelled payments; see `training.outcomes.verdicts`.
    left_out : Counter
        What was left out on the way here, by reason.
    unsure : Index of str
        Names of payments that were told of, and never with the confidence of a verdict.
    labels : pyarrow.Table
        Every label, also those known later: what maturity is measured on.
    """

    events: pa.Table
    names: npt.NDArray[np.object_]
    times: npt.NDArray[np.int64]
    decision: npt.NDArray[np.int64]
    in_history: npt.NDArray[np.bool_]
    unusable: npt.NDArray[np.object_]
    fraud: "pd.Series[bool]"
    left_out: Counter[str]
    unsure: "pd.Index[str]" = field(default_factory=lambda: pd.Index([], dtype=object))
    labels: pa.Table = field(default_factory=EVENTS.empty_table)

    @property
    def served(self) -> npt.NDArray[np.bool_]:
        """The payments whose vector as served can be used."""
        usable: npt.NDArray[np.bool_] = (self.decision >= 0) & (self.unusable == "")
        return usable


def read_sources(contract: Contract, features: FeatureSet) -> Sources:
    """Read the inputs of a processing job; an absent one is an empty one.

    Raises
    ------
    ProgramError
        An input cannot be used, or there are no payments at all.
    """
    say("lake: reading")
    names = ("history", "decisions", "labels", "outcomes")
    history, decisions, labels, outcomes = (contract.processing_input(name) for name in names)
    sources = Sources(
        read_history(history),
        read_decisions(decisions, features.names),
        read_labels(labels),
        read_outcomes(outcomes),
    )
    found = sources.history.transactions.num_rows, sources.decisions.transactions.num_rows
    if not any(found):
        raise ProgramError(
            f"There are no transactions under {history} or {decisions}; "
            "import a history or wait for decisions to reach the lake."
        )
    say(f"lake: {found[0]} imported payments, {found[1]} decisions")
    return sources


def unite(sources: Sources, as_of: int, feature_set: str, *, minimum_confidence: float = 0.0) -> Payments:
    """Bring together what was known at `as_of` (ms); nothing later has any influence.

    A payment that was both decided and imported counts as it was decided, which is what serving has folded.

    Parameters
    ----------
    minimum_confidence : float
        A label of less is no verdict. Features count it all the same, as serving does.

    Raises
    ------
    ProgramError
        The history holds two different payments of one name.
    """
    left_out: Counter[str] = Counter()
    history, imported = _history(sources.history.transactions, as_of, left_out)
    decided, rows, names = _decided(sources.decisions, as_of, left_out)
    is_decided = pd.Index(names).get_indexer(pd.Index(imported)) >= 0
    transactions = pa.concat_tables([decided, history.filter(pa.array(~is_decided))])
    # Imported labels name no source, and are certain.
    labels = pa.concat_tables([sources.history.labels, sources.labels], promote_options="default")
    known = {
        "label": first_reports(labels, as_of),
        "outcome": first_reports(sources.outcomes, as_of),
    }
    for what, reports in known.items():
        _count_reports(what, reports, left_out)
    unusable = np.full(transactions.num_rows, "", object)
    unusable[: len(rows)] = _unusable(sources.decisions, rows, feature_set)
    in_history = np.ones(transactions.num_rows, np.bool_)
    in_history[: len(rows)] = pd.Index(imported).get_indexer(pd.Index(names)) >= 0
    payments = events_of(transactions, "transaction", "", transactions["event_time"])
    told = [reports.events.select(EVENTS.names) for reports in known.values()]
    events = pa.concat_tables([payments, *told])
    return Payments(
        # In one piece: the pieces that the files left are of different lengths from column to column.
        events=relinked(events.combine_chunks(), sources.decisions.links, as_of),
        names=np.concatenate([names, imported[~is_decided]]),
        times=transactions["event_time"].to_numpy(),
        decision=np.concatenate([rows, np.full(int((~is_decided).sum()), -1, np.int64)]),
        in_history=in_history,
        unusable=unusable,
        fraud=verdicts(labels, as_of, minimum_confidence),
        left_out=left_out,
        unsure=unsure(labels, as_of, minimum_confidence),
        labels=labels,
    )


def recompute(payments: Payments, features: FeatureSet, engine: Engine) -> Matrix:
    """The vectors as corrected: of every payment, from all that is known by now, as if serving had had no lag.

    Raises
    ------
    ProgramError
        The events cannot be used.
    """
    # Numba takes a second to import, and Spark is not needed where one machine does.
    from training.engines.events import EventTableError

    try:
        if engine == "spark":
            from training.engines import spark

            return spark.compute(payments.events, features, progress=_Progress())
        from training.engines import vectorised

        return vectorised.compute(payments.events, features, progress=_Progress())
    except EventTableError as error:
        raise ProgramError(f"The lake's events cannot be used: {error}.") from error


class _Progress:
    """Says how far the features are, at each quarter of an entity's events, or of Spark's tasks."""

    def __init__(self) -> None:
        self._said: tuple[str, int] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        reached = what, 4 * done // max(total, 1)
        if reached != self._said:
            self._said = reached
            say(f"features: {what} {done} of {total}")


def say(line: str) -> None:
    """One line for the job's log."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _history(table: pa.Table, as_of: int, left_out: Counter[str]) -> tuple[pa.Table, npt.NDArray[np.object_]]:
    names = event_ids(table).to_numpy()
    repeated = pd.Index(names).duplicated()
    if repeated.any():
        _refuse_different(table, names)
    left_out["history_duplicate"] += int(repeated.sum())
    early = table["event_time"].to_numpy() <= as_of
    left_out["history_after_as_of"] += int((~early & ~repeated).sum())
    kept = early & ~repeated
    return table.filter(pa.array(kept)), names[kept]


def _refuse_different(table: pa.Table, names: npt.NDArray[np.object_]) -> None:
    every = np.flatnonzero(pd.Index(names).duplicated(keep=False))
    frame = table.take(every).to_pandas()
    different = frame[~frame.duplicated(keep=False)]
    if len(different):
        name = names[every[different.index[0]]]
        raise ProgramError(
            f"The history holds two different transactions named {name!r}; "
            "a transaction_id must be unique per merchant, so correct the mapping and import again."
        )


def _decided(
    decisions: Decisions, as_of: int, left_out: Counter[str]
) -> tuple[pa.Table, npt.NDArray[np.int64], npt.NDArray[np.object_]]:
    """Each decided payment once, its row among the decisions, and its name."""
    table = decisions.transactions
    early = table["event_time"].to_numpy() <= as_of
    names = event_ids(table).to_numpy()
    rows = np.flatnonzero(early)
    first = rows[~pd.Index(names[rows]).duplicated()]
    left_out["decision_after_as_of"] += int((~early).sum())
    left_out["decision_duplicate"] += len(rows) - len(first)
    return table.take(first).select(TRANSACTIONS.names), first, names[first]


def _unusable(decisions: Decisions, rows: npt.NDArray[np.int64], feature_set: str) -> npt.NDArray[np.object_]:
    reasons = np.full(len(rows), "", object)
    # The last word is that of the first reason that holds.
    reasons[~decisions.has_vector[rows]] = "decision_without_vector"
    reasons[decisions.feature_sets[rows] != feature_set] = "decision_of_another_feature_set"
    reasons[decisions.degraded[rows]] = "decision_degraded"
    return reasons


def _count_reports(what: str, reports: Reports, left_out: Counter[str]) -> None:
    left_out[f"{what}_known_later"] += reports.later
    left_out[f"{what}_before_transaction"] += reports.implausible
    left_out[f"{what}_duplicate"] += reports.duplicates
