"""Somebody's table of payments as events, for the engines."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fraud.events import Event
from fraud.replay import arrival
from ops.inputs import Mapping, from_frame
from ops.inputs.errors import RowError
from ops.inputs.reading import read_frame
from ops.inputs.rows import FIELDS
from training.engines.events import AT, EVENT, KIND

__all__ = ["events_of", "read_history", "table_of"]


def read_history(path: Path, mapping: Mapping, *, limit: int | None = None) -> tuple[pd.DataFrame, int]:
    """Canonical rows of a table, each transaction once.

    Returns
    -------
    (pandas.DataFrame, int)
        The rows, and how many were left out because the same row was there before.

    Raises
    ------
    RowError
        If two different rows have the same transaction id at the same merchant.
    """
    frame = read_frame(path, mapping, limit=limit)
    names = ["merchant_id", "transaction_id"]
    repeated = frame.duplicated(names, keep="first")
    if not repeated.any():
        return frame, 0
    once = frame.drop_duplicates()
    doubled = once.duplicated(names, keep="first")
    if doubled.any():
        raise RowError(
            f"{int(doubled.sum())} rows have a transaction_id that another row of the same merchant has, with "
            "other values; an id names one payment, so correct the mapping or leave one of each out"
        )
    return once.reset_index(drop=True), len(frame) - len(once)


def events_of(frame: pd.DataFrame) -> list[Event]:
    """The payments of canonical rows and the frauds reported of them, in the order of their arrival."""
    events: list[Event] = []
    for row in from_frame(frame):
        events.append(row.transaction)
        if row.label is not None:
            events.append(row.label)
    events.sort(key=arrival)
    return events


def table_of(frame: pd.DataFrame) -> pa.Table:
    """The same as a table of events; payments first, in the order of the rows."""
    fraud = frame["is_fraud"].fillna(False).to_numpy(np.bool_) & frame["known_at"].notna().to_numpy(np.bool_)
    paid, told = frame[list(FIELDS)].copy(), frame.loc[fraud, list(FIELDS)].copy()
    known = frame.loc[fraud, "known_at"].astype("int64")
    for part, event, kind, at in (
        (paid, "transaction", "", paid["event_time"]),
        (told, "label", "chargeback", known),
    ):
        part[EVENT], part[KIND], part[AT] = event, kind, at
    return pa.Table.from_pandas(pd.concat([paid, told], ignore_index=True), preserve_index=False)
