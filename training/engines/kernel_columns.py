"""The kernel's second half: one feature of all rows of a block, from the windows that `kernel_series` found."""

from typing import Any

import numpy as np

from fraud.features import derive
from fraud.features.definitions import Aggregation
from training.engines.kernel_series import before
from training.engines.kernel_wide import NOTHING, jit, less, plus, product, spread

__all__ = ["CODES", "distinct", "fill"]

CODES = {each: code for code, each in enumerate(Aggregation)}
"""Aggregations as the kernel knows them."""

_COUNT, _SUM, _MEAN = CODES[Aggregation.COUNT], CODES[Aggregation.SUM], CODES[Aggregation.MEAN]
_STD, _ZSCORE, _RATIO = CODES[Aggregation.STD], CODES[Aggregation.ZSCORE], CODES[Aggregation.RATIO]
_MIN, _MAX, _LAST = CODES[Aggregation.MIN], CODES[Aggregation.MAX], CODES[Aggregation.LAST]
_SINCE_FIRST, _RATE = CODES[Aggregation.SINCE_FIRST], CODES[Aggregation.RATE]

_mean: Any = jit(derive.mean)
_std: Any = jit(derive.std)
_zscore: Any = jit(derive.zscore)
_ratio: Any = jit(derive.ratio)
_rate: Any = jit(derive.rate)
_since: Any = jit(derive.since)


@jit
def fill(code: Any, own: Any, base: Any, block: Any, line: Any, span: Any, column: Any) -> None:
    """One feature over a series.

    Parameters
    ----------
    code : int
        The aggregation, from `CODES`.
    own : int
        Whether the transaction itself counts.
    base : array of int32
        Counts of the window that this one is a share of.
    column : array of float64
        By `block.row`.
    """
    if code in (_COUNT, _SUM, _MEAN, _RATIO, _RATE):
        _of_sums(code, own, base, block, span, column)
    elif code in (_STD, _ZSCORE):
        _of_squares(code, own, block, line, span, column)
    elif code in (_MIN, _MAX):
        _of_extremes(code, own, block, line, span, column)
    else:
        _of_ends(code, own, block, line, span, column)


@jit
def _of_sums(code: Any, own: Any, base: Any, block: Any, span: Any, column: Any) -> None:
    for i in range(len(block.row)):
        row, paid = block.row[i], block.paid[i]
        if row < 0:
            continue
        n, t = np.int64(span.count[i]) + own, span.summed[i] + own * paid
        if code == _COUNT:
            number = float(n)
        elif code == _SUM:
            number = float(t)
        elif code == _MEAN:
            number = _mean(n, t)
        elif code == _RATIO:
            number = _ratio(paid, n, t)
        else:
            number = _rate(n, np.int64(base[i]))
        column[row] = number


@jit
def _of_squares(code: Any, own: Any, block: Any, line: Any, span: Any, column: Any) -> None:
    for i in range(len(block.row)):
        row, paid = block.row[i], block.paid[i]
        if row < 0:
            continue
        a, b = span.low[i], span.high[i]
        if line.late:
            squares = NOTHING
            for at in range(a, b):
                if line.place[at] < i:
                    value = np.uint64(_amount(line, at))
                    squares = plus(squares, product(value, value))
        else:
            squares = less((line.squares[0, b], line.squares[1, b]), (line.squares[0, a], line.squares[1, a]))
        if own:
            squares = plus(squares, product(np.uint64(paid), np.uint64(paid)))
        n, t = np.int64(span.count[i]) + own, span.summed[i] + own * paid
        apart = spread(n, t, squares[0], squares[1])
        column[row] = _std(n, apart) if code == _STD else _zscore(paid, n, t, apart)


@jit
def _of_extremes(code: Any, own: Any, block: Any, line: Any, span: Any, column: Any) -> None:
    """Minimum or maximum: of a queue of places whose amounts rise (fall), the first is that of the window."""
    sign = -1 if code == _MIN else 1
    queue = np.empty(len(line.place), np.int32)
    head = tail = b = 0
    for i in range(len(block.row)):
        row = block.row[i]
        if row < 0:
            continue
        found, best = own != 0, sign * block.paid[i]
        low, high = span.low[i], span.high[i]
        if line.late:
            for at in range(low, high):
                value = sign * _amount(line, at)
                if line.place[at] < i and (not found or value > best):
                    found, best = True, value
        else:
            b = max(b, low)
            while b < high:
                value = sign * _amount(line, b)
                while tail > head and sign * _amount(line, queue[tail - 1]) <= value:
                    tail -= 1
                queue[tail] = b
                tail += 1
                b += 1
            while head < tail and queue[head] < low:
                head += 1
            if head < tail:
                value = sign * _amount(line, queue[head])
                best = max(best, value) if found else value
                found = True
        column[row] = float(sign * best) if found else np.nan


@jit
def _of_ends(code: Any, own: Any, block: Any, line: Any, span: Any, column: Any) -> None:
    """What the first and the last event of a window tell; of several at one instant, the largest is the latest."""
    for i in range(len(block.row)):
        row, now = block.row[i], block.now[i]
        if row < 0:
            continue
        a, b = span.low[i], span.high[i]
        while a < b and line.place[a] >= i:
            a += 1
        while a < b and line.place[b - 1] >= i:
            b -= 1
        number = np.nan
        if code == _LAST:
            number = _latest(own, i, now, block.paid[i], a, b, line)
        elif a < b:
            number = _since(now, line.when[a] if code == _SINCE_FIRST else line.when[b - 1])
        column[row] = number


@jit
def _latest(own: Any, i: Any, now: Any, paid: Any, a: Any, b: Any, line: Any) -> Any:
    if not own and a == b:
        return np.nan
    last = now if own else line.when[b - 1]
    best = paid if own else np.int64(0)
    while a < b and line.when[b - 1] == last:
        if line.place[b - 1] < i:
            best = max(best, _amount(line, b - 1))
        b -= 1
    return float(best)


@jit
def _amount(line: Any, at: Any) -> Any:
    return line.total[at + 1] - line.total[at]


@jit
def distinct(window: Any, block: Any, values: Any, counts: Any, out: Any) -> None:
    """How many different values a window holds; `counts` are zeros, and are given back as zeros.

    Parameters
    ----------
    window : array of int64
        A row of the kernel's `distincts`.
    values : array of int32, shape (events of the table,)
    counts : array of int32, shape (different values,)
    """
    hop, length, capacity, column, own = window[1], window[2], window[3], window[4], window[5]
    seen, when = np.empty(len(block.row), np.int32), np.empty(len(block.row), np.int64)
    a = b = different = 0
    for i in range(len(block.row)):
        if block.opens[i]:
            while a < b:
                counts[seen[a]] = 0
                a += 1
            different = 0
        row, now, value = block.row[i], block.now[i], values[block.event[i]]
        if row >= 0:
            while a < b and before(when[a], now - length, hop):
                counts[seen[a]] -= 1
                different -= counts[seen[a]] == 0
                a += 1
            new = own and value >= 0 and counts[value] == 0
            out[row, column] = float(min(different + new, capacity))
        if value >= 0:
            different += counts[value] == 0
            counts[value] += 1
            seen[b], when[b] = value, now
            b += 1
    while a < b:
        counts[seen[a]] = 0
        a += 1
