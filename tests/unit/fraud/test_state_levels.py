"""Levels of tiles: an event is kept once, and every window reads what brute force over the raw events finds."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.state import Layout, State
from fraud.tiles import EXTREMES, LATEST, SQUARES, TIMES, TOTAL, TilesLayout, Totals
from fraud.windows import HOUR, MINUTE, SECOND

ALL = TOTAL | SQUARES | EXTREMES | TIMES | LATEST


@dataclass(frozen=True)
class Ladder:
    """A series' levels, what was folded into them in which order, and into which of several shards."""

    levels: dict[int, int]
    paid: list[tuple[int, int, int]]


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """Hops that nest, each kept for a time of its own, not always longer than a finer one's."""
    hops = draw(st.sets(st.sampled_from([SECOND, 5 * SECOND, MINUTE, 15 * MINUTE, HOUR, 8 * HOUR]), min_size=1))
    levels = {hop: hop * draw(st.integers(2, 30)) for hop in sorted(hops)}
    longest = max(levels.values())
    moment = st.one_of(st.integers(0, 2 * longest), st.integers(0, longest // 10), st.integers(0, MINUTE))
    amount = st.one_of(st.integers(0, 50), st.integers(0, 10**14))
    return Ladder(levels, draw(st.lists(st.tuples(amount, moment, st.integers(0, 2)), min_size=1, max_size=25)))


def _by_hand(paid: list[tuple[int, int]]) -> Totals:
    """The integers over some amounts and their times."""
    if not paid:
        return Totals()
    amounts, moments = [amount for amount, _ in paid], [time for _, time in paid]
    return Totals(
        count=len(paid),
        total=sum(amounts),
        squares=sum(amount**2 for amount in amounts),
        minimum=min(amounts),
        maximum=max(amounts),
        first=min(moments),
        last=max(moments),
        latest=max(amount for amount, time in paid if time == max(moments)),
    )


@given(ladders(), st.data())
@settings(max_examples=200)
def test_every_window_reads_what_a_count_over_the_raw_events_finds(ladder: Ladder, data: st.DataObject) -> None:
    """At each hop, from any tile that is still kept to any later one, from one state or from its shards."""
    layout = Layout({1: TilesLayout(ALL, ladder.levels)}, {})
    whole, shards = State(), [State(), State(), State()]
    for amount, time, shard in ladder.paid:
        whole.add(layout, 1, amount, time)
        shards[shard].add(layout, 1, amount, time)
    merged = State()
    for state in shards:
        merged.merge(layout, state)
    assert merged == whole
    for hop, retention in ladder.levels.items():
        oldest, newest = (whole.newest - retention) // hop, whole.newest // hop
        first = data.draw(st.integers(oldest, newest), label="first tile")
        end = data.draw(st.sampled_from([newest + 1, min(first + 1, newest + 1)]) | st.integers(first, newest + 1))
        expected = _by_hand([(amount, time) for amount, time, _ in ladder.paid if first <= time // hop < end])
        for parts in ([whole], [merged], shards):
            totals = Totals()
            for state in parts:
                state.window(1, hop, first * hop, end * hop, ALL, totals)
            assert totals == expected


@given(ladders())
def test_an_event_is_kept_once_in_the_finest_level_that_still_reaches_back_to_it(ladder: Ladder) -> None:
    layout = Layout({1: TilesLayout(ALL, ladder.levels)}, {})
    state = State()
    for amount, time, _ in ladder.paid:
        state.add(layout, 1, amount, time)
    expected: dict[tuple[int, int], int] = {}
    for _, time, _ in ladder.paid:
        for hop, retention in ladder.levels.items():
            if time // hop >= (state.newest - retention) // hop:
                expected[hop, time // hop] = expected.get((hop, time // hop), 0) + 1
                break
    levels = state.tiles[1].levels
    assert {(hop, index): record[0] for hop in levels for index, record in levels[hop].records()} == expected
    assert all(level.index == sorted(set(level.index)) for level in levels.values())


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=8), st.integers(0, 10**6))
def test_totals_with_one_more_are_those_of_all(paid: list[tuple[int, int]], amount: int) -> None:
    now = max([time for _, time in paid], default=0)
    assert _by_hand(paid).plus(amount, now) == _by_hand([*paid, (amount, now)])
    assert _by_hand(paid).plus(amount, now + 1) == _by_hand([*paid, (amount, now + 1)])
