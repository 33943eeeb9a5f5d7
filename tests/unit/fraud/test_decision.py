"""Policy, reasons, tokens, rows: what a decision is made of and what is kept of it."""

import math
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.calibration import Calibration, calibrate
from fraud.decision import MOST_REASONS, Decision, decision_row, event_of, explain, label_row, signals
from fraud.events import Label, LabelKind, LabelSource
from fraud.features import STANDARD
from fraud.policy import Policy, Thresholds
from fraud.tokens import Tokeniser
from fraud.windows import DAY
from tests.unit.fraud.strategies import KINDS, START, payment, payments

POLICY = Policy(version="7", thresholds=Thresholds(challenge=0.3, review=0.6, decline=0.85), unscored_limit=5_000)
KEY = b"k" * 32


@pytest.mark.parametrize(
    ("score", "action"),
    [
        (0.0, "approve"),
        (0.3, "challenge"),
        (0.59, "challenge"),
        (0.6, "review"),
        (0.85, "decline"),
        (1.0, "decline"),
    ],
)
def test_a_score_decides_by_thresholds(score: float, action: str) -> None:
    assert POLICY.decide(payment("t", at=START), score) == action


@pytest.mark.parametrize(("amount", "action"), [(5_000, "approve"), (5_001, "review")])
def test_without_a_score_the_amount_decides(amount: int, action: str) -> None:
    assert POLICY.decide(payment("t", at=START, amount=amount), None) == action


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="challenge <= review <= decline"):
        Thresholds(challenge=0.7, review=0.6, decline=0.9)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"challenge": 0.1, "review": 0.2, "decline": 1.2}, Thresholds)


@given(st.floats(0, 1), st.floats(0, 1))
def test_calibration_never_changes_a_ranking_and_never_is_certain(first: float, second: float) -> None:
    platt = Calibration(a=-0.8, b=0.4)
    low, high = sorted((first, second))
    assert 0 < calibrate(low, platt) <= calibrate(high, platt) < 1


def test_reasons_sum_contributions_by_code_and_name_the_weightiest_first() -> None:
    given_ = explain(STANDARD, {"card_count_10m": 0.5, "card_count_24h": 0.5, "amount": -0.8, "hour_of_day": 0.1})
    assert [(reason.code, reason.direction) for reason in given_] == [
        ("CARD_VELOCITY", "raises"),
        ("TIME_OF_DAY", "raises"),
    ]
    assert len(explain(STANDARD, dict.fromkeys(STANDARD.names, 1.0))) == MOST_REASONS
    assert explain(STANDARD, {}) == ()


@given(
    st.dictionaries(st.sampled_from(STANDARD.names), st.floats(-5, 5).filter(lambda weight: abs(weight) > 1e-6))
)
def test_every_reason_pushes_to_the_side_on_which_the_score_is(contributions: dict[str, float]) -> None:
    given_ = explain(STANDARD, contributions)
    total = math.fsum(contributions.values())
    if abs(total) > 1e-6:
        assert given_  # something pushed it there
        assert {each.direction for each in given_} == {"raises" if total > 0 else "lowers"}
    weights: dict[str, float] = {}
    for feature in STANDARD.features:
        code = feature.reason.code
        weights[code] = weights.get(code, 0.0) + contributions.get(feature.name, 0.0)
    sizes = [abs(weights[each.code]) for each in given_]
    assert sizes == sorted(sizes, reverse=True)


def test_only_counts_of_the_merchants_own_payments_are_shown() -> None:
    vector = [float(number) for number in range(len(STANDARD.names))]
    assert signals(STANDARD, vector).keys() == {"card_merchant_count_24h", "customer_count_24h"}
    assert signals(STANDARD, [math.nan] * len(vector)) == {}


def decision() -> Decision:
    return Decision(
        transaction_id="t",
        decision="approve",
        score=0.1,
        reasons=(),
        signals={},
        model=None,
        policy="7",
        degraded=False,
        evaluated_at=START,
    )


@given(
    payments(),
    st.sampled_from(KINDS),
    st.integers(0, 90 * DAY),
    st.sampled_from(get_args(LabelSource)),
    st.floats(0, 1),
)
def test_rows_tell_the_events_they_were_made_of(
    transaction: object, kind: LabelKind, delay: int, source: LabelSource, confidence: float
) -> None:
    made = msgspec.structs.replace(transaction, transaction_id="t9")  # type: ignore[type-var]
    vector = [math.nan, *range(1, len(STANDARD.names))]
    row = decision_row(made, decision(), features=STANDARD, vector=vector, raw_score=0.2, recorded_at=1)
    assert event_of(msgspec.json.decode(msgspec.json.encode(row))) == made
    assert STANDARD.names[0] not in row["features"]
    label = Label(
        transaction=made,
        kind=kind,
        known_at=made.event_time + delay,
        source=source,
        confidence=confidence,
    )
    told = label_row(label, recorded_at=2)
    assert event_of(msgspec.json.decode(msgspec.json.encode(told))) == label
    of_old = Label(transaction=made, kind=kind, known_at=label.known_at)
    assert event_of({**told, "source": None, "confidence": None}) == of_old
    del told["source"], told["confidence"]
    assert event_of(told) == of_old


@pytest.mark.parametrize("name", ["event_time", "amount", "card", "merchant_id"])
def test_a_row_that_lacks_a_field_is_refused_by_name(name: str) -> None:
    row = decision_row(
        payment("t", at=START), decision(), features=STANDARD, vector=[0.0] * len(STANDARD.names), raw_score=None,
        recorded_at=1,
    )  # fmt: skip
    del row[name]
    with pytest.raises(msgspec.ValidationError, match=name):
        event_of(row)


def test_tokens_link_what_is_one_thing_and_nothing_else() -> None:
    raw = payment("t", at=START, card="c", customer="7", email=" A.B@example.com ", device="d", ip="192.0.2.1")
    first = Tokeniser(KEY).apply(raw)
    assert first == Tokeniser(KEY).apply(raw)
    other = Tokeniser(KEY).apply(msgspec.structs.replace(raw, merchant_id="elsewhere", email="a.b@EXAMPLE.com"))
    assert (other.card, other.device, other.ip, other.email) == (first.card, first.device, first.ip, first.email)
    assert other.customer != first.customer, "a customer's id is the merchant's own"
    strange = Tokeniser(b"x" * 32).apply(raw)
    fields = ("card", "customer", "device", "ip", "email")
    assert all(getattr(strange, name) != getattr(first, name) for name in fields)
    assert len({getattr(first, name) for name in fields}) == len(fields)
    absent = Tokeniser(KEY).apply(payment("t", at=START, device=""))
    assert absent.device == ""


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tokeniser(b"short")
