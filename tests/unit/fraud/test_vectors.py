"""The engine's vectors against an independent count over the raw events: the proof that replay is right."""

import math

import pytest
from hypothesis import given, settings

from fraud.events import Event, Label, Outcome
from fraud.features import STANDARD, FeatureSet, Key
from fraud.features.definitions import PAYMENTS, Aggregation, Reason, WindowFeature
from fraud.features.standard import CARD, MERCHANT
from fraud.replay import arrival, replay
from fraud.state import State
from fraud.windows import DAY, HOUR, MINUTE, Window
from tests.unit.fraud import oracle
from tests.unit.fraud.strategies import START, histories, payment, same, world

WHY = Reason("TEST", "A test")


def _agree(events: list[Event]) -> int:
    engine = list(replay(events))
    expected = list(oracle.vectors(events, STANDARD.names))
    assert [transaction for transaction, _ in engine] == [transaction for transaction, _ in expected]
    for (transaction, vector), (_, wanted) in zip(engine, expected, strict=True):
        for name, got in zip(STANDARD.names, vector, strict=True):
            value = wanted[name]
            close = oracle.inexact(name) and math.isclose(value, got, rel_tol=1e-12)
            wrong = f"{name} of {transaction.event_id}: engine {got!r}, by hand {value!r}"
            assert close or same([value], [got]), wrong
    return len(engine)


@given(histories())
@settings(max_examples=120)
def test_replay_equals_a_count_by_hand_over_the_raw_events(events: list[Event]) -> None:
    _agree(events)


def test_replay_equals_a_count_by_hand_over_a_long_dense_history() -> None:
    assert _agree(world(7, 300, wide=2)) == 300


def test_a_vector_is_the_same_whichever_way_its_states_are_handed_over() -> None:
    transaction = payment("q", at=START + HOUR)
    states: dict[Key, State] = {}
    earlier: list[Event] = [payment(f"t{n}", at=START + n * MINUTE, amount=n) for n in range(30)]
    list(replay(earlier, states=states))
    turned = dict(reversed(states.items()))
    assert same(STANDARD.vector(transaction, states), STANDARD.vector(transaction, turned))


def _of(aggregation: Aggregation, length: str) -> WindowFeature:
    return WindowFeature(CARD, aggregation, PAYMENTS, Window.of(length), WHY, "A test.")


def test_amounts_100_10_20_in_half_an_hour_have_the_maximum_100_and_leave_the_window_again() -> None:
    """The trap: partial aggregates that are cumulated as if they were sums give max = min = 130 for ever."""
    wanted = (
        Aggregation.COUNT,
        Aggregation.SUM,
        Aggregation.MEAN,
        Aggregation.MIN,
        Aggregation.MAX,
        Aggregation.LAST,
        Aggregation.STD,
        Aggregation.ZSCORE,
    )
    features = FeatureSet(*(_of(aggregation, "30m") for aggregation in wanted))
    paid = [payment(f"t{n}", at=START + n * 5 * MINUTE, amount=amount) for n, amount in enumerate((100, 10, 20))]
    inside = payment("inside", at=START + 20 * MINUTE, amount=50)
    after = payment("after", at=START + 2 * HOUR, amount=50)
    states: dict[Key, State] = {}
    list(replay(paid, features, states))

    count, total, mean, minimum, maximum, last, std, zscore = features.vector(inside, states)
    assert (count, total, minimum, maximum, last) == (3.0, 130.0, 10.0, 100.0, 20.0)
    assert mean == 130 / 3
    assert std == pytest.approx(49.32882862316248)  # of the sample, not 43.3
    assert zscore == pytest.approx((50 - 130 / 3) / 49.32882862316248)

    count, total, *rest = features.vector(after, states)
    assert (count, total) == (0.0, 0.0)
    assert all(math.isnan(value) for value in rest), "the window is empty again, with no write"


def test_the_maximum_falls_back_when_only_the_largest_payment_leaves_the_window() -> None:
    features = FeatureSet(_of(Aggregation.MAX, "30m"))
    paid = [payment(f"t{n}", at=START + n * 10 * MINUTE, amount=amount) for n, amount in enumerate((100, 10, 20))]
    states: dict[Key, State] = {}
    list(replay(paid, features, states))
    assert features.vector(payment("q", at=START + 30 * MINUTE), states) == (100.0,)
    assert features.vector(payment("q", at=START + 31 * MINUTE), states) == (20.0,)
    assert features.vector(payment("q", at=START + 50 * MINUTE), states) == (20.0,)
    assert math.isnan(features.vector(payment("q", at=START + 51 * MINUTE), states)[0]), "the last leaves too"


def test_of_payments_at_one_instant_the_largest_is_the_latest() -> None:
    features = FeatureSet(_of(Aggregation.LAST, "30m"))
    for amounts in ((5, 9, 7), (9, 7, 5), (5, 7, 9)):
        states: dict[Key, State] = {}
        list(replay([payment(f"t{n}", amount=amount) for n, amount in enumerate(amounts)], features, states))
        assert features.vector(payment("q", at=START + MINUTE), states) == (9.0,)


def test_a_payment_never_counts_itself() -> None:
    (_, vector), *_ = replay([payment("only", at=START, device="d")])
    named = dict(zip(STANDARD.names, vector, strict=True))
    assert named["card_count_10m"] == named["card_distinct_device_7d"] == 0
    assert math.isnan(named["card_since_last_30d"])


def test_with_itself_a_payment_is_the_last_of_its_window() -> None:
    features = FeatureSet(
        *(
            WindowFeature(CARD, each, PAYMENTS, Window.of("1h"), WHY, "A test.", include_current=True)
            for each in (Aggregation.COUNT, Aggregation.SUM, Aggregation.MIN, Aggregation.LAST)
        )
    )
    assert features.names[0] == "card_count_1h_with_current"
    found = [
        vector for _, vector in replay([payment("a", amount=30), payment("b", at=START + 1, amount=20)], features)
    ]
    assert found == [(1.0, 30.0, 30.0, 30.0), (2.0, 50.0, 20.0, 20.0)]


def test_shards_of_a_merchant_are_merged_when_read() -> None:
    assert MERCHANT.shards > 1
    earlier: list[Event] = [payment(f"t{n}", at=START + n, amount=10 * n) for n in range(40)]
    states: dict[Key, State] = {}
    list(replay(earlier, states=states))
    used = {key.shard for key in states if key.entity == "merchant"}
    assert len(used) > 1, "forty payments fall into several shards"
    vector = STANDARD.vector(payment("q", at=START + MINUTE), states)
    named = dict(zip(STANDARD.names, vector, strict=True))
    assert named["merchant_count_1h"] == 40
    assert named["merchant_amount_mean_24h"] == 195


def test_distinct_values_saturate_at_the_capacity_and_never_fall_below_it() -> None:
    earlier: list[Event] = [payment(f"t{n}", at=START + n * 1_000, device=f"dev_{n}") for n in range(100)]
    states: dict[Key, State] = {}
    list(replay(earlier, states=states))
    named = dict(zip(STANDARD.names, STANDARD.vector(payment("q", at=START + HOUR), states), strict=True))
    assert named["card_distinct_device_7d"] == 64


def test_labels_move_only_the_delayed_rates_and_only_once_their_payment_is_old_enough() -> None:
    paid = [payment(f"t{n}", at=START + n * HOUR) for n in range(4)]
    told: list[Event] = [Label(transaction=paid[0], kind="chargeback", known_at=START + 2 * DAY)]
    told += [Label(transaction=paid[1], kind="confirmed_genuine", known_at=START + 2 * DAY)]
    soon, later = payment("soon", at=START + 3 * DAY), payment("later", at=START + 9 * DAY)
    without, moved = (
        {t.transaction_id: v for t, v in replay(sorted([*paid, *labels, soon, later], key=arrival))}
        for labels in ([], told)
    )
    rate = STANDARD.names.index("merchant_fraud_rate_28d_after_7d")
    assert math.isnan(moved["soon"][rate]), "nothing is old enough yet"
    assert (without["later"][rate], moved["later"][rate]) == (0.0, 1 / 4)
    assert same(without["soon"], moved["soon"])
    differing = {
        name
        for name, before, after in zip(STANDARD.names, without["later"], moved["later"], strict=True)
        if not same([before], [after])
    }
    assert differing
    assert all("_fraud_rate_" in name for name in differing)


def test_an_outcome_counts_from_the_moment_it_came() -> None:
    paid = payment("t0", at=START)
    refused = Outcome(transaction=paid, kind="declined", event_time=START + 2 * HOUR)
    asked = [payment(f"q{n}", at=START + int(hours * HOUR)) for n, hours in enumerate((1, 2.5, 4))]
    events = sorted([paid, refused, *asked], key=arrival)
    column = STANDARD.names.index("card_declined_count_1h")
    counts = [vector[column] for transaction, vector in replay(events) if transaction.transaction_id != "t0"]
    assert counts == [0.0, 1.0, 0.0], "before it came; within an hour of it; an hour after"
