"""Online: what one payment costs in pure Python, and how large states are.

The states are those of a generated world at its end; the payments are its last ones on cards that paid before.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from fraud.codec import decode, encode
from fraud.events import Event, Label, Outcome, Transaction
from fraud.features import STANDARD, Key
from fraud.features.keys import shard_of
from fraud.replay import fold
from fraud.state import State
from fraud.windows import DAY, HOUR, MINUTE
from tests.benchmarks.results import Row, limit, measured
from tests.benchmarks.timing import latencies
from tests.benchmarks.worlds import events

__all__ = ["Warm", "online_rows", "warm"]

WORLD_ROWS = 20_000
CALLS = 3_000
WORLDS = 2_000
START = 1_700_000_000_000
MOST_FOR_A_CARD, MOST_FOR_A_MERCHANT = 300, 8_192


class Warm:
    """Packed states by key, and payments to come on cards that they know."""

    def __init__(self, packed: dict[Key, bytes], payments: list[Transaction]) -> None:
        self.packed, self.payments = packed, payments

    def read(self, call: int) -> tuple[float, ...]:
        """The vector of one payment, from packed states."""
        payment = self.payments[call % len(self.payments)]
        packed = self.packed
        states = {key: decode(packed[key]) for key in STANDARD.keys_read(payment) if key in packed}
        return STANDARD.vector(payment, states)

    def fold(self, call: int) -> list[bytes]:
        """The states that one payment changes: unpacked, folded and packed again."""
        payment = self.payments[call % len(self.payments)]
        found = []
        for key in STANDARD.keys_written(payment):
            packed = self.packed.get(key)
            state = decode(packed) if packed is not None else State()
            STANDARD.fold(state, key.entity, payment)
            found.append(encode(state))
        return found


def warm(history: Sequence[Event] | None = None) -> Warm:
    """A world folded up to its last tenth; by default that of `events`."""
    history = events(WORLD_ROWS) if history is None else history
    known, coming = history[: len(history) * 9 // 10], history[len(history) * 9 // 10 :]
    states: dict[Key, State] = {}
    for event in known:
        for key in STANDARD.keys_written(event):
            states.setdefault(key, State())
        fold(event, states)
    paid = Counter(event.card for event in known if isinstance(event, Transaction))
    payments = [each for each in coming if isinstance(each, Transaction) and paid[each.card] >= 5]
    return Warm({key: encode(state) for key, state in states.items()}, payments)


def online_rows() -> Iterator[Row]:
    """Every row about single events and states."""
    at = warm()
    read = sum(len([key for key in STANDARD.keys_read(each) if key in at.packed]) for each in at.payments)
    written = sum(len(STANDARD.keys_written(each)) for each in at.payments)
    yield from _timed(
        "online, fold of one payment",
        f"{written / len(at.payments):.1f} states unpacked, folded, packed; standard set, warm card",
        latencies(at.fold, CALLS),
    )
    yield from _timed(
        "online, read of one vector",
        f"{read / len(at.payments):.1f} states unpacked, {len(STANDARD.names)} features; standard set, warm card",
        latencies(at.read, CALLS),
    )
    yield from _codec(at)
    yield from _sizes()


def _timed(name: str, work: str, found: tuple[float, float]) -> Iterator[Row]:
    yield measured(f"{name}, median", work, found[0], "us")
    yield measured(f"{name}, p99", work, found[1], "us")


def _codec(at: Warm) -> Iterator[Row]:
    for entity in ("card", "merchant"):
        keys = {key for each in at.payments for key in STANDARD.keys_read(each) if key.entity == entity}
        packed = [at.packed[key] for key in sorted(keys) if key in at.packed]
        states = [decode(each) for each in packed]
        size = sum(map(len, packed)) // len(packed)
        work = f"the states of {entity}s of those payments, {size:,} bytes on average"
        unpacking = latencies(lambda call, packed=packed: decode(packed[call % len(packed)]), CALLS)
        yield measured(f"codec, decode of a {entity}, median", work, unpacking[0], "us")
        packing = latencies(lambda call, states=states: encode(states[call % len(states)]), CALLS)
        yield measured(f"codec, encode of a {entity}, median", work, packing[0], "us")


def _sizes() -> Iterator[Row]:
    rng = Random(0)
    largest = max(len(encode(_card(rng))) for _ in range(WORLDS))
    work = f"ten payments at ten shops with ten devices, the largest of {WORLDS:,} random worlds"
    yield limit("state of a card with ten payments", work, largest, "bytes", MOST_FOR_A_CARD)
    shards = _busy_merchant(rng)
    most = max(len(encode(shard)) for shard in shards)
    merged = State()
    for shard in shards:
        merged.merge(STANDARD.layouts["merchant"], shard)
    work = "a payment every ten minutes for forty days, with outcomes and chargebacks"
    yield limit("state of a busy merchant, largest item", work, most, "bytes", MOST_FOR_A_MERCHANT)
    yield limit(
        "state of a busy merchant, all its items merged", work, len(encode(merged)), "bytes", MOST_FOR_A_MERCHANT
    )


def _payment(number: int, time: int, amount: int, merchant: str, device: str) -> Transaction:
    return Transaction(
        transaction_id=f"t{number}",
        merchant_id=merchant,
        event_time=time,
        amount=amount,
        currency="EUR",
        card="card",
        customer="customer",
        device=device,
    )


def _card(rng: Random) -> State:
    span = rng.choice([MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY, 80 * DAY])
    most = rng.choice([2_000, 100_000, 10_000_000])
    state = State()
    for n in range(10):
        time, amount = START + rng.randrange(span), rng.randrange(1, most)
        STANDARD.fold(state, "card", _payment(n, time, amount, f"m{rng.random()}", f"d{rng.random()}"))
    return state


def _busy_merchant(rng: Random) -> list[State]:
    shards = [State() for _ in range(next(each for each in STANDARD.entities if each.name == "merchant").shards)]
    for n in range(6_000):
        time = START + n * 40 * DAY // 6_000
        paid = _payment(n, time, rng.randrange(100, 100_000), "merchant", "device")
        story: list[Event] = [
            paid,
            Outcome(transaction=paid, kind="declined" if n % 9 == 0 else "authorised", event_time=time + 800),
        ]
        if n % 20 == 0:
            story.append(Label(transaction=paid, kind="chargeback", known_at=time + DAY))
        for event in story:
            STANDARD.fold(shards[shard_of(event.event_id, len(shards))], "merchant", event)
    return shards
