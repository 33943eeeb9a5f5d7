"""The inner loops of the vectorised engine, compiled by Numba.

Keys are taken in blocks that fit into the processor's cache, and every loop does one thing to all events of a
block: gather them, lay out each series with running sums beside it, find where each window begins and ends (two
places that only move forward), turn the sums into a feature. A row costs a few steps whatever the window's length.
Sums are integers: 64 bits where the caller has made sure that those of one key fit, 128 for squares. Running sums
over several keys may wrap around; the difference of two within a key is right all the same.
"""

from typing import Any

import numpy as np

from training.engines.kernel_columns import CODES, distinct, fill
from training.engines.kernel_series import Span, bounds, gathered, laid_out, sums
from training.engines.kernel_wide import jit, kept, spread

__all__ = ["CODES", "blank", "group_by_key", "run", "spread"]

_BLOCK = 4096


@kept
def group_by_key(codes: Any, order: Any, keys: int) -> Any:
    """Rows by key, each key's in the order given: a counting sort.

    Parameters
    ----------
    codes : array of int32, shape (rows,)
        The key of each row; -1 for none.
    order : array of int32
        The rows in order, or empty where they are.

    Returns
    -------
    (array of int64, shape (keys + 1,), array of int32)
        Where each key's rows begin, and the rows.
    """
    starts = np.zeros(keys + 1, np.int64)
    for code in codes:
        if code >= 0:
            starts[code + 1] += 1
    for key in range(keys):
        starts[key + 1] += starts[key]
    place = starts[:-1].copy()
    members = np.empty(starts[keys], np.int32)
    for at in range(len(codes)):
        row = order[at] if len(order) else at
        code = codes[row]
        if code >= 0:
            members[place[code]] = row
            place[code] += 1
    return starts, members


@kept
def blank(rows: Any, codes: Any, columns: Any, out: Any) -> None:
    """NaN in some columns of the rows whose events have no key."""
    for event in range(len(rows)):
        if codes[event] < 0 and rows[event] >= 0:
            for column in columns:
                out[rows[event], column] = np.nan


@kept
def run(
    first_key: int,
    last_key: int,
    starts: Any,
    members: Any,
    time: Any,
    amount: Any,
    takes: Any,
    rows: Any,
    values: Any,
    different: int,
    series: Any,
    reads: Any,
    features: Any,
    distincts: Any,
    out: Any,
) -> None:
    """Fill the window features of every transaction of the keys in ``[first_key, last_key)``.

    Parameters
    ----------
    starts, members : array of int64, array of int32
        From `group_by_key`: where each key's events begin among the members, by arrival.
    time, amount : array of int64, shape (events,)
        The time of the event's tile (ms) and its amount.
    takes : array of uint32, shape (events,)
        Bit s is set where series s takes the event.
    rows : array of int32, shape (events,)
        The row of `out` of a transaction; -1 for other events, and for transactions that are only history.
    values : array of int32, shape (fields, events)
        Distinct values as codes; -1 where there is none, and for events that are no transactions.
    different : int
        How many such codes there are.
    series : array of int64, shape (series, 2)
        Whether events arrive out of the order of their tiles (labels); whether squares are summed.
    reads : array of int64, shape (reads, 6)
        Series, hop, length, delay (ms), where its features begin and end.
    features : array of int64, shape (features, 5)
        Read, code of the aggregation, column, whether the transaction itself counts, read of the base or -1.
        By read; the series of a base comes before those that are a share of it.
    distincts : array of int64, shape (windows, 6)
        Row of `values`, hop, length, capacity, column, whether the transaction's own value counts.
    out : array of float64, shape (rows, columns)
    """
    counts = np.zeros(different, np.int32)
    key = first_key
    while key < last_key:
        block = key + 1
        while block < last_key and starts[block + 1] - starts[key] <= _BLOCK:
            block += 1
        begin, end = starts[key], starts[block]
        opens = np.zeros(end - begin, np.bool_)
        for each in range(key, block):
            if starts[each] < starts[each + 1]:
                opens[starts[each] - begin] = True
        _block(
            gathered(members[begin:end], opens, time, amount, rows, takes),
            values,
            counts,
            series,
            reads,
            features,
            distincts,
            out,
        )
        key = block


@jit
def _block(
    block: Any, values: Any, counts: Any, series: Any, reads: Any, features: Any, distincts: Any, out: Any
) -> None:
    """The features of some keys' events."""
    size = len(block.event)
    low, high, summed = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int64)
    count = np.empty((len(reads), size), np.int32)
    for s in range(len(series)):
        line = laid_out(s, series[s, 0], series[s, 1], block)
        for r in range(len(reads)):
            if reads[r, 0] != s:
                continue
            span = Span(low, high, count[r], summed)
            bounds(reads[r], block, line, span)
            sums(s, block, line, span)
            for f in range(reads[r, 4], reads[r, 5]):
                code, own, base = features[f, 1], features[f, 3], features[f, 4]
                fill(code, own, count[base], block, line, span, out[:, features[f, 2]])
    for d in range(len(distincts)):
        distinct(distincts[d], block, values[distincts[d, 0]], counts, out)
