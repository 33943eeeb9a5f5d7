"""Event by event: our online fold beside River's rolling statistics over the same payments."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isclose

import numpy as np
import river
from river import stats, utils
from river.feature_extraction import Agg

from fraud.events import Transaction
from fraud.features import FeatureSet
from fraud.features.handbook import PUBLISHED
from fraud.replay import replay
from tests.benchmarks.data import HANDBOOK_FILE, columns
from tests.benchmarks.results import Row, against, missing
from tests.benchmarks.timing import interleaved

__all__ = ["stream_rows"]

CUSTOMERS = 50
DAYS = (1, 7, 30)
NAME = "stream, customers' counts and means"
FEATURES = FeatureSet(*(feature for name, feature in PUBLISHED.items() if name.startswith("CUSTOMER")))


def stream_rows() -> Iterator[Row]:
    """Rows a second: each payment is taken in and its six features are read."""
    if not HANDBOOK_FILE.is_file():
        yield missing(NAME, "the handbook data is not there; it is not part of this repository")
        return
    payments = _payments()
    moments = [datetime.fromtimestamp(each.event_time / 1_000, UTC).replace(tzinfo=None) for each in payments]
    ours, theirs = _ours(payments), _river(payments, moments)
    for mine, other in zip(ours, theirs, strict=True):
        if not all(isclose(a, b, rel_tol=1e-9) for a, b in zip(mine, other, strict=True)):
            raise AssertionError("river and our fold differ; the times mean nothing")
    seconds = interleaved(
        {"ours": lambda: _ours(payments), "river": lambda: _river(payments, moments)}, {"ours": 5, "river": 3}
    )
    rate = {name: len(payments) / taken for name, taken in seconds.items()}
    work = f"6 handbook customer features of {len(payments):,} payments, in memory, each taken in and read"
    yield against(NAME, work, rate["ours"], "rows/s", "river", river.__version__, rate["river"])


def _payments() -> list[Transaction]:
    data = columns()
    rows = np.flatnonzero(data.customer < CUSTOMERS)
    return [
        Transaction(
            transaction_id=str(data.transaction[row]),
            merchant_id=str(data.terminal[row]),
            event_time=int(data.time[row]),
            amount=int(data.amount[row]),
            currency="EUR",
            card="",
            customer=str(data.customer[row]),
        )
        for row in rows
    ]


def _ours(payments: list[Transaction]) -> list[tuple[float, ...]]:
    return [vector for _, vector in replay(payments, FEATURES)]


def _river(payments: list[Transaction], moments: list[datetime]) -> list[tuple[float, ...]]:
    # River's own count cannot be rolled, so it is a sum of ones.
    aggregates = [
        Agg(on=what, by="customer", how=utils.TimeRolling(how(), period=timedelta(days=days)))
        for what, how in (("one", stats.Sum), ("amount", stats.Mean))
        for days in DAYS
    ]
    found = []
    for payment, moment in zip(payments, moments, strict=True):
        seen = {"customer": payment.customer, "amount": payment.amount, "one": 1}
        for each in aggregates:
            each.learn_one(seen, t=moment)
        found.append(tuple([next(iter(each.transform_one(seen).values())) for each in aggregates]))
    return found
