"""The inner loop of the vectorised engine: one pass over each key's events, all of its windows at once.

Compiled by Numba. Per key, the events of a series lie in the order of their times with running sums beside
them, and every window keeps two places in them that only move forward: a row costs a few steps whatever the
window's length. All sums are integers: 64 bits where the caller has made sure that they fit, 128 for squares.
"""

from typing import Any

import numpy as np
from numba import njit

from fraud.features import derive
from fraud.features.definitions import Aggregation

__all__ = ["CODES", "IS_TRANSACTION", "blank", "group_by_key", "run", "spread"]

CODES = {each: code for code, each in enumerate(Aggregation)}
"""Aggregations as the kernel knows them."""

_COUNT, _SUM, _MEAN = CODES[Aggregation.COUNT], CODES[Aggregation.SUM], CODES[Aggregation.MEAN]
_STD, _ZSCORE, _RATIO = CODES[Aggregation.STD], CODES[Aggregation.ZSCORE], CODES[Aggregation.RATIO]
_MIN, _MAX, _LAST = CODES[Aggregation.MIN], CODES[Aggregation.MAX], CODES[Aggregation.LAST]
_SINCE_FIRST, _SINCE_LAST = CODES[Aggregation.SINCE_FIRST], CODES[Aggregation.SINCE_LAST]
_RATE = CODES[Aggregation.RATE]

IS_TRANSACTION = np.uint32(1 << 31)

_jit = njit(nogil=True, cache=True)

_mean, _std, _zscore = _jit(derive.mean), _jit(derive.std), _jit(derive.zscore)
_ratio, _rate, _since = _jit(derive.ratio), _jit(derive.rate), _jit(derive.since)

_U32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_S1 = np.uint64(1)
_Z = np.uint64(0)


@_jit
def _product(a: Any, b: Any) -> Any:
    """The 128 bits of a 64 by 64 bit product, as (high, low)."""
    a0, a1 = a & _U32, a >> _S32
    b0, b1 = b & _U32, b >> _S32
    low = a0 * b0
    middle = a1 * b0 + (low >> _S32)
    other = a0 * b1 + (middle & _U32)
    return a1 * b1 + (middle >> _S32) + (other >> _S32), (other << _S32) | (low & _U32)


@_jit
def _rounded(high: Any, low: Any) -> Any:
    """An unsigned 128-bit integer as the nearest float, ties to even, as Python's float() gives it."""
    if high == _Z:
        return np.float64(low)
    shift = 0
    while high != _Z:
        # What is shifted out stays as a sticky last bit, far below the place that is rounded.
        low = ((low >> _S1) | (low & _S1)) | (high << np.uint64(63))
        high >>= _S1
        shift += 1
    return np.ldexp(np.float64(low), shift)


@_jit
def spread(count: Any, total: Any, high: Any, low: Any) -> Any:
    """Count times the sum of squares (128 bits) minus total squared, rounded once, as `derive.spread` does it."""
    n, t = np.uint64(count), np.uint64(total)
    nq_high, nq_low = _product(n, low)
    nq_high += n * high
    tt_high, tt_low = _product(t, t)
    borrow = np.uint64(1) if nq_low < tt_low else _Z
    return _rounded(nq_high - tt_high - borrow, nq_low - tt_low)


@_jit
def group_by_key(codes: Any, keys: int) -> Any:
    """Rows by key, each key's in their order: a counting sort.

    Parameters
    ----------
    codes : array of int32, shape (rows,)
        The key of each row; -1 for none.

    Returns
    -------
    (array of int64, shape (keys + 1,), array of int64)
        Where each key's rows begin, and the rows.
    """
    starts = np.zeros(keys + 1, np.int64)
    for code in codes:
        if code >= 0:
            starts[code + 1] += 1
    for key in range(keys):
        starts[key + 1] += starts[key]
    place = starts[:-1].copy()
    members = np.empty(starts[keys], np.int64)
    for row in range(len(codes)):
        code = codes[row]
        if code >= 0:
            members[place[code]] = row
            place[code] += 1
    return starts, members


@_jit
def blank(rows: Any, codes: Any, columns: Any, out: Any) -> None:
    """NaN in some columns of the rows whose events have no key."""
    for event in range(len(rows)):
        if codes[event] < 0 and rows[event] >= 0:
            for column in columns:
                out[rows[event], column] = np.nan


@_jit
def _before(time: Any, moment: Any, hop: Any) -> Any:
    """Whether a time lies before the tile that a moment falls in; divides only where it must."""
    if time >= moment:
        return False
    return time + hop <= moment or time < moment // hop * hop


@_jit
def run(
    first_key: int,
    last_key: int,
    starts: Any,
    time: Any,
    amount: Any,
    takes: Any,
    out_row: Any,
    values: Any,
    value_counts: Any,
    series: Any,
    reads: Any,
    features: Any,
    distincts: Any,
    out: Any,
) -> None:
    """Fill the window features of every transaction of the keys in ``[first_key, last_key)``.

    Parameters
    ----------
    starts : array of int64
        From `group_by_key`: where each key's events begin in the arrays below, in the order of their arrival.
    time, amount : array of int64, shape (events,)
        The time of the event's tile (ms) and its amount.
    takes : array of uint32, shape (events,)
        Bit s is set where series s takes the event, and `IS_TRANSACTION` for transactions.
    out_row : array of int64, shape (events,)
        The row of `out` of a transaction; -1 for other events, and for transactions that are only history.
    values : array of int32, shape (fields, events)
        Distinct values as codes; -1 where there is none, and for events that are no transactions.
    value_counts : array of int32, shape (windows, codes)
        Zeros, given back as zeros.
    series : array of int64, shape (series, 2)
        Whether events arrive out of the order of their tiles (labels); whether squares are summed.
    reads : array of int64, shape (reads, 6)
        Series, hop, length, delay (ms), whether extremes are needed, whether more than count and total are.
    features : array of int64, shape (features, 5)
        Read, code of the aggregation, column, whether the transaction itself counts, read of the base or -1.
    distincts : array of int64, shape (windows, 6)
        Row of `values`, hop, length, capacity, column, whether the transaction's own value counts.
    out : array of float64, shape (rows, columns)
    """
    longest = 0
    for key in range(first_key, last_key):
        longest = max(longest, starts[key + 1] - starts[key])
    n_series, n_reads, n_distincts = len(series), len(reads), len(distincts)
    s_length = np.zeros(n_series, np.int64)
    s_time = np.empty((n_series, longest), np.int64)
    s_amount = np.empty((n_series, longest), np.int64)
    s_total = np.zeros((n_series, longest + 1), np.int64)
    squared = 0
    for s in range(n_series):
        squared = max(squared, series[s, 1])
    s_high = np.zeros((n_series if squared else 0, longest + 1), np.uint64)
    s_low = np.zeros((n_series if squared else 0, longest + 1), np.uint64)
    # Series of labels: all of a key's, by the time of their tile, and which of them have arrived.
    s_arrived = np.zeros((n_series, longest), np.bool_)
    s_rank = np.empty((n_series, longest), np.int64)
    s_next = np.zeros(n_series, np.int64)

    low, high = np.zeros(n_reads, np.int64), np.zeros(n_reads, np.int64)
    count, total = np.zeros(n_reads, np.int64), np.zeros(n_reads, np.int64)
    q_high, q_low = np.zeros(n_reads, np.uint64), np.zeros(n_reads, np.uint64)
    minimum, maximum = np.zeros(n_reads, np.int64), np.zeros(n_reads, np.int64)
    first, last = np.zeros(n_reads, np.int64), np.zeros(n_reads, np.int64)
    latest = np.zeros(n_reads, np.int64)
    extremes = 0
    for r in range(n_reads):
        extremes = max(extremes, reads[r, 4])
    # Queues of places whose amounts rise (fall): the first is the minimum (maximum) of the window.
    low_queue = np.empty((n_reads if extremes else 0, longest), np.int64)
    high_queue = np.empty((n_reads if extremes else 0, longest), np.int64)
    low_head, low_tail = np.zeros(n_reads, np.int64), np.zeros(n_reads, np.int64)
    high_head, high_tail = np.zeros(n_reads, np.int64), np.zeros(n_reads, np.int64)

    seen = np.empty(longest, np.int64)
    d_low = np.zeros(n_distincts, np.int64)
    d_count = np.zeros(n_distincts, np.int64)

    for key in range(first_key, last_key):
        begin, end = starts[key], starts[key + 1]
        s_length[:] = 0
        s_next[:] = 0
        low[:] = 0
        high[:] = 0
        count[:] = 0
        total[:] = 0
        low_head[:] = 0
        low_tail[:] = 0
        high_head[:] = 0
        high_tail[:] = 0
        d_low[:] = 0
        d_count[:] = 0
        n_seen = 0

        for s in range(n_series):
            if not series[s, 0]:
                continue
            size = 0
            for m in range(begin, end):
                if takes[m] >> s & 1:
                    s_amount[s, size] = m
                    s_time[s, size] = time[m]
                    size += 1
            if size:
                order = np.argsort(s_time[s, :size], kind="mergesort")
                events = s_amount[s, :size].copy()
                for rank in range(size):
                    event = events[order[rank]]
                    s_rank[s, order[rank]] = rank
                    s_time[s, rank] = time[event]
                    s_amount[s, rank] = amount[event]
                    s_arrived[s, rank] = False
            s_length[s] = size

        for event in range(begin, end):
            now, paid = time[event], amount[event]
            row = out_row[event]
            if row >= 0:
                for r in range(n_reads):
                    s, hop, length, delay = reads[r, 0], reads[r, 1], reads[r, 2], reads[r, 3]
                    stop = now - delay
                    start = stop - length
                    if series[s, 0]:
                        while high[r] < s_length[s] and _before(s_time[s, high[r]], stop, hop):
                            if s_arrived[s, high[r]]:
                                count[r] += 1
                                total[r] += s_amount[s, high[r]]
                            high[r] += 1
                        while low[r] < high[r] and _before(s_time[s, low[r]], start, hop):
                            if s_arrived[s, low[r]]:
                                count[r] -= 1
                                total[r] -= s_amount[s, low[r]]
                            low[r] += 1
                        if reads[r, 5] and count[r]:
                            begun = False
                            q_high[r], q_low[r] = _Z, _Z
                            for at in range(low[r], high[r]):
                                if not s_arrived[s, at]:
                                    continue
                                value = s_amount[s, at]
                                more, less = _product(np.uint64(value), np.uint64(value))
                                q_low[r] += less
                                q_high[r] += more + (np.uint64(1) if q_low[r] < less else _Z)
                                if not begun or s_time[s, at] > last[r]:
                                    latest[r] = value
                                else:
                                    latest[r] = max(latest[r], value)
                                last[r] = s_time[s, at]
                                if not begun:
                                    first[r], minimum[r], maximum[r] = s_time[s, at], value, value
                                minimum[r], maximum[r] = min(minimum[r], value), max(maximum[r], value)
                                begun = True
                        continue
                    # Without a delay everything that came before is in: the window ends at the transaction itself.
                    while high[r] < s_length[s] and (delay == 0 or _before(s_time[s, high[r]], stop, hop)):
                        if reads[r, 4]:
                            at, value = high[r], s_amount[s, high[r]]
                            while (
                                low_tail[r] > low_head[r] and s_amount[s, low_queue[r, low_tail[r] - 1]] >= value
                            ):
                                low_tail[r] -= 1
                            low_queue[r, low_tail[r]] = at
                            low_tail[r] += 1
                            while (
                                high_tail[r] > high_head[r]
                                and s_amount[s, high_queue[r, high_tail[r] - 1]] <= value
                            ):
                                high_tail[r] -= 1
                            high_queue[r, high_tail[r]] = at
                            high_tail[r] += 1
                        high[r] += 1
                    while low[r] < high[r] and _before(s_time[s, low[r]], start, hop):
                        low[r] += 1
                    a, b = low[r], high[r]
                    count[r] = b - a
                    total[r] = s_total[s, b] - s_total[s, a]
                    if reads[r, 5] and b > a:
                        if series[s, 1]:
                            q_low[r] = s_low[s, b] - s_low[s, a]
                            borrow = np.uint64(1) if s_low[s, b] < s_low[s, a] else _Z
                            q_high[r] = s_high[s, b] - s_high[s, a] - borrow
                        if reads[r, 4]:
                            while low_queue[r, low_head[r]] < a:
                                low_head[r] += 1
                            while high_queue[r, high_head[r]] < a:
                                high_head[r] += 1
                            minimum[r] = s_amount[s, low_queue[r, low_head[r]]]
                            maximum[r] = s_amount[s, high_queue[r, high_head[r]]]
                        first[r], last[r] = s_time[s, a], s_time[s, b - 1]
                        latest[r] = s_amount[s, b - 1]
                        at = b - 2
                        while at >= a and s_time[s, at] == last[r]:
                            latest[r] = max(latest[r], s_amount[s, at])
                            at -= 1

                for f in range(len(features)):
                    r, code, column = features[f, 0], features[f, 1], features[f, 2]
                    n, summed = count[r], total[r]
                    if features[f, 3]:
                        summed += paid
                        n += 1
                    if code == _COUNT:
                        number = float(n)
                    elif code == _SUM:
                        number = float(summed)
                    elif code == _MEAN:
                        number = _mean(n, summed)
                    elif code == _RATIO:
                        number = _ratio(paid, n, summed)
                    elif code == _RATE:
                        number = _rate(n, count[features[f, 4]])
                    elif n == 0:
                        number = np.nan
                    elif code in (_STD, _ZSCORE):
                        more, less = (q_high[r], q_low[r]) if count[r] else (_Z, _Z)
                        if features[f, 3]:
                            own_high, own_low = _product(np.uint64(paid), np.uint64(paid))
                            less += own_low
                            more += own_high + (np.uint64(1) if less < own_low else _Z)
                        spread_ = spread(n, summed, more, less)
                        number = _std(n, spread_) if code == _STD else _zscore(paid, n, summed, spread_)
                    elif code == _MIN:
                        number = float(minimum[r]) if count[r] else float(paid)
                        if features[f, 3]:
                            number = min(number, float(paid))
                    elif code == _MAX:
                        number = float(maximum[r]) if count[r] else float(paid)
                        if features[f, 3]:
                            number = max(number, float(paid))
                    elif code == _LAST:
                        number = float(latest[r]) if count[r] else float(paid)
                        if features[f, 3] and (not count[r] or last[r] < now or paid > latest[r]):
                            number = float(paid)
                    elif code == _SINCE_FIRST:
                        number = _since(now, first[r])
                    else:
                        number = _since(now, last[r])
                    out[row, column] = number

                for d in range(n_distincts):
                    field, hop, length = distincts[d, 0], distincts[d, 1], distincts[d, 2]
                    while d_low[d] < n_seen and _before(time[seen[d_low[d]]], now - length, hop):
                        gone = values[field, seen[d_low[d]]]
                        if gone >= 0:
                            value_counts[d, gone] -= 1
                            if value_counts[d, gone] == 0:
                                d_count[d] -= 1
                        d_low[d] += 1
                    different = d_count[d]
                    own = values[field, event]
                    if distincts[d, 5] and own >= 0 and value_counts[d, own] == 0:
                        different += 1
                    out[row, distincts[d, 4]] = float(min(different, distincts[d, 3]))

            mine = takes[event]
            for s in range(n_series):
                if not mine >> s & 1:
                    continue
                if series[s, 0]:
                    rank = s_rank[s, s_next[s]]
                    s_next[s] += 1
                    s_arrived[s, rank] = True
                    for r in range(n_reads):
                        if reads[r, 0] == s and low[r] <= rank < high[r]:
                            count[r] += 1
                            total[r] += paid
                    continue
                at = s_length[s]
                s_time[s, at] = now
                s_amount[s, at] = paid
                s_total[s, at + 1] = s_total[s, at] + paid
                if series[s, 1]:
                    more, less = _product(np.uint64(paid), np.uint64(paid))
                    s_low[s, at + 1] = s_low[s, at] + less
                    s_high[s, at + 1] = s_high[s, at] + more
                    if s_low[s, at + 1] < less:
                        s_high[s, at + 1] += np.uint64(1)
                s_length[s] = at + 1
            if n_distincts and mine & IS_TRANSACTION:
                seen[n_seen] = event
                n_seen += 1
                for d in range(n_distincts):
                    own = values[distincts[d, 0], event]
                    if own >= 0:
                        if value_counts[d, own] == 0:
                            d_count[d] += 1
                        value_counts[d, own] += 1

        for d in range(n_distincts):
            for at in range(d_low[d], n_seen):
                gone = values[distincts[d, 0], seen[at]]
                if gone >= 0:
                    value_counts[d, gone] -= 1
