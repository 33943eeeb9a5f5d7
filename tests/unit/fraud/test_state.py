"""States: whatever the order, the split or the duplication-free interleaving, the same bits."""

import copy
import random

from hypothesis import given
from hypothesis import strategies as st

from fraud.codec import encode
from fraud.events import Event, Label
from fraud.features import STANDARD
from fraud.features.sets import hash64
from fraud.state import Layout, SketchLayout, State
from fraud.windows import DAY, HOUR, MINUTE
from tests.unit.fraud.strategies import START, histories, payment

SMALL = Layout(levels={1: {MINUTE: 10 * MINUTE, HOUR: 5 * HOUR}}, sketches={1: SketchLayout(3, HOUR)})
"""Few tiles and a sketch of three, so that pruning and eviction are the rule and not the exception."""

type Fact = tuple[bool, int, int]
facts = st.lists(
    st.tuples(st.booleans(), st.integers(0, 9), st.one_of(st.integers(0, 20 * MINUTE), st.integers(0, 12 * HOUR))),
    max_size=30,
)
"""(a distinct value rather than an amount, which one, when)"""


def _folded(known: list[Fact]) -> State:
    state = State()
    for distinct, value, time in known:
        if distinct:
            state.see(SMALL, 1, hash64(str(value)), time)
        else:
            state.add(SMALL, 1, value, time)
    return state


@given(facts, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_state(known: list[Fact], rng: random.Random) -> None:
    turned = rng.sample(known, len(known))
    assert encode(_folded(turned)) == encode(_folded(known))


@given(facts, st.integers(1, 5), st.randoms(use_true_random=False))
def test_shards_merged_are_one_fold(known: list[Fact], shards: int, rng: random.Random) -> None:
    parts: list[list[Fact]] = [[] for _ in range(shards)]
    for fact in rng.sample(known, len(known)):
        rng.choice(parts).append(fact)
    merged = State()
    for part in parts:
        merged.merge(SMALL, _folded(part))
    assert encode(merged) == encode(_folded(known))


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
    before = encode(other)
    merged = State()
    merged.merge(SMALL, other)
    merged.merge(SMALL, _folded([(False, 5, 12 * HOUR), *known]))
    assert encode(other) == before


@given(histories(), st.randoms(use_true_random=False))
def test_standard_states_do_not_depend_on_the_order_of_events(events: list[Event], rng: random.Random) -> None:
    assert _standard(rng.sample(events, len(events))) == _standard(events)


@given(histories(), st.randoms(use_true_random=False))
def test_standard_states_in_shards_merge_to_one_fold(events: list[Event], rng: random.Random) -> None:
    layout = STANDARD.layouts["card"]
    mine = [event for event in events if event.transaction.card == "card_a"]
    whole, left, right = State(), State(), State()
    for event in mine:
        STANDARD.fold(whole, "card", event)
        STANDARD.fold(rng.choice([left, right]), "card", event)
    left.merge(layout, right)
    assert left == whole


def _standard(events: list[Event]) -> dict[str, bytes]:
    states: dict[str, State] = {}
    for event in events:
        for key in STANDARD.keys_written(event):
            STANDARD.fold(states.setdefault(str(key), State()), key.entity, event)
    return {name: encode(state) for name, state in states.items()}


def test_a_late_event_goes_to_the_levels_that_still_keep_its_time() -> None:
    state = State()
    assert state.add(SMALL, 1, 100, 10 * HOUR)
    assert state.add(SMALL, 1, 7, 7 * HOUR), "the level of hours still keeps it"
    assert MINUTE in state.series[1]
    assert [tile.total for tile in state.series[1][MINUTE].values()] == [100]
    assert sorted(tile.total for tile in state.series[1][HOUR].values()) == [7, 100]


def test_an_event_too_late_for_every_level_is_reported_and_changes_nothing() -> None:
    state = State()
    state.add(SMALL, 1, 100, 10 * HOUR)
    before = encode(state)
    assert not state.add(SMALL, 1, 7, 4 * HOUR)
    assert encode(state) == before


def test_the_fold_of_a_late_payment_says_so() -> None:
    state = State()
    assert STANDARD.fold(state, "card", payment("new", at=START))
    assert STANDARD.fold(state, "card", payment("old", at=START - 20 * DAY))
    assert not STANDARD.fold(state, "card", payment("ancient", at=START - 60 * DAY))


def test_a_label_counts_in_the_tile_of_its_payment() -> None:
    transaction = payment("t1", at=START)
    state = State()
    STANDARD.fold(state, "merchant", Label(transaction=transaction, kind="chargeback", known_at=START + 20 * DAY))
    ((hop, level),) = state.series[2].items()
    assert [index * hop for index in level] == [START // hop * hop]
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


def test_a_sketch_keeps_the_most_recent_values_and_ties_do_not_depend_on_order() -> None:
    hashes = [hash64(str(n)) for n in range(8)]
    forwards, backwards = State(), State()
    for hashed in hashes:
        forwards.see(SMALL, 1, hashed, 5)
    for hashed in reversed(hashes):
        backwards.see(SMALL, 1, hashed, 5)
    assert forwards == backwards
    assert set(forwards.sketches[1]) == set(sorted(hashes)[-3:])


def test_a_quiet_key_is_pruned_by_its_next_event_not_by_a_clock() -> None:
    state = State()
    state.add(SMALL, 1, 1, 0)
    state.see(SMALL, 1, 1, 0)
    state.add(SMALL, 1, 2, 100 * HOUR)
    assert [list(level) for level in state.series[1].values()] == [[100 * 60], [100]]
    assert state.sketches == {}
