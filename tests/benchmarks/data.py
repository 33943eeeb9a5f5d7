"""The benchmark's input: the published handbook data, the same sorted columns in memory for all."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.features.handbook import DELAY

__all__ = ["HANDBOOK_FILE", "ROOT", "Columns", "columns", "event_table"]

ROOT = Path(__file__).parents[2]
HANDBOOK_FILE = ROOT.parent / "shared" / "data" / "handbook" / "transactions_visible.parquet"


@dataclass(frozen=True, slots=True)
class Columns:
    """Transactions by time: ids, times (ms), amounts (minor units), and whether each was a fraud."""

    transaction: npt.NDArray[np.int64]
    customer: npt.NDArray[np.int64]
    terminal: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    amount: npt.NDArray[np.int64]
    fraud: npt.NDArray[np.int64]


def columns(times: int = 1, *, most: int | None = None) -> Columns:
    """The transactions, several times one after the other: the same customers go on for as many periods.

    Parameters
    ----------
    most : int, optional
        Only the first of them.
    """
    table = pq.read_table(HANDBOOK_FILE)
    if most is not None:
        table = table.slice(0, most)
    names = ("TRANSACTION_ID", "CUSTOMER_ID", "TERMINAL_ID", "TX_FRAUD")
    transaction, customer, terminal, fraud = (table[name].to_numpy().astype(np.int64) for name in names)
    time = table["TX_DATETIME"].cast(pa.timestamp("ms")).cast(pa.int64()).to_numpy()
    amount = np.rint(table["TX_AMOUNT"].to_numpy() * 100).astype(np.int64)
    order = np.lexsort((transaction, time))
    one = [each[order] for each in (transaction, customer, terminal, time, amount, fraud)]
    # Each period begins on the day after the last one ended.
    period = (int(time.max()) // 86_400_000 - int(time.min()) // 86_400_000 + 1) * 86_400_000
    step = {0: int(transaction.max()) + 1, 3: period}
    return Columns(
        *(np.concatenate([each + n * step.get(at, 0) for n in range(times)]) for at, each in enumerate(one))
    )


def event_table(of: Columns) -> pa.Table:
    """The same as our engines take them: transactions, and a label for each fraud, by time of arrival."""
    frauds = np.flatnonzero(of.fraud)
    at = np.concatenate([of.time, of.time[frauds] + DELAY])
    rows = np.concatenate([np.arange(len(of.time)), frauds])
    is_label = np.arange(len(at)) >= len(of.time)
    order = np.argsort(at, kind="stable")
    rows, is_label = rows[order], is_label[order]
    return pa.table(
        {
            "transaction_id": of.transaction[rows],
            "customer": of.customer[rows],
            "merchant_id": of.terminal[rows],
            "event_time": of.time[rows],
            "amount": of.amount[rows],
            "event": _words(is_label, "transaction", "label"),
            "kind": _words(is_label, "", "chargeback"),
            "at": at[order],
        }
    )


def _words(second: npt.NDArray[np.bool_], *words: str) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(second.astype(np.int32), list(words))
