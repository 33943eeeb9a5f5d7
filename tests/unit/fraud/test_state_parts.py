"""States that were kept with less than is asked of them now: a missing value, never a wrong one."""

import copy
import math
import random
from functools import reduce
from operator import or_

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.codec import decode, encode
from fraud.features import FeatureSet, Key
from fraud.features.definitions import PAYMENTS, Aggregation, Distinct, Reason, WindowFeature
from fraud.features.standard import CARD, MERCHANT
from fraud.replay import replay
from fraud.state import Layout, SketchLayout, State
from fraud.tiles import EXTREMES, LATEST, SQUARES, TIMES, TOTAL, TilesLayout, Totals
from fraud.windows import DAY, HOUR, MINUTE, SECOND, Window
from tests.unit.fraud.strategies import START, payment, same

ALL = TOTAL | SQUARES | EXTREMES | TIMES | LATEST
WHY = Reason("TEST", "A test")
NUMBERS = [each for each in Aggregation if each not in (Aggregation.DISTINCT, Aggregation.RATE)]


def _one(aggregation: Aggregation, length: str = "24h") -> WindowFeature:
    return WindowFeature(CARD, aggregation, PAYMENTS, Window.of(length), WHY, "A test.")


def _layout(parts: int, hops: dict[int, int] | None = None) -> Layout:
    return Layout({1: TilesLayout(parts, hops or {MINUTE: HOUR, HOUR: DAY})}, {})


def _state(parts: int, paid: list[tuple[int, int]]) -> State:
    state = State()
    for amount, time in paid:
        state.add(_layout(parts), 1, amount, time)
    return state


PAID = [(100, START), (10, START + MINUTE), (20, START + 5 * HOUR)]
kept = st.sets(st.sampled_from(NUMBERS)).map(lambda read: reduce(or_, [each.parts for each in read], 0))
"""What some features together need."""


@pytest.mark.parametrize("old", NUMBERS)
@pytest.mark.parametrize("new", NUMBERS)
def test_a_feature_over_a_state_that_was_kept_for_another_is_right_or_missing(
    old: Aggregation, new: Aggregation
) -> None:
    before, after = FeatureSet(_one(old)), FeatureSet(_one(new))
    states: dict[Key, State] = {}
    list(replay([payment(f"t{n}", at=at, amount=amount) for n, (amount, at) in enumerate(PAID)], before, states))
    expected: dict[Key, State] = {}
    list(replay([payment(f"t{n}", at=at, amount=amount) for n, (amount, at) in enumerate(PAID)], after, expected))
    now = payment("q", at=START + 6 * HOUR, amount=50)
    (value,) = after.vector(now, states)
    if new.parts & ~old.parts:
        assert math.isnan(value)
    else:
        assert same([value], after.vector(now, expected))
        assert not math.isnan(value)


@given(kept, kept)
def test_a_window_says_which_of_the_parts_asked_for_it_knows(parts: int, asked: int) -> None:
    state = decode(encode(_state(parts, PAID)))
    totals = Totals()
    state.window(1, HOUR, START, START + DAY, asked, totals)
    assert totals.count == 3
    assert totals.parts & asked == parts & asked
    if parts & asked & TOTAL:
        assert totals.total == 130
    if parts & asked & EXTREMES:
        assert (totals.minimum, totals.maximum) == (10, 100)


@given(kept, kept)
def test_shards_kept_with_different_parts_know_together_what_both_know(first: int, second: int) -> None:
    totals = Totals()
    for state in (_state(first, PAID[:1]), _state(second, PAID[1:])):
        state.window(1, HOUR, START, START + DAY, ALL, totals)
    assert totals.parts == first & second
    assert totals.count == 3


@given(kept, kept, st.randoms(use_true_random=False))
def test_merging_narrows_to_what_both_were_kept_with(first: int, second: int, rng: random.Random) -> None:
    sides = [_state(first, PAID[:2]), _state(second, PAID[2:])]
    rng.shuffle(sides)
    merged, other = sides
    before = copy.deepcopy(other)
    merged.merge(_layout(ALL), other)
    assert merged == _state(first & second, PAID), "as if all had been kept with those parts from the start"
    assert other == before


@given(kept, kept)
def test_a_series_that_gains_parts_starts_anew_with_them_only_once_it_was_empty(old: int, new: int) -> None:
    state = _state(old, PAID)
    state.add(_layout(new), 1, 5, START + 6 * HOUR)
    assert state.tiles[1].parts == old, "some of its tiles do not know more"
    state.add(_layout(new), 1, 5, START + 60 * DAY)
    assert state == _state(new, [(5, START + 60 * DAY)])


def test_a_hop_that_no_feature_reads_any_more_is_handed_to_a_coarser_one() -> None:
    state = State()
    state.add(_layout(ALL, {MINUTE: HOUR, HOUR: DAY}), 1, 7, START)
    coarse = _layout(ALL, {HOUR: DAY})
    state.add(coarse, 1, 8, START + 30 * MINUTE)
    totals = Totals()
    state.window(1, HOUR, START, START + HOUR, ALL, totals)
    assert (totals.count, totals.total) == (2, 15)


def test_a_series_and_a_sketch_that_no_feature_reads_any_more_are_dropped() -> None:
    both = Layout(
        {1: TilesLayout(ALL, {MINUTE: HOUR}), 2: TilesLayout(ALL, {MINUTE: HOUR})},
        {3: SketchLayout(8, HOUR, MINUTE)},
    )
    state = State()
    state.add(both, 1, 7, START)
    state.add(both, 2, 7, START)
    state.see(both, 3, 99, START)
    state.add(_layout(ALL, {MINUTE: HOUR}), 1, 8, START + MINUTE)
    assert (set(state.tiles), state.sketches) == ({1}, {})


DEVICES = Distinct(3, "device", capacity=4)


def _distinct(length: str, hop: str) -> FeatureSet:
    window = Window.of(length, hop=hop)
    return FeatureSet(WindowFeature(MERCHANT, Aggregation.DISTINCT, DEVICES, window, WHY, "A test."))


def test_distinct_values_kept_in_coarser_steps_than_a_window_needs_are_missing() -> None:
    coarse, fine = _distinct("24h", "1h"), _distinct("24h", "1m")
    states: dict[Key, State] = {}
    list(replay([payment("t0", device="d")], coarse, states))
    now = payment("q", at=START + HOUR)
    assert coarse.vector(now, states) == (1.0,)
    assert math.isnan(fine.vector(now, states)[0])
    assert _distinct("24h", "2h").vector(now, states) == (1.0,), "whole steps of the stored unit can be read"


@pytest.mark.parametrize("aggregation", NUMBERS)
def test_what_the_packed_form_tells_by_totals_and_times_is_kept_with_them(aggregation: Aggregation) -> None:
    """A packed tile of one event has no column for its minimum: it is the total."""
    parts = aggregation.parts
    assert parts & TOTAL or not parts & (SQUARES | EXTREMES | LATEST)
    assert parts & TIMES or not parts & LATEST


def test_sketches_of_units_that_do_not_nest_merge_in_the_least_that_both_divide() -> None:
    """Anything else would move a value into a step that it was not seen in."""
    two, five = (Layout({}, {1: SketchLayout(8, DAY, minutes * MINUTE)}) for minutes in (2, 5))
    start = START // (10 * MINUTE) * 10 * MINUTE
    for layouts in ((two, five), (five, two)):
        merged, other = State(), State()
        merged.see(layouts[0], 1, 6, start + 9 * MINUTE)
        other.see(layouts[1], 1, 7, start + 11 * MINUTE)
        merged.merge(layouts[0], other)
        sketch = merged.sketches[1]
        step = start // (10 * MINUTE)
        assert (sketch.unit, sketch.seen) == (10 * MINUTE, {6: step, 7: step + 1})


def test_sketches_of_different_units_merge_in_the_coarser_one() -> None:
    fine, coarse = (Layout({}, {1: SketchLayout(8, DAY, unit)}) for unit in (SECOND, MINUTE))
    first, second = State(), State()
    first.see(fine, 1, 5, START + 61_000)
    first.see(fine, 1, 6, START + 59_000)
    second.see(coarse, 1, 5, START + 30_000)
    for a, b in ((first, second), (second, first)):
        merged = copy.deepcopy(a)
        merged.merge(fine, b)
        sketch = merged.sketches[1]
        step = START // MINUTE
        assert (sketch.unit, sketch.seen) == (MINUTE, {5: step + 1, 6: step})
