"""The kernel's first half: series laid out by key and time, and where each window begins and ends in them."""

from typing import Any, NamedTuple

import numpy as np

from training.engines.kernel_wide import NOTHING, jit, plus, product

__all__ = ["Block", "Line", "Span", "before", "bounds", "gathered", "laid_out", "sums"]


class Block(NamedTuple):
    """The events of some keys, key by key, each key's by arrival.

    Attributes
    ----------
    event : array of int32
        Their places in the table.
    opens : array of bool
        Whether an event is the first of its key.
    now, paid : array of int64
        Times of their tiles (ms) and amounts.
    row : array of int32
        Where their features go; -1 for events that get none.
    takes : array of uint32
        Bit s is set where series s takes the event.
    """

    event: Any
    opens: Any
    now: Any
    paid: Any
    row: Any
    takes: Any


class Line(NamedTuple):
    """One series in a block, key by key, by the order of its tiles.

    Attributes
    ----------
    late : int
        Whether its events arrive in another order than that of their tiles.
    known : array of int32
        For each event of the block: how many of the series arrived before it.
    limit : array of int32
        For each event of the block: where what its key can ever see of the series ends.
    place : array of int32
        The places in the block at which they arrive.
    rank : array of int32
        Where the nth to arrive stands in the line, if late.
    when : array of int64
    total : array of int64
        Running sums, from 0.
    squares : array of uint64, shape (2, ..)
        Running sums of squares in 128 bits, if any feature needs them.
    """

    late: Any
    known: Any
    limit: Any
    place: Any
    rank: Any
    when: Any
    total: Any
    squares: Any


class Span(NamedTuple):
    """The window of each event of a block: its bounds in a line, its count and its sum."""

    low: Any
    high: Any
    count: Any
    summed: Any


@jit
def gathered(event: Any, opens: Any, time: Any, amount: Any, rows: Any, takes: Any) -> Any:
    """A block, from columns of the table."""
    size = len(event)
    now, paid = np.empty(size, np.int64), np.empty(size, np.int64)
    row, taken = np.empty(size, np.int32), np.empty(size, np.uint32)
    for i in range(size):
        at = event[i]
        now[i], paid[i], row[i], taken[i] = time[at], amount[at], rows[at], takes[at]
    return Block(event, opens, now, paid, row, taken)


@jit
def laid_out(s: Any, late: Any, squared: Any, block: Any) -> Any:
    """Series `s` of a block as a line."""
    size = len(block.event)
    known, place, when = np.empty(size + 1, np.int32), np.empty(size, np.int32), np.empty(size, np.int64)
    length = 0
    for i in range(size):
        known[i] = length
        if block.takes[i] >> s & 1:
            place[length], when[length] = i, block.now[i]
            length += 1
    known[size] = length
    rank = np.empty(length if late else 0, np.int32)
    limit = np.empty(size, np.int32) if late else known
    if late:
        _sort(block, known, place, when, rank, limit)
    total = np.empty(length + 1, np.int64)
    total[0] = 0
    for at in range(length):
        total[at + 1] = total[at] + block.paid[place[at]]
    squares = np.empty((2, length + 1 if squared else 0), np.uint64)
    if squared:
        running = NOTHING
        squares[0, 0], squares[1, 0] = running
        for at in range(length):
            value = np.uint64(block.paid[place[at]])
            running = plus(running, product(value, value))
            squares[0, at + 1], squares[1, at + 1] = running
    return Line(late, known, limit, place, rank, when, total, squares)


@jit
def _sort(block: Any, known: Any, place: Any, when: Any, rank: Any, limit: Any) -> None:
    """Put each key's part of a line into the order of its tiles."""
    end = len(block.opens)
    for begin in range(end - 1, -1, -1):
        if not block.opens[begin]:
            continue
        a, b = known[begin], known[end]
        limit[begin:end] = b
        if b > a:
            order = np.argsort(when[a:b])
            arrived = place[a:b].copy()
            for at in range(b - a):
                i = arrived[order[at]]
                rank[a + order[at]] = a + at
                place[a + at], when[a + at] = i, block.now[i]
        end = begin


@jit
def before(time: Any, moment: Any, hop: Any) -> Any:
    """Whether a time lies before the tile that a moment falls in; divides only where it must."""
    if time >= moment:
        return False
    return time + hop <= moment or time < moment // hop * hop


@jit
def bounds(read: Any, block: Any, line: Any, span: Any) -> None:
    """Where the window of each row begins and ends: both places only move forward from one row to the next."""
    hop, length, delay = read[1], read[2], read[3]
    a = b = 0
    for i in range(len(block.row)):
        if block.opens[i]:
            a = b = line.known[i]
        if block.row[i] < 0:
            continue
        now, limit = block.now[i], line.limit[i]
        if delay == 0:
            # Everything that came before is in: the window ends at the transaction itself.
            b = limit
        else:
            while b < limit and before(line.when[b], now - delay, hop):
                b += 1
        while a < b and before(line.when[a], now - delay - length, hop):
            a += 1
        span.low[i], span.high[i] = a, b


@jit
def sums(s: Any, block: Any, line: Any, span: Any) -> None:
    """Count and sum of each row's window."""
    if line.late:
        _sums_of_arrived(s, block, line, span)
        return
    for i in range(len(block.row)):
        if block.row[i] >= 0:
            a, b = span.low[i], span.high[i]
            span.count[i], span.summed[i] = b - a, line.total[b] - line.total[a]


@jit
def _sums_of_arrived(s: Any, block: Any, line: Any, span: Any) -> None:
    """The same where some of what lies between the bounds arrives only later."""
    total = line.total
    a = b = n = t = 0
    for i in range(len(block.row)):
        if block.opens[i]:
            a = b = line.known[i]
            n = t = 0
        if block.row[i] >= 0:
            while b < span.high[i]:
                if line.place[b] < i:
                    n += 1
                    t += total[b + 1] - total[b]
                b += 1
            while a < span.low[i]:
                if line.place[a] < i:
                    n -= 1
                    t -= total[a + 1] - total[a]
                a += 1
            span.count[i], span.summed[i] = n, t
        if block.takes[i] >> s & 1:
            at = line.rank[line.known[i]]
            if a <= at < b:
                n += 1
                t += total[at + 1] - total[at]
