from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.events import Label, LabelKind
from tests.unit.training.synthetic import transactions
from training.outcomes import known_by, label_of

FOUND, _ = transactions(2, 5)
PAYMENT = FOUND[0]
NAME = PAYMENT.event_id


def _told(kind: LabelKind, after: int) -> Label:
    return Label(transaction=PAYMENT, kind=kind, known_at=PAYMENT.event_time + after)


def test_the_latest_label_wins_whatever_the_order_of_delivery() -> None:
    dispute_won = [_told("confirmed_genuine", 20), _told("chargeback", 10)]
    assert known_by(dispute_won, PAYMENT.event_time + 30).verdicts == {NAME: False}
    assert known_by(dispute_won, PAYMENT.event_time + 15).verdicts == {NAME: True}
    assert known_by(
        [_told("confirmed_genuine", 5), _told("chargeback", 10)], PAYMENT.event_time + 30
    ).verdicts == {NAME: True}
    assert known_by(
        [_told("confirmed_genuine", 10), _told("chargeback", 10)], PAYMENT.event_time + 30
    ).verdicts == {NAME: True}


def test_features_learn_of_a_fraud_once_and_at_the_first_report() -> None:
    known = known_by(
        [_told("chargeback", 30), _told("confirmed_fraud", 10), _told("chargeback", 30)], PAYMENT.event_time + 40
    )
    assert [event.known_at - PAYMENT.event_time for event in known.events] == [10]
    assert known.duplicates == 1


def test_what_is_too_late_or_too_early_is_counted_and_not_used() -> None:
    known = known_by([_told("chargeback", 31), _told("chargeback", -1)], PAYMENT.event_time + 30)
    assert (known.verdicts, known.events, known.later, known.implausible) == ({}, [], 1, 1)


told = st.builds(
    Label,
    transaction=st.sampled_from(FOUND),
    kind=st.sampled_from(("chargeback", "confirmed_fraud", "confirmed_genuine")),
    known_at=st.integers(FOUND[0].event_time, FOUND[-1].event_time + 100),
)


@settings(deadline=None)
@given(st.lists(told, max_size=12), st.randoms(use_true_random=False))
def test_order_and_repetition_of_deliveries_change_nothing(drawn: list[Label], random: object) -> None:
    as_of = FOUND[-1].event_time + 50
    shuffled = [*drawn, *drawn]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = known_by(drawn, as_of), known_by(shuffled, as_of)
    assert first.verdicts == second.verdicts
    assert {(each.event_id, each.known_at) for each in first.events} == {
        (each.event_id, each.known_at) for each in second.events
    }


def test_a_young_row_is_not_genuine_for_want_of_a_label() -> None:
    def label(verdict: bool | None, time: int, keep: bool = False) -> int | None:
        return label_of(verdict, time, as_of=1_000, maturity=100, keep_young_labelled=keep)

    assert (label(None, 900), label(None, 901)) == (0, None)
    assert (label(True, 900), label(True, 901), label(True, 901, keep=True)) == (1, None, 1)
    assert (label(False, 900), label(False, 901, keep=True), label(None, 901, keep=True)) == (0, 0, None)
