"""Events that no feature could be computed from rightly are refused by the field, and never by its value."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.currency import CURRENCIES
from fraud.events import MOST_AMOUNT, Event, EventError, Label, Outcome, Transaction, check
from fraud.windows import DAY, SECOND
from tests.unit.fraud.strategies import KINDS, OUTCOMES, START, follow_up, histories, payment

FAR = 4_102_444_800_000


@given(histories())
def test_what_can_happen_passes(events: list[Event]) -> None:
    for event in events:
        check(event)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("transaction_id", "", "transaction_id is empty; every event names"),
        ("merchant_id", "", "merchant_id is empty; every event names"),
        ("amount", -1, "amount is not between 0 and .* minor units; check its unit, leave refunds out"),
        ("amount", MOST_AMOUNT + 1, "amount is not between"),
        ("amount", 10**40, "amount is not between"),
        ("currency", "", "currency is no ISO 4217 code; write it like EUR"),
        ("currency", "eur", "currency is no ISO 4217 code"),
        ("currency", "XXX", "currency is no ISO 4217 code"),
        ("event_time", -1, "event_time is not between 1970 and 2100; write milliseconds"),
        ("event_time", FAR, "event_time is not between"),
        ("event_time", START * 1_000, "event_time is not between 1970 and 2100; write milliseconds"),
    ],
)
@pytest.mark.parametrize("kind", [None, "chargeback", "declined"])
def test_a_field_that_cannot_be_is_refused_in_a_payment_and_in_what_tells_of_one(
    field: str, value: object, said: str, kind: str | None
) -> None:
    broken = msgspec.structs.replace(payment(), **{field: value})
    event: Event = broken if kind is None else follow_up(broken, kind, 0)  # type: ignore[arg-type]
    with pytest.raises(EventError, match=said) as refused:
        check(event)
    assert not str(value) or str(value) not in str(refused.value), "the message repeats what was sent"


@pytest.mark.parametrize("kind", [*KINDS, *OUTCOMES])
@pytest.mark.parametrize(
    ("delay", "said"),
    [
        (-1, "is before its transaction; check its unit and time zone"),
        (-START - 1, "is not between 1970 and 2100"),
        (FAR, "is not between 1970 and 2100; write milliseconds"),
    ],
)
def test_what_became_known_at_an_absurd_time_is_refused(kind: str, delay: int, said: str) -> None:
    which = "known_at" if kind in KINDS else "the outcome's event_time"
    with pytest.raises(EventError, match=f"{which} {said}"):
        check(follow_up(payment(), kind, delay))  # type: ignore[arg-type]


def test_the_edges_are_allowed() -> None:
    for event in (
        payment(amount=0),
        payment(amount=MOST_AMOUNT),
        payment(at=0),
        payment(at=FAR - 1),
        follow_up(payment(), "chargeback", 0),
        follow_up(payment(), "declined", 0),
    ):
        check(event)


def test_a_label_is_sure_by_a_share() -> None:
    made = Label(transaction=payment(), kind="chargeback", known_at=START, confidence=0.0)
    check(made)
    for confidence in (-0.1, 1.1, float("nan")):
        with pytest.raises(EventError, match=r"confidence is not between 0 and 1; write a share"):
            check(msgspec.structs.replace(made, confidence=confidence))


@given(st.sampled_from(sorted(CURRENCIES)))
def test_every_currency_is_known(code: str) -> None:
    check(payment(currency=code))


def test_outcomes_of_one_payment_have_names_of_their_own_and_repeat_under_the_same() -> None:
    paid = payment()
    names = {Outcome(transaction=paid, kind=kind, event_time=START).event_id for kind in OUTCOMES}
    names |= {Label(transaction=paid, kind=kind, known_at=START).event_id for kind in KINDS}
    assert len({*names, paid.event_id}) == len(OUTCOMES) + 2 + 1
    assert follow_up(paid, "declined", 5).event_id == follow_up(paid, "declined", SECOND).event_id
    assert follow_up(paid, "declined", DAY).event_time == START + DAY


def test_the_transaction_of_every_event_is_the_payment() -> None:
    paid: Transaction = payment()
    for event in (paid, follow_up(paid, "captured", 5), follow_up(paid, "confirmed_genuine", 5)):
        assert event.transaction == paid
