"""States: whatever the order, the split or the merges, the same bits. For windows see test_state_levels."""

import copy
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.codec import encode
from fraud.events import Event, Label
from fraud.features import STANDARD
from fraud.features.keys import hash40
from fraud.state import Layout, SketchLayout, State
from fraud.tiles import EXTREMES, LATEST, SQUARES, TIMES, TOTAL, TilesLayout, Totals
from fraud.windows import DAY, HOUR, MINUTE
from tests.unit.fraud.strategies import START, histories, payment

ALL = TOTAL | SQUARES | EXTREMES | TIMES | LATEST
SMALL = Layout(
    tiles={1: TilesLayout(ALL, {MINUTE: 10 * MINUTE, 15 * MINUTE: HOUR, HOUR: 5 * HOUR})},
    sketches={1: SketchLayout(3, HOUR, MINUTE)},
)
"""Few tiles and a sketch of three, so that promotion, pruning and eviction are the rule and not the exception."""

type Fact = tuple[bool, int, int]
times = st.one_of(
    st.integers(0, 20 * MINUTE),
    st.integers(0, 12 * HOUR),
    st.builds(lambda tile, off: max(0, tile * 15 * MINUTE + off), st.integers(0, 40), st.integers(-1, 1)),
)
facts = st.lists(st.tuples(st.booleans(), st.integers(0, 9), times), max_size=30)
"""(a distinct value rather than an amount, which one, when)"""


def _folded(known: list[Fact], layout: Layout = SMALL) -> State:
    state = State()
    for distinct, value, time in known:
        if distinct:
            state.see(layout, 1, hash40(str(value)), time)
        else:
            state.add(layout, 1, value, time)
    return state


@given(facts, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_state(known: list[Fact], rng: random.Random) -> None:
    assert encode(_folded(rng.sample(known, len(known)))) == encode(_folded(known))


@given(facts, st.integers(1, 5), st.randoms(use_true_random=False))
def test_shards_merged_are_one_fold(known: list[Fact], shards: int, rng: random.Random) -> None:
    parts: list[list[Fact]] = [[] for _ in range(shards)]
    for fact in rng.sample(known, len(known)):
        rng.choice(parts).append(fact)
    merged = State()
    for part in parts:
        merged.merge(SMALL, _folded(part))
    assert encode(merged) == encode(_folded(known))


@given(facts, facts, st.randoms(use_true_random=False))
def test_a_merged_state_is_folded_on_like_any_other(
    first: list[Fact], then: list[Fact], rng: random.Random
) -> None:
    """As a rebuilt state is, which is merged into what live traffic wrote before more of it comes."""
    half = rng.randint(0, len(first))
    merged = _folded(first[:half])
    merged.merge(SMALL, _folded(first[half:]))
    for distinct, value, time in then:
        if distinct:
            merged.see(SMALL, 1, hash40(str(value)), time)
        else:
            merged.add(SMALL, 1, value, time)
    assert encode(merged) == encode(_folded([*first, *then]))


@given(facts, facts, facts)
def test_merging_is_associative_and_commutative_and_has_an_identity(
    first: list[Fact], second: list[Fact], third: list[Fact]
) -> None:
    a, b, c = _folded(first), _folded(second), _folded(third)

    def merged(*states: State) -> State:
        whole = copy.deepcopy(states[0])
        for state in states[1:]:
            whole.merge(SMALL, copy.deepcopy(state))
        return whole

    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a, State()) == merged(State(), a) == a


@given(facts)
def test_merging_leaves_the_other_state_as_it_was(known: list[Fact]) -> None:
    other = _folded(known)
    before = copy.deepcopy(other)
    merged = State()
    merged.merge(SMALL, other)
    merged.merge(SMALL, _folded([(False, 5, 12 * HOUR), *known]))
    assert other == before


@given(histories(), st.randoms(use_true_random=False))
def test_standard_states_do_not_depend_on_the_order_of_events(events: list[Event], rng: random.Random) -> None:
    assert _standard(rng.sample(events, len(events))) == _standard(events)


@given(histories(), st.randoms(use_true_random=False))
def test_standard_states_in_shards_merge_to_one_fold(events: list[Event], rng: random.Random) -> None:
    for entity in STANDARD.entities:
        whole, left, right = State(), State(), State()
        tokens = {entity.token(event.transaction) for event in events}
        mine = [event for event in events if entity.token(event.transaction) == max(tokens)]
        for event in mine:
            STANDARD.fold(whole, entity.name, event)
            STANDARD.fold(rng.choice([left, right]), entity.name, event)
        left.merge(STANDARD.layouts[entity.name], right)
        assert left == whole


def _standard(events: list[Event]) -> dict[str, bytes]:
    states: dict[str, State] = {}
    for event in events:
        for key in STANDARD.keys_written(event):
            STANDARD.fold(states.setdefault(str(key), State()), key.entity, event)
    return {name: encode(state) for name, state in states.items()}


def _tiles(state: State) -> dict[int, dict[int, int]]:
    """Totals by hop and index."""
    levels = state.tiles[1].levels
    return {hop: dict(zip(level.index, level.total, strict=True)) for hop, level in levels.items()}


def test_a_late_event_goes_to_the_finest_level_that_still_keeps_its_time() -> None:
    state = State()
    assert state.add(SMALL, 1, 100, 10 * HOUR)
    assert state.add(SMALL, 1, 7, 7 * HOUR)
    assert state.add(SMALL, 1, 3, 10 * HOUR - 30 * MINUTE)
    assert _tiles(state) == {MINUTE: {600: 100}, 15 * MINUTE: {38: 3}, HOUR: {7: 7}}


def test_a_tile_is_handed_from_level_to_level_as_time_goes_by_and_then_let_go() -> None:
    state = State()
    state.add(SMALL, 1, 100, 5 * HOUR)
    state.add(SMALL, 1, 10, 5 * HOUR + 30_000)
    seen = []
    for later in (10 * MINUTE, 11 * MINUTE, 76 * MINUTE, 6 * HOUR):
        after = copy.deepcopy(state)
        after.add(SMALL, 1, 0, 5 * HOUR + later)
        seen.append({hop: max(level.values()) for hop, level in _tiles(after).items() if max(level.values())})
    assert seen == [{MINUTE: 110}, {15 * MINUTE: 110}, {HOUR: 110}, {}]


def test_an_event_too_late_for_every_level_is_reported_and_changes_nothing() -> None:
    state = State()
    state.add(SMALL, 1, 100, 10 * HOUR)
    before = copy.deepcopy(state)
    assert not state.add(SMALL, 1, 7, 4 * HOUR)
    assert state == before


@pytest.mark.parametrize(("amount", "time", "which"), [(-5, START, "amount"), (5, -1, "time")])
def test_a_negative_number_is_refused_before_anything_is_touched(amount: int, time: int, which: str) -> None:
    state = State()
    with pytest.raises(ValueError, match=f"negative amounts or times; the {which} is") as refused:
        state.add(SMALL, 1, amount, time)
    assert str(amount) not in str(refused.value)
    assert state == State()


def test_the_fold_of_a_late_payment_says_so() -> None:
    state = State()
    assert STANDARD.fold(state, "customer", payment("new", at=START))
    assert STANDARD.fold(state, "customer", payment("old", at=START - 89 * DAY))
    assert not STANDARD.fold(state, "customer", payment("ancient", at=START - 120 * DAY))


def test_a_label_counts_in_the_tile_of_its_payment() -> None:
    state = State()
    label = Label(transaction=payment("t1", at=START), kind="chargeback", known_at=START + 20 * DAY)
    STANDARD.fold(state, "merchant", label)
    ((hop, level),) = state.tiles[2].levels.items()
    assert [index * hop for index in level.index] == [START // hop * hop]
    assert state.newest == START


def test_a_confirmed_genuine_payment_is_no_fraud() -> None:
    label = Label(transaction=payment(), kind="confirmed_genuine", known_at=START + DAY)
    assert STANDARD.keys_written(label) == []


def test_two_reports_of_one_fraud_have_one_name_and_a_verdict_of_its_own_kind_another() -> None:
    names = [
        Label(transaction=payment(), kind=kind, known_at=START).event_id
        for kind in ("chargeback", "confirmed_fraud", "confirmed_genuine")
    ]
    assert names[0] == names[1] != names[2]


def test_a_quiet_key_is_pruned_by_its_next_event_not_by_a_clock() -> None:
    state = State()
    state.add(SMALL, 1, 1, 0)
    state.see(SMALL, 1, 1, 0)
    state.add(SMALL, 1, 2, 100 * HOUR)
    assert _tiles(state) == {MINUTE: {100 * 60: 2}}
    assert state.sketches == {}


def test_sums_far_past_64_bits_stay_exact() -> None:
    state = State()
    for number in range(3):
        state.add(SMALL, 1, 10**30 + number, HOUR)
    totals = Totals()
    state.window(1, HOUR, HOUR, 2 * HOUR, ALL, totals)
    assert totals.total == 3 * 10**30 + 3
    assert Fraction(totals.squares) == sum(Fraction(10**30 + number) ** 2 for number in range(3))
