"""What was known of each transaction at a moment: the point-in-time side of labels and outcomes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from training.arrays import Labels

__all__ = [
    "WENT_ON",
    "Reports",
    "event_ids",
    "first_reports",
    "labels_of",
    "never_made",
    "sure_of",
    "unsure",
    "verdicts",
]

# Its stubs know fewer types than its functions take.
pc: Any = pyarrow.compute

YOUNG = -1
"""In place of a label: the row cannot be used yet."""

WENT_ON = ("authorised", "captured", "refunded")
"""Outcomes of a payment that was made, whatever was decided on it."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Labels or outcomes by a moment.

    Attributes
    ----------
    events : pyarrow.Table
        Each event once, at the first time it was known: what a feature store has folded.
    later : int
        Left out because they became known after the moment.
    implausible : int
        Left out because they claim to be known before their transaction took place.
    duplicates : int
    """

    events: pa.Table
    later: int
    implausible: int
    duplicates: int


def event_ids(table: pa.Table) -> "pa.ChunkedArray[Any]":
    """The name of each row's transaction everywhere, unique across merchants."""
    names: pa.ChunkedArray[Any] = pc.binary_join_element_wise(table["merchant_id"], table["transaction_id"], "/")
    return names


def first_reports(told: pa.Table, as_of: int) -> Reports:
    """Resolve a table of labels, or of outcomes, known at or before `as_of` (ms).

    A chargeback and a confirmed fraud are one event, as are two reports of one outcome: the first one counts.
    """
    at = told["at"].to_numpy()
    early = at < told["event_time"].to_numpy()
    by_then = at <= as_of
    usable = told.filter(pa.array(by_then & ~early))
    frame = _frame(usable).drop_duplicates(["name", "kind", "at"])
    verdict = frame["kind"].where(~frame["kind"].isin(("chargeback", "confirmed_fraud")), "fraud")
    first = (
        frame.assign(about=verdict).sort_values(["at", "kind"], kind="stable").drop_duplicates(["name", "about"])
    )
    return Reports(
        events=usable.take(np.sort(first.index.to_numpy(np.int64))),
        later=int((~by_then).sum()),
        implausible=int((by_then & early).sum()),
        duplicates=usable.num_rows - len(frame),
    )


def verdicts(labels: pa.Table, as_of: int, minimum_confidence: float = 0.0) -> "pd.Series[bool]":
    """Whether each labelled transaction was held for fraud at `as_of` (ms), by its event_id.

    The latest label wins, and fraud wins a tie. A later `confirmed_genuine` overrides a chargeback, which is how a
    dispute won is told, and a later chargeback overrides that again. A label of less than the minimum confidence
    has no say; one without any is certain.
    """
    told = _told(labels, as_of)
    frame = _frame(told.filter(pa.array(sure_of(told, minimum_confidence))))
    frame["is_fraud"] = frame["kind"] != "confirmed_genuine"
    latest = frame.sort_values(["at", "is_fraud"]).drop_duplicates("name", keep="last")
    return latest.set_index("name")["is_fraud"]


def unsure(labels: pa.Table, as_of: int, minimum_confidence: float) -> "pd.Index[str]":
    """Transactions of which labels told at `as_of` (ms), and none of them with the minimum of confidence."""
    told = _told(labels, as_of)
    names = event_ids(told).to_numpy()
    sure = sure_of(told, minimum_confidence)
    doubtful: pd.Index[str] = pd.Index(sorted(set(names[~sure]) - set(names[sure])), dtype=object)
    return doubtful


def labels_of(
    known: "pd.Series[bool]",
    names: npt.NDArray[np.object_],
    times: npt.NDArray[np.int64],
    *,
    as_of: int,
    maturity: int,
    keep_young_labelled: bool,
) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """Labels of rows: 1 fraud, 0 genuine, -1 for a row that cannot be used yet; and which of them were labelled.

    A row younger than `maturity` (ms) without a label is not a genuine one, since its fraud may not
    have been reported. A young row that has a label is left out too unless asked for: frauds are reported
    and genuine payments are not, so keeping those alone would fill the latest days with frauds only, and the
    latest days are what the model is judged on.

    Parameters
    ----------
    known : Series of bool
        See `verdicts`.
    names, times : array, shape (rows,)
        The rows' event_id and event_time (ms).
    """
    places = known.index.get_indexer(pd.Index(names))
    labelled = places >= 0
    found = np.zeros(len(names), np.int8)
    found[labelled] = known.to_numpy()[places[labelled]]
    young = times > as_of - maturity
    found[young & ~(labelled & keep_young_labelled)] = YOUNG
    return found, labelled


def never_made(
    names: npt.NDArray[np.object_], declined: npt.NDArray[np.bool_], outcomes: pa.Table
) -> npt.NDArray[np.bool_]:
    """Payments that were declined, by the decision or by the issuer, and as far as anyone told not made.

    Without a label it cannot be known what they were: nobody reports a fraud that did not happen.

    Parameters
    ----------
    names : array of str
        The payments' event ids.
    declined : array of bool
        Whether the decision on each was to decline it.
    outcomes : pyarrow.Table
        Outcomes known at the moment, as a table of events.
    """
    told, kinds = event_ids(outcomes), outcomes["kind"]
    about = pd.Index(names)
    refused = declined | about.isin(told.filter(pc.equal(kinds, "declined")).to_numpy())
    never: npt.NDArray[np.bool_] = refused & ~about.isin(
        told.filter(pc.is_in(kinds, pa.array(WENT_ON))).to_numpy()
    )
    return never


def _told(labels: pa.Table, as_of: int) -> pa.Table:
    at = labels["at"].to_numpy()
    return labels.filter(pa.array((at <= as_of) & (at >= labels["event_time"].to_numpy())))


def sure_of(labels: pa.Table, minimum: float) -> npt.NDArray[np.bool_]:
    """Which labels have the minimum of confidence; those that tell of none are certain."""
    if "confidence" not in labels.column_names:
        return np.ones(labels.num_rows, np.bool_)
    sure: npt.NDArray[np.bool_] = pc.fill_null(labels["confidence"], 1.0).to_numpy() >= minimum
    return sure


def _frame(told: pa.Table) -> pd.DataFrame:
    return pd.DataFrame(
        {"name": event_ids(told).to_numpy(), "kind": told["kind"].to_numpy(), "at": told["at"].to_numpy()}
    )
