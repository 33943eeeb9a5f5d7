"""How large packed states become: what an item costs to write and to read."""

import random
from functools import cache

import pytest

from fraud.codec import encode
from fraud.events import Event, Label, Outcome
from fraud.features import STANDARD
from fraud.features.definitions import Entity
from fraud.features.keys import shard_of
from fraud.features.standard import MERCHANT
from fraud.state import State
from fraud.tiles import Level, Tiles
from fraud.windows import DAY, HOUR, MINUTE
from tests.unit.fraud.strategies import START, payment

MOST_FOR_A_CARD = 300
MOST_FOR_A_MERCHANT = 8_192
MOST_FOR_ANYTHING = 12_288


def _folded(entity: str, events: list[Event]) -> bytes:
    state = State()
    for event in events:
        STANDARD.fold(state, entity, event)
    return encode(state)


def _card(rng: random.Random) -> bytes:
    """Ten payments, each at another shop with another device, in a world of its own."""
    span = rng.choice([MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY, 80 * DAY])
    most = rng.choice([2_000, 100_000, 10_000_000])
    return _folded(
        "card",
        [
            payment(
                f"t{n}",
                at=START + rng.randrange(span),
                amount=rng.randrange(1, most),
                merchant_id=f"m{rng.random()}",
                device=f"d{rng.random()}",
            )
            for n in range(10)
        ],
    )


def test_a_card_with_ten_payments_takes_less_than_300_bytes_in_any_of_2000_worlds() -> None:
    rng = random.Random(0)
    sizes = sorted(len(_card(rng)) for _ in range(2_000))
    assert sizes[-1] < MOST_FOR_A_CARD
    assert sizes[0] > 100, "ten devices and shops are there"


@cache
def _busy() -> tuple[State, ...]:
    """The shards of a merchant with a payment every ten minutes for forty days, refusals and frauds."""
    rng = random.Random(6)
    shards = [State() for _ in range(MERCHANT.shards)]
    for n in range(6_000):
        paid = payment(f"t{n}", at=START + n * 40 * DAY // 6_000, amount=rng.randrange(100, 100_000))
        events: list[Event] = [paid]
        verdict = "declined" if n % 9 == 0 else "authorised"
        events.append(Outcome(transaction=paid, kind=verdict, event_time=paid.event_time + 800))
        if n % 20 == 0:
            events.append(Label(transaction=paid, kind="chargeback", known_at=paid.event_time))
        for event in events:
            STANDARD.fold(shards[shard_of(event.event_id, MERCHANT.shards)], "merchant", event)
    return tuple(shards)


def test_every_shard_of_a_busy_merchant_takes_less_than_8_kilobytes_and_so_do_all_of_them_merged() -> None:
    merged = State()
    for shard in _busy():
        assert 500 < len(encode(shard)) < MOST_FOR_A_MERCHANT
        merged.merge(STANDARD.layouts["merchant"], shard)
    assert len(encode(merged)) < MOST_FOR_A_MERCHANT


@pytest.mark.parametrize("entity", STANDARD.entities, ids=lambda entity: entity.name)
def test_the_worst_item_of_a_busy_key_takes_less_than_8_kilobytes(entity: Entity) -> None:
    """Every tile of every level filled, with sums as large as one payment a second gives; every sketch full.

    No card pays once a second for three months, but if one did, it would not take much more.
    """
    layout = STANDARD.layouts[entity.name]
    rng = random.Random(5)
    state = State(newest=START)
    for slot, wanted in layout.tiles.items():
        tiles = state.tiles[slot] = Tiles(wanted.parts)
        finer_begins = START // MINUTE + 1
        for hop, retention in wanted.levels.items():
            # A level takes over where the next finer one ends.
            first, end = (START - retention) // hop, -(-finer_begins * MINUTE // hop)
            finer_begins = first * hop // MINUTE
            level = tiles.levels[hop] = Level()
            for index in range(first, end):
                count = hop // 1_000
                level.put(
                    index,
                    (
                        count,
                        count * rng.randrange(5_000, 10_000),
                        count * rng.randrange(10**7, 10**8),
                        rng.randrange(1, 100),
                        rng.randrange(400_000, 500_000),
                        index * hop + rng.randrange(1_000),
                        index * hop + hop - 1 - rng.randrange(1_000),
                        rng.randrange(100, 100_000),
                    ),
                )
    for slot, rule in layout.sketches.items():
        for n in range(rule.capacity):
            state.see(layout, slot, rng.randrange(2**40), START - n * rule.retention // rule.capacity)
    assert sum(len(level.index) for tiles in state.tiles.values() for level in tiles.levels.values()) > 80
    assert len(encode(state)) < (MOST_FOR_A_MERCHANT if entity.shards > 1 else MOST_FOR_ANYTHING)
