"""The packed form: round trips, equal bytes, loud refusals, and small."""

import contextlib
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.codec import CorruptStateError, decode, encode
from fraud.events import Event, Label
from fraud.features import STANDARD
from fraud.replay import replay
from fraud.state import State, Tile
from fraud.windows import DAY, HOUR, MINUTE
from tests.unit.fraud.strategies import START, histories, payment

HOPS = (MINUTE, 15 * MINUTE, 8 * HOUR)


@st.composite
def states(draw: st.DrawFn) -> State:
    """Any state that folding could give, sums far past 64 bits included."""
    state = State(newest=draw(st.integers(0, 2**45)))
    for slot in draw(st.sets(st.integers(1, 300), max_size=3)):
        for hop in draw(st.sets(st.sampled_from(HOPS), min_size=1)):
            level = state.series.setdefault(slot, {}).setdefault(hop, {})
            for index in draw(st.sets(st.integers(0, 2**33), min_size=1, max_size=5)):
                values = draw(st.lists(st.integers(0, 10**15), min_size=1, max_size=4))
                times = 10 ** draw(st.sampled_from([0, 0, 9]))
                tile = Tile.of(values[0], index * hop + draw(st.integers(0, hop - 1)))
                for value in [*values[1:], *values[: times > 1]]:
                    tile.merge(Tile.of(value, index * hop))
                level[index] = tile
    for slot in draw(st.sets(st.integers(1, 300), max_size=3)):
        state.sketches[slot] = draw(
            st.dictionaries(st.integers(0, 2**64 - 1), st.integers(0, 2**45), min_size=1, max_size=6)
        )
    return state


@given(states())
def test_what_is_packed_is_unpacked(state: State) -> None:
    assert decode(encode(state)) == state


@given(histories())
def test_folded_states_survive_packing(events: list[Event]) -> None:
    known: dict = {}
    list(replay(events, states=known))
    for state in known.values():
        assert decode(encode(state)) == state


@given(states(), st.randoms(use_true_random=False))
def test_equal_states_have_equal_bytes_whatever_the_order_of_their_parts(state: State, rng: random.Random) -> None:
    def turned[V](mapping: dict[int, V]) -> dict[int, V]:
        return dict(rng.sample(list(mapping.items()), len(mapping)))

    other = State(
        newest=state.newest,
        series=turned(
            {
                slot: turned({h: turned(level) for h, level in levels.items()})
                for slot, levels in state.series.items()
            }
        ),
        sketches=turned({slot: turned(sketch) for slot, sketch in state.sketches.items()}),
    )
    assert encode(other) == encode(state)


@given(st.binary(max_size=80))
def test_garbage_is_refused(packed: bytes) -> None:
    with pytest.raises(CorruptStateError):
        decode(packed)


@given(st.binary(max_size=80))
def test_garbage_under_a_right_checksum_is_refused_or_a_state_and_nothing_else_happens(body: bytes) -> None:
    content = b"\x01" + body
    with contextlib.suppress(CorruptStateError):
        assert isinstance(decode(content + zlib.crc32(content).to_bytes(4, "little")), State)


@given(states(), st.data())
def test_a_truncated_state_is_refused(state: State, data: st.DataObject) -> None:
    packed = encode(state)
    with pytest.raises(CorruptStateError, match="checksum"):
        decode(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(states(), st.data())
def test_a_flipped_bit_is_noticed(state: State, data: st.DataObject) -> None:
    packed = bytearray(encode(state))
    position = data.draw(st.integers(0, 8 * len(packed) - 1))
    packed[position // 8] ^= 1 << position % 8
    with pytest.raises(CorruptStateError):
        decode(bytes(packed))


@given(states())
def test_a_state_cut_off_inside_is_refused_even_under_a_right_checksum(state: State) -> None:
    body = encode(state)[:-4]
    for end in range(1, len(body)):
        with pytest.raises(CorruptStateError):
            decode(body[:end] + zlib.crc32(body[:end]).to_bytes(4, "little"))


def test_bytes_after_the_end_are_refused_even_under_a_right_checksum() -> None:
    body = encode(State(newest=5))[:-4] + b"\x00"
    with pytest.raises(CorruptStateError, match="after its end"):
        decode(body + zlib.crc32(body).to_bytes(4, "little"))


def test_another_version_is_refused_by_its_number() -> None:
    body = b"\x02" + encode(State(newest=5))[1:-4]
    with pytest.raises(CorruptStateError, match="version 2; this code reads version 1"):
        decode(body + zlib.crc32(body).to_bytes(4, "little"))


def test_negative_numbers_are_refused_rather_than_packed_wrongly() -> None:
    state = State()
    state.add(STANDARD.layouts["customer"], 1, -5, START)
    with pytest.raises(ValueError, match="no negative numbers"):
        encode(state)


def test_the_first_version_reads_the_same_for_ever() -> None:
    """Bytes that are in tables by now: if this fails, a new version of the format is needed."""
    state = State(newest=90_061_000)
    state.series = {
        1: {60_000: {1_501: Tile(2, 300, 50_000, 100, 200, 90_061_000), 1_400: Tile.of(7, 84_000_001)}}
    }
    state.sketches = {2: {0x0102030405060708: 90_000_000, 5: 90_000_500}}
    expected = (
        "01c8f1f82a"  # version, newest
        "0101013c02"  # one series, its slot, one level, its hop in seconds, two tiles
        "f80a010701"  # the tile of one payment
        "6502ac02e807d086036464"  # the tile of two, its index counted from the one before
        "0102028095f52a0807060504030201f4030500000000000000"  # a sketch of two values
        "65cfb8e8"  # the checksum
    )
    assert encode(state).hex() == expected
    assert decode(bytes.fromhex(expected)) == state


def _packed(entity: str, events: list[Event]) -> list[bytes]:
    known: dict = {}
    list(replay(events, states=known))
    return [encode(state) for key, state in known.items() if key.entity == entity]


def _card(span: int, merchants: int, devices: int) -> bytes:
    rng = random.Random(span)
    events: list[Event] = [
        payment(
            f"t{n}",
            at=START + n * span // 10 + rng.randrange(span // 10),
            amount=rng.randrange(100, 1_000_000),
            merchant_id=f"m{n % merchants}",
            device=f"d{n % devices}",
        )
        for n in range(10)
    ]
    (packed,) = _packed("card", events)
    return packed


@pytest.mark.parametrize("span", [MINUTE, 10 * MINUTE, 2 * HOUR, DAY, 7 * DAY, 30 * DAY])
def test_a_card_with_ten_payments_is_small_however_they_are_spread(span: int) -> None:
    assert len(_card(span, merchants=1, devices=1)) < 330
    assert len(_card(span, merchants=10, devices=10)) < 570, "a different shop and device each time"


def test_the_worst_shard_of_a_busy_merchant_takes_less_than_8_kilobytes() -> None:
    """Every tile of every level filled, with sums as large as a year of one payment a second would give."""
    layout = STANDARD.layouts["merchant"]
    state = State(newest=START)
    rng = random.Random(5)
    for slot, hops in layout.levels.items():
        for hop, retention in hops.items():
            first = (START - retention) // hop
            state.series.setdefault(slot, {})[hop] = {
                index: Tile(
                    hop // 1_000,
                    rng.randrange(10**8, 10**9),
                    rng.randrange(10**12, 10**14),
                    100,
                    500_000,
                    index * hop,
                )
                for index in range(first, START // hop + 1)
            }
    assert sum(len(level) for levels in state.series.values() for level in levels.values()) > 350
    assert len(encode(state)) < 8_192


def test_a_real_busy_merchant_stays_as_small() -> None:
    rng = random.Random(6)
    events: list[Event] = []
    for n in range(6_000):
        transaction = payment(
            f"t{n}", at=START + n * 40 * DAY // 6_000, amount=rng.randrange(100, 100_000), card=""
        )
        events.append(transaction)
        if n % 20 == 0:
            known_at = transaction.event_time
            events.append(Label(transaction=transaction, kind="chargeback", known_at=known_at))
    assert max(map(len, _packed("merchant", events))) < 8_192
