"""The packed form: round trips, equal bytes, and loud refusals. Its sizes are in test_codec_sizes."""

import contextlib
import random
import zlib
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.codec import VERSION, CorruptStateError, decode, encode
from fraud.events import Event
from fraud.features import STANDARD, Key
from fraud.replay import replay
from fraud.state import Layout, Sketch, SketchLayout, State
from fraud.tiles import EXTREMES, LATEST, SQUARES, TIMES, TOTAL, Level, Tiles, TilesLayout
from fraud.windows import DAY, HOUR, MINUTE, SECOND
from tests.unit.fraud.strategies import histories, world

HOPS = (SECOND, MINUTE, 15 * MINUTE, 8 * HOUR)
PARTS = (0, TOTAL, TIMES, TOTAL | SQUARES, TOTAL | EXTREMES, TOTAL | TIMES | LATEST, 31)


@st.composite
def states(draw: st.DrawFn) -> State:
    """Any state that folding could give, sums far past 64 bits included."""
    tiles = {
        slot: TilesLayout(
            draw(st.sampled_from(PARTS)), {hop: hop * draw(st.integers(2, 40)) for hop in sorted(hops)}
        )
        for slot, hops in draw(
            st.dictionaries(st.integers(1, 300), st.sets(st.sampled_from(HOPS), min_size=1), max_size=3)
        ).items()
    }
    units = st.sampled_from([SECOND, MINUTE, 8 * HOUR])
    sketches = draw(
        st.dictionaries(
            st.integers(1, 300),
            st.builds(SketchLayout, st.integers(1, 6), st.sampled_from([HOUR, DAY, 30 * DAY]), units),
            max_size=3,
        )
    )
    layout = Layout(tiles, sketches)
    latest = draw(st.integers(0, 2**42))
    time = st.one_of(st.integers(0, 2 * MINUTE), st.integers(0, 20 * DAY)).map(lambda age: max(0, latest - age))
    value = st.one_of(st.integers(0, 300), st.integers(0, 2**72))
    state = State()
    for slot in tiles:
        for amount, at in draw(st.lists(st.tuples(value, time), max_size=8)):
            state.add(layout, slot, amount, at)
    for slot in sketches:
        for hashed, at in draw(st.lists(st.tuples(st.integers(0, 2**40 - 1), time), max_size=8)):
            state.see(layout, slot, hashed, at)
    return state


def _sealed(body: bytes) -> bytes:
    """Bytes under a checksum that is right."""
    return body + zlib.crc32(body).to_bytes(4, "little")


@given(states())
@settings(max_examples=150)
def test_what_is_packed_is_unpacked(state: State) -> None:
    assert decode(encode(state)) == state


@given(states())
@settings(max_examples=150)
def test_a_state_to_look_at_says_the_same(state: State) -> None:
    packed = encode(state)
    assert decode(packed, shared=True) == state
    assert encode(decode(packed, shared=True)) == packed


@given(histories())
def test_folded_states_survive_packing(events: list[Event]) -> None:
    known: dict[Key, State] = {}
    list(replay(events, states=known))
    for state in known.values():
        assert decode(encode(state)) == state


@given(states(), st.randoms(use_true_random=False))
def test_equal_states_have_equal_bytes_whatever_the_order_of_their_parts(state: State, rng: random.Random) -> None:
    def turned[V](mapping: Mapping[int, V]) -> dict[int, V]:
        return dict(rng.sample(list(mapping.items()), len(mapping)))

    other = State(
        newest=state.newest,
        tiles=turned({slot: Tiles(tiles.parts, turned(tiles.levels)) for slot, tiles in state.tiles.items()}),
        sketches=turned({slot: Sketch(each.unit, turned(each.seen)) for slot, each in state.sketches.items()}),
    )
    assert other == state
    assert encode(other) == encode(state)


@given(states(), states())
def test_different_states_have_different_bytes(first: State, second: State) -> None:
    assert (encode(first) == encode(second)) == (first == second)


@given(st.binary(max_size=80))
def test_garbage_is_refused(packed: bytes) -> None:
    with pytest.raises(CorruptStateError, match="rebuild its key"):
        decode(packed)


@given(st.binary(max_size=80))
@settings(max_examples=300)
def test_garbage_under_a_right_checksum_is_refused_or_a_state_and_nothing_else_happens(body: bytes) -> None:
    with contextlib.suppress(CorruptStateError):
        assert isinstance(decode(_sealed(bytes([VERSION]) + body)), State)


@given(states())
@settings(max_examples=30)
def test_every_truncation_is_refused(state: State) -> None:
    packed = encode(state)
    for end in range(len(packed)):
        with pytest.raises(CorruptStateError, match="checksum"):
            decode(packed[:end])


@given(states())
@settings(max_examples=30)
def test_a_state_cut_off_inside_is_refused_even_under_a_right_checksum(state: State) -> None:
    body = encode(state)[:-4]
    for end in range(1, len(body)):
        with pytest.raises(CorruptStateError):
            decode(_sealed(body[:end]))


@given(states(), st.integers(1, 255))
@settings(max_examples=30)
def test_every_byte_that_is_flipped_is_noticed(state: State, flip: int) -> None:
    packed = bytearray(encode(state))
    for place in range(len(packed)):
        packed[place] ^= flip
        with pytest.raises(CorruptStateError):
            decode(bytes(packed))
        packed[place] ^= flip


def test_every_flipped_byte_of_a_busy_state_is_noticed() -> None:
    known: dict[Key, State] = {}
    list(replay(world(3, 200), states=known))
    packed = bytearray(max(map(encode, known.values()), key=len))
    assert len(packed) > 500
    for place in range(len(packed)):
        for flip in (1, 0x80, 0xFF):
            packed[place] ^= flip
            with pytest.raises(CorruptStateError):
                decode(bytes(packed))
            packed[place] ^= flip


@given(states(), st.binary(min_size=1, max_size=3))
def test_bytes_after_the_end_are_refused_even_under_a_right_checksum(state: State, more: bytes) -> None:
    with pytest.raises(CorruptStateError, match="after its end"):
        decode(_sealed(encode(state)[:-4] + more))


@pytest.mark.parametrize("version", [0, 1, 3, 255])
def test_another_version_is_refused_by_its_number_and_with_the_remedy(version: int) -> None:
    body = bytes([version]) + encode(State(newest=5))[1:-4]
    with pytest.raises(CorruptStateError, match=rf"version {version} .*reads version 2.*features bootstrap"):
        decode(_sealed(body))


def test_a_state_of_the_first_version_is_refused_with_the_remedy() -> None:
    first = (
        "01c8f1f82a0101013c02f80a0107016502ac02e807d0"
        "860364640102028095f52a0807060504030201f403050000000000000065cfb8e8"
    )
    with pytest.raises(
        CorruptStateError, match="version 1 and this code reads version 2; `paywarden features bootstrap`"
    ):
        decode(bytes.fromhex(first))


@pytest.mark.parametrize("column", ["count", "total", "squares", "minimum", "maximum", "first", "last", "latest"])
def test_negative_numbers_are_refused_rather_than_packed_wrongly(column: str) -> None:
    level = Level([5], [2], [30], [500], [10], [20], [5 * MINUTE], [5 * MINUTE], [20])
    # What came first is packed as its distance to what came last.
    setattr(level, column, [-400_000 if column != "first" else 6 * MINUTE])
    state = State(newest=6 * MINUTE, tiles={1: Tiles(31, {MINUTE: level})})
    with pytest.raises(ValueError, match="no negative numbers"):
        encode(state)


def test_a_time_past_the_newest_is_refused_rather_than_packed_wrongly() -> None:
    level = Level([5], [1], [30], [900], [30], [30], [5 * MINUTE], [5 * MINUTE], [30])
    with pytest.raises(ValueError, match="no negative numbers"):
        encode(State(newest=MINUTE, tiles={1: Tiles(31, {MINUTE: level})}))


def test_the_second_version_reads_the_same_for_ever() -> None:
    """Bytes that are in tables by now: if this fails, a new version of the format is needed."""
    layout = Layout(
        {1: TilesLayout(31, {MINUTE: 10 * MINUTE, 15 * MINUTE: DAY})}, {2: SketchLayout(4, DAY, MINUTE)}
    )
    state = State()
    for amount, time in ((7, 84_000_001), (100, 90_010_000), (200, 90_061_000), (300, 90_061_500)):
        state.add(layout, 1, amount, time)
    state.see(layout, 2, 0x0102030405, 90_000_000)
    state.see(layout, 2, 5, 90_061_000)
    expected = (
        "02bcf5f82a"  # version, newest
        "01011f02"  # one series, its slot, all parts, two levels
        "3c02000101"  # a hop of 60 s, two tiles, the newest of age 0, one step between them
        "010001"  # counts of one and two
        "026400f401021027dc05"  # totals, and when in the tile the last event came
        "03d0fb0101c80164"  # of the tile of two: squares, minimum, how far above it the maximum is
        "02f401022c01"  # how long before the last event the first came, and the amount of the last
        "8407010700"  # a hop of 900 s, one tile, of age 7, no steps
        "00010703e19304"  # a count of one, its total, and when in the tile it came
        "01023c02000101"  # a sketch, its slot, steps of 60 s, two values, the newest of age 0, one step between
        "0505040302010500000000"  # hashes of five bytes
        "d3a70133"  # the checksum
    )
    assert encode(state).hex() == expected
    assert decode(bytes.fromhex(expected)) == state


def test_the_standard_layouts_ask_only_for_what_can_be_packed() -> None:
    for layout in STANDARD.layouts.values():
        assert all(hop % SECOND == 0 for tiles in layout.tiles.values() for hop in tiles.levels)
        assert all(sketch.unit % SECOND == 0 for sketch in layout.sketches.values())
