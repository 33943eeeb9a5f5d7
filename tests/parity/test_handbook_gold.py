"""The published window features of the Fraud Detection Handbook, reproduced from its published transactions.

Every terminal feature must be equal on every row: counts and risks exactly, where a risk over no payment is 0
there and missing here. Customer features must be equal on all but a few rows: payments of one customer in one
second, which are there in the order that an unstable sort left them in, and here in that of their numbers. Mean
amounts there are sums of floats, so they are compared to a relative 1e-9; counts exactly. The two flags of the
published file, weekend and night, are functions of the time of a payment and not window features; they are not
ours.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from fraud.features.definitions import Aggregation
from fraud.features.handbook import DELAY, HANDBOOK, PUBLISHED
from training.engines.events import EventTable
from training.engines.vectorised import compute

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "handbook"
TRANSACTIONS, GOLD = DATA / "transactions_visible.parquet", DATA / "features_gold_visible.parquet"
FLAGS = {"TX_DURING_WEEKEND", "TX_DURING_NIGHT"}
MOST_TIES = 20

pytestmark = pytest.mark.skipif(
    not (TRANSACTIONS.is_file() and GOLD.is_file()),
    reason=f"the handbook data is not in {DATA}; it is not part of this repository",
)


@pytest.fixture(scope="module")
def paid() -> pa.Table:
    """The payments by their numbers, which is the order of their times."""
    raw = pq.read_table(TRANSACTIONS).sort_by("TRANSACTION_ID")
    times = raw["TX_DATETIME"].cast(pa.int64())
    assert pc.all(pc.greater_equal(pc.pairwise_diff(times.combine_chunks()), 0)).as_py()
    return pa.table(
        {
            "merchant_id": raw["TERMINAL_ID"].cast(pa.string()),
            "customer": raw["CUSTOMER_ID"].cast(pa.string()),
            "event_time": times,
            "amount": pc.round(pc.multiply(raw["TX_AMOUNT"], 100.0)).cast(pa.int64()),
            "event": pa.repeat("transaction", raw.num_rows),
            "kind": pa.repeat("", raw.num_rows),
            "at": times,
            "is_fraud": raw["TX_FRAUD"],
        }
    )


@pytest.fixture(scope="module")
def ours(paid: pa.Table) -> npt.NDArray[np.float64]:
    """With the frauds among the payments in order of arrival: the handbook takes them to be known a week later."""
    frauds = paid.filter(pc.equal(paid["is_fraud"], 1))
    columns = {name: frauds[name] for name in ("merchant_id", "customer", "event_time", "amount")}
    columns["event"] = pa.repeat("label", frauds.num_rows)
    columns["kind"] = pa.repeat("confirmed_fraud", frauds.num_rows)
    columns["at"] = pc.add(frauds["event_time"], DELAY)
    events = pa.concat_tables([paid.drop_columns(["is_fraud"]), pa.table(columns)])
    order = np.argsort(events["at"].to_numpy(), kind="stable")
    return compute(EventTable.of(events.take(pa.array(order)), ordered=True), HANDBOOK)


@pytest.fixture(scope="module")
def gold() -> pa.Table:
    return pq.read_table(GOLD).sort_by("TRANSACTION_ID")


def _differing(published: str, ours: npt.NDArray[np.float64], gold: pa.Table) -> npt.NDArray[np.intp]:
    """The rows where a published column and ours are not the same number."""
    column = list(PUBLISHED).index(published)
    mine, theirs = ours[:, column], gold[published].to_numpy().astype(np.float64)
    aggregation = PUBLISHED[published].aggregation
    if aggregation is Aggregation.MEAN:
        # A mean of nothing but zeros is there what is left of larger sums, such as 1e-15.
        return np.flatnonzero(~np.isclose(mine / 100, theirs, rtol=1e-9, atol=1e-9))
    if aggregation is Aggregation.RATE:
        mine = np.where(np.isnan(mine), 0.0, mine)
    return np.flatnonzero(mine != theirs)


def test_the_file_publishes_what_we_compute(ours: npt.NDArray[np.float64], gold: pa.Table) -> None:
    assert set(gold.column_names) == {"TRANSACTION_ID", *FLAGS, *PUBLISHED}
    assert ours.shape == (gold.num_rows, len(PUBLISHED))
    assert gold.num_rows > 1_000_000
    assert all(np.ptp(np.nan_to_num(column)) > 0 for column in ours.T), "no column is the same on every row"


@pytest.mark.parametrize("published", [name for name in PUBLISHED if name.startswith("TERMINAL")])
def test_a_terminal_feature_is_the_published_one_on_every_row(
    published: str, ours: npt.NDArray[np.float64], gold: pa.Table
) -> None:
    assert _differing(published, ours, gold).tolist() == []


def test_customer_features_are_the_published_ones_on_all_but_the_ties(
    ours: npt.NDArray[np.float64], gold: pa.Table, paid: pa.Table
) -> None:
    names = [name for name in PUBLISHED if name.startswith("CUSTOMER")]
    rows = sorted({int(row) for name in names for row in _differing(name, ours, gold)})
    assert len(rows) <= MOST_TIES
    for row in rows:
        near = paid.slice(max(0, row - 200), 400)
        same = pc.and_(
            pc.equal(near["customer"], paid["customer"][row]),
            pc.equal(near["event_time"], paid["event_time"][row]),
        )
        assert pc.sum(same).as_py() > 1, "it differs without being one of several in one second"
