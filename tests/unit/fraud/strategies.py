"""Random payments and labels that hit what is hard: same instants, edges of tiles, long rests, shared keys."""

from collections.abc import Sequence

from hypothesis import strategies as st

from fraud.events import Event, Label, LabelKind, Transaction
from fraud.replay import arrival
from fraud.windows import DAY, HOUR, MINUTE

START = 1_700_000_000_000 // DAY * DAY
KINDS: tuple[LabelKind, ...] = ("chargeback", "confirmed_fraud", "confirmed_genuine")


def moments(days: int = 50) -> st.SearchStrategy[int]:
    """Times in ms: often on the edge of a tile or one ms beside it, often close to one another."""
    edges = st.builds(
        lambda base, hop, off: START + base * hop + off,
        st.integers(0, 40),
        st.sampled_from([MINUTE, 15 * MINUTE, 2 * HOUR, 8 * HOUR, DAY]),
        st.integers(-1, 1),
    )
    return st.one_of(edges, st.integers(START, START + days * DAY), st.integers(START, START + HOUR))


def payments(times: st.SearchStrategy[int] | None = None) -> st.SearchStrategy[Transaction]:
    """Payments over a handful of cards, customers and merchants; their ids are filled in by `histories`."""
    return st.builds(
        Transaction,
        transaction_id=st.just(""),
        merchant_id=st.sampled_from(["m1", "m2"]),
        event_time=times or moments(),
        amount=st.one_of(st.integers(0, 50_000), st.just(1_000), st.integers(0, 10**12)),
        currency=st.just("EUR"),
        card=st.sampled_from(["card_a", "card_b"]),
        customer=st.sampled_from(["cust_a", "cust_b", ""]),
        device=st.sampled_from(["dev_a", "dev_b", "dev_c", ""]),
        issuer_country=st.sampled_from(["", "FR", "US"]),
        billing_country=st.sampled_from(["", "FR", "US"]),
        shipping_country=st.sampled_from(["", "FR", "US"]),
        channel=st.sampled_from(["ecommerce", "pos"]),
        three_ds=st.sampled_from(["none", "authenticated"]),
    )


@st.composite
def histories(draw: st.DrawFn, most: int = 40, least: int = 0) -> list[Event]:
    """Payments and labels of some of them, each event once, in the order of their arrival."""
    drawn = draw(st.lists(payments(), min_size=least, max_size=most))
    events: list[Event] = []
    for number, raw in enumerate(drawn):
        transaction = renamed(raw, f"t{number}")
        events.append(transaction)
        delay = draw(st.one_of(st.none(), st.integers(0, 45 * DAY)))
        if delay is not None:
            kind = draw(st.sampled_from(KINDS))
            events.append(Label(transaction=transaction, kind=kind, known_at=transaction.event_time + delay))
    return sorted(events, key=arrival)


def renamed(transaction: Transaction, name: str) -> Transaction:
    """The same payment under another id."""
    fields = {field: getattr(transaction, field) for field in transaction.__struct_fields__}
    return Transaction(**{**fields, "transaction_id": name})


def payment(name: str = "t1", *, at: int = START, amount: int = 1_000, **fields: str) -> Transaction:
    """One payment for tests that say what they need."""
    given = {"merchant_id": "m1", "currency": "EUR", "card": "card_a", "customer": "cust_a", **fields}
    return Transaction(transaction_id=name, event_time=at, amount=amount, **given)


def same(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two vectors are equal to the last bit, NaN being equal to NaN."""
    return len(first) == len(second) and all(
        a == b or (a != a and b != b) for a, b in zip(first, second, strict=True)
    )
