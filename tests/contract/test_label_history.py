"""What becomes of a payment's verdict in the ledger: every change is kept, no repeat is."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.decision import event_of, label_row
from fraud.events import Label
from lambdas.record_label.recording import ATTEMPTS, MOST_LINES, record
from runtime.http import Problem, Request
from runtime.stores.decisions import DECISION, DecisionStore, DynamoDecisionStore, MemoryDecisionStore, Record
from tests.unit.lambdas.reported import PAID, PAYMENT, decided

DAY = 86_400_000
NOW = PAID + 100 * DAY


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest) -> DecisionStore:
    made = decided()
    if request.param == "memory":
        return made
    store = DynamoDecisionStore(request.getfixturevalue("dynamodb"), "decisions")
    store.put(made.records[PAYMENT.event_id, DECISION])
    return store


def report(
    ledger: DecisionStore, label: str, day: float | None = None, *, received_at: int = NOW, **more: Any
) -> str:
    """Record what became known `day` days after the payment; without a day, at its receipt."""
    given_ = {"transaction_id": PAYMENT.transaction_id, "label": label, **more}
    if day is not None:
        given_["known_at"] = datetime.fromtimestamp((PAID + round(day * DAY)) / 1_000, UTC).isoformat()
    request = Request(merchant_id="acme", request_id="r", body=msgspec.json.encode(given_), headers={}, path={})
    return record(request, store=ledger, received_at=received_at, recorded_at=received_at + 3)


def kept(ledger: DecisionStore) -> dict[str, Label]:
    """The labels of the payment, by the kinds of their lines."""
    found = {}
    for line in ledger.all(PAYMENT.event_id):
        if line.kind != DECISION:
            event = event_of(msgspec.json.decode(line.row))
            assert isinstance(event, Label)
            found[line.kind] = event
    return found


def told(ledger: DecisionStore) -> list[tuple[str, float]]:
    """What the lines say, and on which day it became known, in the order of their numbers."""
    return [(each.kind, (each.known_at - PAID) / DAY) for each in kept(ledger).values()]


def verdict(labels: list[Label]) -> bool:
    """As training has it: the latest counts, and fraud at a tie."""
    return max(labels, key=lambda each: (each.known_at, each.is_fraud)).is_fraud


def test_a_verdict_that_changes_back_is_kept_as_a_third_line(ledger: DecisionStore) -> None:
    sent = [("confirmed_fraud", 1), ("confirmed_genuine", 20), ("chargeback", 40)]
    answers = [report(ledger, *each) for each in sent]
    assert list(kept(ledger)) == ["label#0001", "label#0002", "label#0003"]
    assert told(ledger) == sent
    # Each of them again, in any order, is the answer that it had, and no line.
    for place in (2, 0, 1, 0, 2):
        assert report(ledger, *sent[place]) == answers[place]
    assert told(ledger) == sent


def test_without_a_time_a_report_tells_of_now(ledger: DecisionStore) -> None:
    first = report(ledger, "confirmed_fraud", received_at=PAID + DAY)
    assert report(ledger, "confirmed_fraud", received_at=PAID + 2 * DAY) == first
    report(ledger, "confirmed_genuine", received_at=PAID + 3 * DAY)
    report(ledger, "confirmed_fraud", received_at=PAID + 4 * DAY)
    assert told(ledger) == [("confirmed_fraud", 1), ("confirmed_genuine", 3), ("confirmed_fraud", 4)]


def test_the_same_verdict_of_one_source_is_said_once(ledger: DecisionStore) -> None:
    first = report(ledger, "confirmed_fraud", 1)
    assert report(ledger, "chargeback", 2) == first
    assert report(ledger, "confirmed_fraud", 3, confidence=0.5) == first
    assert told(ledger) == [("confirmed_fraud", 1)]


def test_another_source_and_more_confidence_are_news(ledger: DecisionStore) -> None:
    report(ledger, "confirmed_fraud", 1, source="alert", confidence=0.3)
    surer = report(ledger, "confirmed_fraud", 2, source="alert", confidence=0.9)
    report(ledger, "chargeback", 30, source="issuer")
    assert report(ledger, "confirmed_fraud", 31, source="alert", confidence=0.8) == surer
    found = [(each.source, each.confidence) for each in kept(ledger).values()]
    assert found == [("alert", 0.3), ("alert", 0.9), ("issuer", 1.0)]


def test_what_was_known_before_is_news_too(ledger: DecisionStore) -> None:
    report(ledger, "chargeback", 30)
    report(ledger, "confirmed_fraud", 10)
    report(ledger, "confirmed_genuine", 20)
    assert told(ledger) == [("chargeback", 30), ("confirmed_fraud", 10), ("confirmed_genuine", 20)]
    assert verdict(list(kept(ledger).values())) is True


def test_of_one_moment_both_verdicts_are_kept_and_each_is_repeated(ledger: DecisionStore) -> None:
    sent = [("chargeback", 5), ("confirmed_genuine", 5)]
    answers = [report(ledger, *each) for each in sent]
    assert [report(ledger, *each) for each in sent] == answers
    assert told(ledger) == sent


def test_lines_from_before_they_were_numbered_count_and_stay(ledger: DecisionStore) -> None:
    labels = {
        "label#fraud": Label(transaction=PAYMENT, kind="chargeback", known_at=PAID + DAY),
        "label#genuine": Label(transaction=PAYMENT, kind="confirmed_genuine", known_at=PAID + 2 * DAY),
    }
    for kind, label in labels.items():
        row = label_row(label, NOW)
        del row["source"], row["confidence"]
        answer = json.dumps({"transaction_id": "order-1001", "label": label.kind, "known_at": kind})
        ledger.put(Record(PAYMENT.event_id, kind, "0" * 64, answer, json.dumps(row)))
    assert json.loads(report(ledger, "chargeback", 1))["known_at"] == "label#fraud"
    assert json.loads(report(ledger, "confirmed_genuine", 9))["known_at"] == "label#genuine"
    report(ledger, "confirmed_fraud", 10)
    assert set(kept(ledger)) == {*labels, "label#0001"}
    assert verdict(list(kept(ledger).values())) is True


def test_reports_at_once_are_each_kept_once(ledger: DecisionStore) -> None:
    sources = ("merchant", "issuer", "acquirer", "analyst")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda source: report(ledger, "chargeback", 5, source=source), sources * 3))
    assert {json.loads(each)["source"] for each in answers} == set(sources)
    assert len(set(answers)) == len(sources)
    assert list(kept(ledger)) == [f"label#{number:04}" for number in range(1, len(sources) + 1)]


def test_a_verdict_that_keeps_changing_is_refused_in_the_end() -> None:
    ledger = decided()
    for number in range(MOST_LINES):
        report(ledger, ("chargeback", "confirmed_genuine")[number % 2], number)
    with pytest.raises(Problem) as refused:
        report(ledger, "chargeback", 99)
    assert (refused.value.status, refused.value.body["type"]) == (409, "/problems/too-many-labels")
    assert len(kept(ledger)) == MOST_LINES
    # What is on record is answered as ever.
    assert json.loads(report(ledger, "chargeback", 0))["label"] == "chargeback"


class Crowded(MemoryDecisionStore):
    """Somebody else always has the number already."""

    puts = 0

    def put(self, record: Record) -> Record | None:
        if record.kind == DECISION:
            return super().put(record)
        self.puts += 1
        return record


def test_who_never_gets_a_number_shall_come_again() -> None:
    ledger = Crowded()
    ledger.put(decided().records[PAYMENT.event_id, DECISION])
    with pytest.raises(Problem) as refused:
        report(ledger, "chargeback", 1)
    assert (refused.value.status, ledger.puts) == (503, ATTEMPTS)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["chargeback", "confirmed_fraud", "confirmed_genuine"]),
            st.integers(0, 6),
            st.sampled_from(["merchant", "issuer"]),
            st.sampled_from([0.5, 1.0]),
        ),
        max_size=12,
    )
)
def test_what_holds_at_any_time_is_what_was_said_last_up_to_then(
    sent: list[tuple[str, int, str, float]],
) -> None:
    """Where reports come in the order in which they became known."""
    ledger = decided()
    ordered = sorted(sent, key=lambda each: (each[1], each[0] != "confirmed_genuine"))
    for label, day, source, confidence in ordered:
        report(ledger, label, day, source=source, confidence=confidence)
    labels = list(kept(ledger).values())
    assert len({(each.event_id, each.known_at, each.source, each.confidence) for each in labels}) == len(labels)
    for day in range(7):
        said = [each for each in ordered if each[1] <= day]
        lines = [each for each in labels if each.known_at <= PAID + day * DAY]
        assert bool(said) == bool(lines)
        if said:
            assert verdict(lines) is (said[-1][0] != "confirmed_genuine")
    before = dict(ledger.records)
    for label, day, source, confidence in ordered:
        report(ledger, label, day, source=source, confidence=confidence)
    assert ledger.records == before
