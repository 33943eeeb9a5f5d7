"""The comparison itself, on worlds in which it is known what serving did not see."""

import re
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from fraud.events import Label, Outcome, Transaction
from fraud.features import STANDARD
from fraud.release import GatePolicy
from tests.unit.training.synthetic import (
    DAY,
    HOUR,
    START,
    compared_world,
    transactions,
    write_decisions,
    write_history,
    write_labels,
    write_outcomes,
)
from training.consistency import compare, read_report, report_consistency, write_report
from training.consistency_figures import ENOUGH, Consistency, FeatureConsistency
from training.consistency_report import render
from training.contract import Contract, ProgramError
from training.lake import Decisions
from training.sources import Payments

FOUND, FRAUDS = transactions(7, 160, days=20)
AS_OF = START + 30 * DAY
CARD = STANDARD.names.index("card_count_24h")
FIRST = STANDARD.names.index("card_since_first_90d")
AMOUNT = STANDARD.names.index("amount")


def _world(**changes: object) -> tuple[Payments, Decisions, npt.NDArray[np.float64]]:
    return compared_world(FOUND, **changes)


def _compare(payments: Payments, decisions: Decisions, corrected: npt.NDArray[np.float64]) -> Consistency:
    return compare(payments, decisions, corrected, STANDARD, as_of=AS_OF)


def _of(report: Consistency, column: int) -> FeatureConsistency:
    return report.features[column]


def test_what_is_the_same_to_the_last_bit_is_exact() -> None:
    payments, decisions, corrected = _world()
    assert np.isnan(corrected).any()
    report = _compare(payments, decisions, corrected)
    assert (report.rows, report.identical, report.left_out) == (len(FOUND), len(FOUND), {})
    assert all(each.exact == len(FOUND) and not each.differing for each in report.features)
    assert report.worst() is None
    assert not any(report.staleness)
    assert sum(day.rows for day in report.days) == len(FOUND)


def test_each_kind_of_difference_is_counted_apart() -> None:
    payments, decisions, corrected = _world()
    first_seen = np.flatnonzero(np.isnan(corrected[:, FIRST]))
    seen_before = np.flatnonzero(~np.isnan(corrected[:, FIRST]))
    decisions.vectors[first_seen[:3], FIRST] = 1.0
    decisions.vectors[seen_before[:4], FIRST] = np.nan
    decisions.vectors[seen_before[4:9], FIRST] += [1.0, 2.5, 1.0, 1.0, 1.0]
    decisions.vectors[seen_before[0], AMOUNT] = np.nextafter(decisions.vectors[seen_before[0], AMOUNT], np.inf)
    report = _compare(payments, decisions, corrected)
    found = _of(report, FIRST)
    assert (found.mismatched, found.missing, found.extra, found.exact) == (5, 4, 3, len(FOUND) - 12)
    assert found.largest_difference == 2.5
    assert found.share == 12 / len(FOUND)
    assert (_of(report, AMOUNT).mismatched, _of(report, AMOUNT).median_staleness) == (1, None)
    assert report.identical == len(FOUND) - 12
    assert report.worst() == found
    assert report.worst(["amount", "hour_of_day"]) == _of(report, AMOUNT)
    assert report.worst(["hour_of_day"]) is None
    assert sum(day.differing for day in report.days) == 12


def test_a_zero_with_another_sign_is_another_number() -> None:
    payments, decisions, corrected = _world()
    row = int(np.flatnonzero(corrected[:, CARD] == 0)[0])
    decisions.vectors[row, CARD] = -0.0
    assert _of(_compare(payments, decisions, corrected), CARD).mismatched == 1


def test_staleness_is_the_age_of_the_youngest_earlier_event_of_the_key() -> None:
    payments, decisions, corrected = _world()
    ages = []
    for row, payment in enumerate(FOUND):
        earlier = [each.event_time for each in FOUND[:row] if each.card == payment.card]
        if earlier and len(ages) < 5:
            ages.append(payment.event_time - earlier[-1])
            decisions.vectors[row, CARD] += 1.0
    report = _compare(payments, decisions, corrected)
    assert _of(report, CARD).mismatched == 5
    assert _of(report, CARD).median_staleness == float(np.median(ages))
    assert sum(report.staleness) == 5
    assert report.staleness[-1] == 0
    assert _of(report, CARD).lagging == 0


def test_a_difference_next_to_a_young_event_may_be_a_lag() -> None:
    repeated = [
        msgspec.structs.replace(
            each, transaction_id=f"again-{row}", event_time=each.event_time + 59_000 + row * 500
        )
        for row, each in enumerate(FOUND[:5])
    ]
    payments, decisions, corrected = compared_world([*FOUND, *repeated])
    decisions.vectors[len(FOUND) :, CARD] -= 1.0
    report = _compare(payments, decisions, corrected)
    found = _of(report, CARD)
    assert (found.mismatched, found.lagging, found.settled_mismatches) == (5, 2, 3)
    # Two payments are settled by nothing: they come within a minute after one with the same card.
    assert found.settled == len(FOUND) + 3
    assert _of(report, AMOUNT).settled == len(FOUND) + 5


def test_rows_are_settled_where_serving_had_time_to_see_all_there_was() -> None:
    """Without a key there is nothing to be late for, however close the payments are."""
    first = msgspec.structs.replace(FOUND[0], device="")
    again = [
        msgspec.structs.replace(first, transaction_id=f"again-{row}", event_time=first.event_time + row * 1_000)
        for row in range(1, 61)
    ]
    # An hour after the last of them and alone: only this one can neither lag nor have been overtaken.
    alone = msgspec.structs.replace(first, transaction_id="alone", event_time=first.event_time + 3_660_000)
    report = _compare(*compared_world([first, *again, alone]))
    settled = {each.entity: each.settled for each in report.features}
    assert (settled["card"], settled["device"], settled[""]) == (1, 62, 62)
    few = [
        each for each in report.features if each.entity not in ("device", "device_card", "ip", "email", "bin", "")
    ]
    assert report.unjudged() == len(few) > 0
    assert report.unjudged(["amount"]) == 0


def test_a_feature_with_few_settled_rows_is_not_judged_by_them() -> None:
    payments, decisions, corrected = compared_world(FOUND[:ENOUGH])
    decisions.vectors[:, CARD] += 1.0
    judged = _compare(payments, decisions, corrected)
    assert judged.worst_settled() == _of(judged, CARD)
    assert "no lag explains it, card_count_24h differs most often, in 100.00% of 50" in judged.sentence
    payments, decisions, corrected = compared_world(FOUND[: ENOUGH - 1])
    decisions.vectors[:, CARD] += 1.0
    small = _compare(payments, decisions, corrected)
    assert small.worst_settled() is None
    assert small.worst() == _of(small, CARD)
    assert "have fewer than 50 decisions without a lag to judge them by" in small.sentence
    assert "are judged by their lag alone" in render(small, GatePolicy())


def test_a_key_without_an_earlier_event_has_no_staleness() -> None:
    payments, decisions, corrected = _world()
    decisions.vectors[0, CARD] = 9.0
    report = _compare(payments, decisions, corrected)
    assert _of(report, CARD).median_staleness is None
    assert report.staleness[-1] == 1


def test_only_whole_vectors_of_todays_features_are_compared_and_the_others_are_counted() -> None:
    names = np.full(len(FOUND), STANDARD.version, object)
    names[:5] = "older"
    degraded = np.zeros(len(FOUND), np.bool_)
    degraded[4:7] = True
    filled = np.ones(len(FOUND), np.bool_)
    filled[10] = False
    payments, decisions, corrected = _world(feature_sets=names, degraded=degraded, has_vector=filled)
    report = _compare(payments, decisions, corrected)
    assert report.left_out == {
        "decision_degraded": 3,
        "decision_of_another_feature_set": 4,
        "decision_without_vector": 1,
    }
    assert report.rows == report.identical == len(FOUND) - 8
    page = render(report, GatePolicy())
    assert "3 were answered without state or without a model" in page
    assert "4 were served with another feature set" in page


def test_the_report_is_written_and_read_back(tmp_path: Path) -> None:
    payments, decisions, corrected = _world()
    decisions.vectors[3, CARD] += 1.0
    report = _compare(payments, decisions, corrected)
    assert read_report(tmp_path) is None
    write_report(tmp_path, report)
    assert read_report(tmp_path) == report
    (tmp_path / "consistency.json").write_text("{}")
    with pytest.raises(ProgramError, match=r"consistency\.json is not usable .*build the dataset again"):
        read_report(tmp_path)


@pytest.mark.parametrize(
    ("differing", "title"),
    [
        (0, "Serving saw exactly"),
        (1, "Serving saw almost everything"),
        (40, "Serving saw something else"),
    ],
)
def test_the_page_says_how_it_stands_and_fetches_nothing(differing: int, title: str) -> None:
    payments, decisions, corrected = _world()
    decisions.vectors[:differing, AMOUNT] += 1.0
    page = render(_compare(payments, decisions, corrected), GatePolicy())
    assert f"<h1>{title}" in page
    for bound in ("bound of 1%", "bound of 75%"):
        assert (bound in page) == bool(differing)
    assert not re.search(r"(src|href)=|https?:|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page


def test_a_lake_without_decisions_has_a_report_that_says_so(tmp_path: Path) -> None:
    write_history(tmp_path, FOUND, [])
    folder = report_consistency(Contract(tmp_path), AS_OF)
    report = read_report(folder)
    assert report is not None
    assert (report.rows, report.window, report.worst()) == (0, None, None)
    assert "No decisions to compare yet" in (folder / "consistency.html").read_text()


def test_what_became_known_after_the_moment_has_no_part_in_the_report(tmp_path: Path) -> None:
    as_of = START + 12 * DAY
    payment = FOUND[0]
    early = [each for each in FOUND if each.event_time <= as_of]
    write_decisions(tmp_path / "a", early, [{"amount": float(each.amount)} for each in early])
    write_decisions(tmp_path / "b", FOUND, [{"amount": float(each.amount)} for each in FOUND])
    write_labels(tmp_path / "b", [Label(transaction=payment, kind="chargeback", known_at=as_of + 1)])
    write_outcomes(tmp_path / "b", [Outcome(transaction=payment, kind="declined", event_time=as_of + 1)])
    first, second = (read_report(report_consistency(Contract(tmp_path / each), as_of)) for each in "ab")
    assert first is not None
    assert second is not None
    assert second.left_out == {"decision_after_as_of": len(FOUND) - len(early)}
    assert first.features == second.features


def test_outcomes_and_labels_count_from_when_they_were_known(tmp_path: Path) -> None:
    """A decline half an hour before a payment, and one just after it: only the first should have been seen."""
    payment = FOUND[50]
    later = Transaction(
        transaction_id="later",
        merchant_id="merchant-new",
        event_time=payment.event_time + 2 * HOUR,
        amount=100,
        currency="EUR",
        card=payment.card,
        customer="somebody",
    )
    found = [*FOUND, later]
    write_decisions(tmp_path, found, [{"amount": float(each.amount)} for each in found])
    told = [
        Outcome(transaction=payment, kind="declined", event_time=later.event_time - HOUR // 2),
        Outcome(transaction=later, kind="declined", event_time=later.event_time + 1),
    ]
    write_outcomes(tmp_path, told)
    report = read_report(report_consistency(Contract(tmp_path), AS_OF))
    assert report is not None
    declined = next(each for each in report.features if each.name == "card_declined_count_1h")
    # Served without any number here, so every row in which it is due is one that is missing.
    assert declined.missing == len(found)
    rate = next(each for each in report.features if each.name == "card_declined_rate_24h")
    seen = [
        each
        for each in found
        if each.card == payment.card and told[0].event_time < each.event_time <= told[0].event_time + DAY
    ]
    assert later in seen
    assert rate.missing == len(seen)
