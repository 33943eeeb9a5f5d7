"""Random histories that hit what is hard: same instants, edges of tiles, long rests, shared keys, gaps."""

import random
from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from fraud.events import Event, Label, LabelKind, Outcome, OutcomeKind, Transaction
from fraud.replay import arrival
from fraud.windows import DAY, HOUR, MINUTE

START = 1_700_000_000_000 // DAY * DAY
KINDS: tuple[LabelKind, ...] = ("chargeback", "confirmed_fraud", "confirmed_genuine")
VERDICTS: tuple[OutcomeKind, ...] = ("authorised", "declined")
OUTCOMES: tuple[OutcomeKind, ...] = (*VERDICTS, "captured", "refunded", "reviewed")
HOPS = (MINUTE, 15 * MINUTE, 2 * HOUR, 8 * HOUR, DAY)

COUNTRIES = ["", "FR", "US"]
TEXTS: dict[str, list[str]] = {
    "merchant_id": ["m1", "m2"],
    "card": ["card_a", "card_b", ""],
    "customer": ["cust_a", "cust_b", ""],
    "device": ["dev_a", "dev_b", "dev_c", ""],
    "ip": ["ip_a", "ip_b", ""],
    "email": ["mail_a", "mail_b", ""],
    "bin": ["411111", "522222", ""],
    "issuer_country": COUNTRIES,
    "billing_country": COUNTRIES,
    "shipping_country": [*COUNTRIES, *(f"{letter}X" for letter in "ABCDEFGHIJKLMNOPQ")],
    "mcc": ["", "5411", "7995"],
    "channel": ["ecommerce", "pos"],
    "entry_mode": ["", "chip", "manual"],
    "three_ds": ["none", "authenticated", "failed"],
}
"""More shipping countries than a state keeps, a shop and a card that many share, and what was not sent."""


def moments(days: int = 50) -> st.SearchStrategy[int]:
    """Times in ms: often on the edge of a tile or one ms beside it, often the same or close to one another."""
    edges = st.builds(
        lambda base, hop, off: START + base * hop + off,
        st.integers(0, 40),
        st.sampled_from(HOPS),
        st.integers(-1, 1),
    )
    few = st.sampled_from([START, START + 1, START + HOUR, START + DAY])
    return st.one_of(edges, st.integers(START, START + days * DAY), st.integers(START, START + HOUR), few)


def amounts() -> st.SearchStrategy[int]:
    return st.one_of(st.integers(0, 50_000), st.sampled_from([0, 99, 1_000]), st.integers(0, 10**12))


def payments(times: st.SearchStrategy[int] | None = None) -> st.SearchStrategy[Transaction]:
    """Payments over a handful of cards, devices and merchants; their ids are filled in by `histories`."""
    return st.builds(
        Transaction,
        transaction_id=st.just(""),
        event_time=times or moments(),
        amount=amounts(),
        currency=st.just("EUR"),
        **{field: st.sampled_from(values) for field, values in TEXTS.items()},
    )


delays = st.one_of(st.integers(0, 2_000), st.sampled_from([0, HOUR, 7 * DAY]), st.integers(0, 45 * DAY))
later = st.lists(st.tuples(st.sampled_from([*KINDS, *OUTCOMES]), delays), max_size=3)


@st.composite
def histories(draw: st.DrawFn, most: int = 40, least: int = 0) -> list[Event]:
    """Payments and what became known of some of them, each event once, in the order of their arrival."""
    drawn = draw(st.lists(st.tuples(payments(), later), min_size=least, max_size=most))
    return history([(paid, dict(known)) for paid, known in drawn])


def history(told: Sequence[tuple[Transaction, dict[LabelKind | OutcomeKind, int]]]) -> list[Event]:
    """Payments under names of their own, with their outcomes and labels so many ms later, by their arrival."""
    events: dict[str, Event] = {}
    for number, (raw, known) in enumerate(told):
        paid = msgspec.structs.replace(raw, transaction_id=f"t{number}")
        events[paid.event_id] = paid
        for kind, delay in known.items():
            event = follow_up(paid, kind, delay)
            events.setdefault(event.event_id, event)  # a chargeback of a confirmed fraud is no other event
    return sorted(events.values(), key=arrival)


def follow_up(paid: Transaction, kind: LabelKind | OutcomeKind, delay: int) -> Label | Outcome:
    """What became known of a payment, `delay` ms after it."""
    if kind in KINDS:
        return Label(transaction=paid, kind=kind, known_at=paid.event_time + delay)
    return Outcome(transaction=paid, kind=kind, event_time=paid.event_time + delay)


def world(seed: int, size: int, *, days: int = 60, wide: int = 1) -> list[Event]:
    """A history like those of `histories` from a seed: larger, half of it within two hours.

    Parameters
    ----------
    wide : int
        How many times more cards, merchants and so on there are.
    """
    rng = random.Random(seed)

    def field(name: str) -> str:
        value = rng.choice(TEXTS[name])
        return f"{value}{rng.randrange(wide)}" if value and name in _IDENTIFIERS else value

    told: list[tuple[Transaction, dict[LabelKind | OutcomeKind, int]]] = []
    for _ in range(size):
        dense = rng.random() < 0.5
        at = START + (days * DAY // 2 + rng.randrange(2 * HOUR) if dense else rng.randrange(days * DAY))
        if told and rng.random() < 0.1:
            at = rng.choice(told)[0].event_time
        paid = Transaction(
            transaction_id="",
            event_time=at,
            amount=rng.choice([rng.randrange(100_000), 100, 999, 1_000, rng.randrange(10**12)]),
            currency="EUR",
            **{name: field(name) for name in TEXTS},
        )
        known: dict[LabelKind | OutcomeKind, int] = {}
        if rng.random() < 0.7:
            known[rng.choice(VERDICTS)] = rng.randrange(3_000)
        if rng.random() < 0.4:
            known[rng.choice(KINDS)] = rng.choice([rng.randrange(DAY), rng.randrange(45 * DAY)])
        if rng.random() < 0.1:
            known[rng.choice(OUTCOMES)] = rng.randrange(5 * DAY)
        told.append((paid, known))
    return history(told)


_IDENTIFIERS = ("merchant_id", "card", "customer", "device", "ip", "email", "bin")


def payment(name: str = "t1", *, at: int = START, amount: int = 1_000, **fields: str) -> Transaction:
    """One payment for tests that say what they need."""
    given = {"merchant_id": "m1", "currency": "EUR", "card": "card_a", "customer": "cust_a", **fields}
    return Transaction(transaction_id=name, event_time=at, amount=amount, **given)


def same(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two vectors are equal to the last bit, NaN being equal to NaN."""
    return len(first) == len(second) and all(
        a == b or (a != a and b != b) for a, b in zip(first, second, strict=True)
    )
