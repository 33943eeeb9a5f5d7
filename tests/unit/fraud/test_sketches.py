"""Sketches of distinct values: the most recent ones, whatever the order, and counts by brute force."""

import random

from hypothesis import given
from hypothesis import strategies as st

from fraud.codec import decode, encode
from fraud.features import FeatureSet, Key
from fraud.features.definitions import Aggregation, Distinct, Reason, WindowFeature
from fraud.features.keys import hash40
from fraud.features.standard import CARD, MERCHANT
from fraud.replay import replay
from fraud.state import Layout, SketchLayout, State
from fraud.windows import HOUR, MINUTE, SECOND, Window
from tests.unit.fraud.strategies import START, payment

CAPACITY = 3
WHY = Reason("TEST", "A test")
SMALL = Layout({}, {1: SketchLayout(CAPACITY, 2 * HOUR, MINUTE)})

seen = st.lists(
    st.tuples(st.integers(0, 12), st.one_of(st.integers(0, 5 * MINUTE), st.integers(0, 6 * HOUR))), max_size=40
)
"""(which value, when)"""


def _folded(noted: list[tuple[int, int]]) -> State:
    state = State()
    for value, time in noted:
        state.see(SMALL, 1, hash40(str(value)), time)
    return state


@given(seen, st.randoms(use_true_random=False))
def test_a_sketch_is_the_top_of_the_latest_times(noted: list[tuple[int, int]], rng: random.Random) -> None:
    state = _folded(rng.sample(noted, len(noted)))
    newest = max((time for _, time in noted), default=0)
    latest: dict[int, int] = {}
    for value, time in noted:
        hashed = hash40(str(value))
        latest[hashed] = max(latest.get(hashed, 0), time // MINUTE)
    alive = [(step, hashed) for hashed, step in latest.items() if step >= (newest - 2 * HOUR) // MINUTE]
    expected = {hashed: step for step, hashed in sorted(alive)[-CAPACITY:]}
    found = state.sketches[1].seen if state.sketches else {}
    assert found == expected


@given(seen, st.sampled_from([("10m", "1m"), ("1h", "5m"), ("2h", "1m")]), st.integers(0, HOUR))
def test_a_count_is_that_of_the_raw_events_up_to_the_capacity(
    noted: list[tuple[int, int]], window: tuple[str, str], wait: int
) -> None:
    over = Distinct(1, "device", capacity=CAPACITY)
    features = FeatureSet(
        *(
            WindowFeature(entity, Aggregation.DISTINCT, over, Window.of(length, hop=hop), WHY, "A test.")
            for entity in (CARD, MERCHANT)  # one item, and the shards of a busy key
            for length, hop in (window, ("3h", "1m"))  # a longer window shares the sketch
        )
    )
    noted = sorted(noted, key=lambda each: each[1])
    paid = [payment(f"t{n}", at=START + time, device=f"d{value}") for n, (value, time) in enumerate(noted)]
    states: dict[Key, State] = {}
    list(replay(paid, features, states))
    packed = {key: decode(encode(state)) for key, state in states.items()}
    now = max([event.event_time for event in paid], default=START) + wait
    expected = []
    for each in features.windowed:
        start = (now - each.window.length) // each.window.hop * each.window.hop
        expected.append(float(min(CAPACITY, len({event.device for event in paid if event.event_time >= start}))))
    assert list(features.vector(payment("q", at=now), packed)) == expected


def test_ties_of_one_step_do_not_depend_on_order() -> None:
    hashes = [hash40(str(n)) for n in range(8)]
    forwards, backwards = State(), State()
    for hashed in hashes:
        forwards.see(SMALL, 1, hashed, 5)
    for hashed in reversed(hashes):
        backwards.see(SMALL, 1, hashed, 59 * SECOND)  # the same minute
    assert forwards.sketches == backwards.sketches
    assert set(forwards.sketches[1].seen) == set(sorted(hashes)[-CAPACITY:])


def test_a_value_seen_again_is_as_recent_as_its_latest_time() -> None:
    state = State()
    state.see(SMALL, 1, 7, HOUR)
    state.see(SMALL, 1, 7, 0)
    assert state.sketches[1].seen == {7: HOUR // MINUTE}


def test_a_value_from_before_the_retention_is_not_taken_up() -> None:
    state = State()
    state.see(SMALL, 1, 7, 5 * HOUR)
    state.see(SMALL, 1, 8, 3 * HOUR - MINUTE)
    assert set(state.sketches[1].seen) == {7}
    state.see(SMALL, 1, 9, 3 * HOUR)
    assert set(state.sketches[1].seen) == {7, 9}


def test_hashes_have_40_bits_and_stay_what_they_are() -> None:
    """They are in stored states: another hash would count every value twice."""
    assert hash40("m1") == 0xD171FCDF63
    assert max(hash40(str(n)).bit_length() for n in range(300)) == 40


def test_the_shards_of_a_busy_key_together_count_no_more_than_one_state_could() -> None:
    """Otherwise a count would depend on how many shards a key has."""
    over = Distinct(1, "device", capacity=CAPACITY)
    features = FeatureSet(
        *(
            WindowFeature(
                MERCHANT, Aggregation.DISTINCT, over, Window.of("1h"), WHY, "A test.", include_current=own
            )
            for own in (False, True)
        )
    )
    states: dict[Key, State] = {}
    list(replay([payment(f"t{n}", at=START + n, device=f"d{n}") for n in range(40)], features, states))
    assert sum(len(state.sketches[1].seen) for state in states.values()) > CAPACITY
    assert features.vector(payment("q", at=START + MINUTE, device="new"), states) == (CAPACITY, CAPACITY)
