import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.events import Event, Label, LabelKind, Outcome, OutcomeKind
from tests.unit.training.synthetic import transactions
from training.engines.events import EventTable, table_of
from training.outcomes import YOUNG, Reports, first_reports, labels_of, never_made, verdicts

FOUND, _ = transactions(2, 5)
PAYMENT = FOUND[0]
NAME = PAYMENT.event_id


def _told(kind: LabelKind, after: int) -> Label:
    return Label(transaction=PAYMENT, kind=kind, known_at=PAYMENT.event_time + after)


def _verdicts(told: list[Label], as_of: int) -> dict[str, bool]:
    return verdicts(table_of(told), as_of).to_dict()


def _events(reports: Reports) -> list[Event]:
    return EventTable.of(reports.events).events(np.arange(reports.events.num_rows))


def test_the_latest_label_wins_whatever_the_order_of_delivery() -> None:
    dispute_won = [_told("confirmed_genuine", 20), _told("chargeback", 10)]
    assert _verdicts(dispute_won, PAYMENT.event_time + 30) == {NAME: False}
    assert _verdicts(dispute_won, PAYMENT.event_time + 15) == {NAME: True}
    for genuine in (5, 10):
        told = [_told("confirmed_genuine", genuine), _told("chargeback", 10)]
        assert _verdicts(told, PAYMENT.event_time + 30) == {NAME: True}


def test_features_learn_of_a_fraud_once_and_at_the_first_report() -> None:
    told = [_told("chargeback", 30), _told("confirmed_fraud", 10), _told("chargeback", 30)]
    reports = first_reports(table_of(told), PAYMENT.event_time + 40)
    assert _events(reports) == [_told("confirmed_fraud", 10)]
    assert reports.duplicates == 1


def test_an_outcome_counts_once_for_each_kind_and_from_its_first_report() -> None:
    def told(kind: OutcomeKind, after: int) -> Outcome:
        return Outcome(transaction=PAYMENT, kind=kind, event_time=PAYMENT.event_time + after)

    reports = first_reports(
        table_of([told("declined", 9), told("captured", 4), told("declined", 3), told("declined", 9)]),
        PAYMENT.event_time + 9,
    )
    assert _events(reports) == [told("captured", 4), told("declined", 3)]
    assert (reports.later, reports.implausible, reports.duplicates) == (0, 0, 1)


def test_a_payment_is_never_made_if_declined_by_whomever_and_nobody_told_that_it_went_on() -> None:
    def told(place: int, kind: OutcomeKind) -> Outcome:
        return Outcome(transaction=FOUND[place], kind=kind, event_time=FOUND[place].event_time + 5)

    names = np.array([each.event_id for each in FOUND], object)
    declined = np.array([True, True, False, False, False])
    outcomes = [
        told(1, "captured"),
        told(2, "declined"),
        told(3, "declined"),
        told(3, "authorised"),
        told(0, "reviewed"),
    ]
    assert never_made(names, declined, table_of(outcomes)).tolist() == [True, False, True, False, False]
    assert never_made(names, declined, table_of([])).tolist() == [True, True, False, False, False]


def test_what_is_too_late_or_too_early_is_counted_and_not_used() -> None:
    told = table_of([_told("chargeback", 31), _told("chargeback", -1)])
    reports = first_reports(told, PAYMENT.event_time + 30)
    assert (reports.events.num_rows, reports.later, reports.implausible) == (0, 1, 1)
    assert verdicts(told, PAYMENT.event_time + 30).empty


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
    assert _verdicts(drawn, as_of) == _verdicts(shuffled, as_of)
    first, second = (first_reports(table_of(each), as_of) for each in (drawn, shuffled))
    assert {(each.event_id, each) for each in _events(first)} == {
        (each.event_id, each) for each in _events(second)
    }
    names = [each.event_id for each in _events(first)]
    assert len(names) == len(set(names))


def test_a_young_row_is_not_genuine_for_want_of_a_label() -> None:
    def label(verdict: bool | None, time: int, keep: bool = False) -> int | None:
        known = verdicts(table_of([_told("chargeback" if verdict else "confirmed_genuine", 1)]), 2**62)
        found, labelled = labels_of(
            known,
            np.array(["another" if verdict is None else NAME], object),
            np.array([time]),
            as_of=1_000,
            maturity=100,
            keep_young_labelled=keep,
        )
        assert labelled.tolist() == [verdict is not None]
        return int(found[0])

    assert (label(None, 900), label(None, 901)) == (0, YOUNG)
    assert (label(True, 900), label(True, 901), label(True, 901, keep=True)) == (1, YOUNG, 1)
    assert (label(False, 900), label(False, 901, keep=True), label(None, 901, keep=True)) == (0, 0, YOUNG)
