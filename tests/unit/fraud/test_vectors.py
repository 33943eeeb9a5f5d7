"""The engine's vectors against an independent count over the raw events: the proof that replay is right."""

import math
import random

import pytest
from hypothesis import given, settings

from fraud.events import Event, Label
from fraud.features import STANDARD, FeatureSet
from fraud.features.definitions import PAYMENTS, Aggregation, Reason, WindowFeature
from fraud.features.standard import CARD, MERCHANT
from fraud.replay import arrival, replay
from fraud.windows import DAY, HOUR, MINUTE, Window
from tests.unit.fraud import oracle
from tests.unit.fraud.strategies import START, histories, payment, same

WHY = Reason("TEST", "A test")


def _agree(events: list[Event]) -> int:
    engine = list(replay(events))
    expected = list(oracle.vectors(events))
    assert [transaction for transaction, _ in engine] == [transaction for transaction, _ in expected]
    for (transaction, vector), (_, wanted) in zip(engine, expected, strict=True):
        got = dict(zip(STANDARD.names, vector, strict=True))
        assert got.keys() == wanted.keys()
        for name, value in wanted.items():
            exact = value == got[name] or (math.isnan(value) and math.isnan(got[name]))
            close = name in oracle.INEXACT and math.isclose(value, got[name], rel_tol=1e-12)
            assert exact or close, f"{name} of {transaction.event_id}: engine {got[name]!r}, by hand {value!r}"
    return len(engine)


@given(histories())
@settings(max_examples=150)
def test_replay_equals_a_count_by_hand_over_the_raw_events(events: list[Event]) -> None:
    _agree(events)


def test_replay_equals_a_count_by_hand_over_a_long_dense_history() -> None:
    rng = random.Random(7)
    events: list[Event] = []
    for number in range(500):
        transaction = payment(
            f"t{number}",
            at=START + (rng.randrange(60 * DAY) if rng.random() < 0.5 else 30 * DAY + rng.randrange(2 * HOUR)),
            amount=rng.randrange(100_000),
            card=f"card_{rng.randrange(8)}",
            customer=f"cust_{rng.randrange(6)}",
            merchant_id=f"m{rng.randrange(3)}",
            device=f"dev_{rng.randrange(12)}",
        )
        events.append(transaction)
        if rng.random() < 0.4:
            late = rng.randrange(50 * DAY)
            events.append(
                Label(transaction=transaction, kind="chargeback", known_at=transaction.event_time + late)
            )
    assert _agree(sorted(events, key=arrival)) == 500


def test_a_vector_is_the_same_whichever_way_its_states_are_handed_over() -> None:
    transaction = payment("q", at=START + HOUR)
    states: dict = {}
    earlier: list[Event] = [payment(f"t{n}", at=START + n * MINUTE, amount=n) for n in range(30)]
    list(replay(earlier, states=states))
    turned = dict(reversed(states.items()))
    assert same(STANDARD.vector(transaction, states), STANDARD.vector(transaction, turned))


def _of(aggregation: Aggregation, length: str) -> WindowFeature:
    return WindowFeature(CARD, aggregation, PAYMENTS, Window.of(length), WHY, "A test.")


def test_amounts_100_10_20_in_half_an_hour_have_the_maximum_100_and_leave_the_window_again() -> None:
    """The trap: partial aggregates that are cumulated as if they were sums give max = min = 130 for ever."""
    wanted = (Aggregation.COUNT, Aggregation.SUM, Aggregation.MEAN, Aggregation.MAX, Aggregation.ZSCORE)
    features = FeatureSet(*(_of(aggregation, "30m") for aggregation in wanted))
    paid = [payment(f"t{n}", at=START + n * 5 * MINUTE, amount=amount) for n, amount in enumerate((100, 10, 20))]
    inside = payment("inside", at=START + 20 * MINUTE, amount=50)
    after = payment("after", at=START + 2 * HOUR, amount=50)
    states: dict = {}
    list(replay(paid, features, states))
    (state,) = states.values()

    count, total, mean, maximum, zscore = features.vector(inside, states)
    assert (count, total, maximum) == (3.0, 130.0, 100.0)
    assert mean == 130 / 3
    assert zscore == pytest.approx((50 - 130 / 3) / 49.32882862316248)  # sample deviation, not 43.3
    assert min(tile.minimum for tile in state.series[PAYMENTS.slot][MINUTE].values()) == 10

    count, total, mean, maximum, zscore = features.vector(after, states)
    assert (count, total) == (0.0, 0.0)
    assert all(math.isnan(value) for value in (mean, maximum, zscore)), "the window is empty again, with no write"


def test_the_maximum_falls_back_when_only_the_largest_payment_leaves_the_window() -> None:
    features = FeatureSet(_of(Aggregation.MAX, "30m"))
    paid = [payment(f"t{n}", at=START + n * 10 * MINUTE, amount=amount) for n, amount in enumerate((100, 10, 20))]
    states: dict = {}
    list(replay(paid, features, states))
    assert features.vector(payment("q", at=START + 30 * MINUTE), states) == (100.0,)
    assert features.vector(payment("q", at=START + 31 * MINUTE), states) == (20.0,)
    assert (
        features.vector(payment("q", at=START + 51 * MINUTE), states)[0]
        != features.vector(payment("q", at=START + 50 * MINUTE), states)[0]
    ), "the last payment leaves too"


def test_a_payment_never_counts_itself() -> None:
    (_, vector), *_ = replay([payment("only", at=START)])
    named = dict(zip(STANDARD.names, vector, strict=True))
    assert named["card_count_10m"] == 0
    assert math.isnan(named["card_since_last_30d"])


def test_shards_of_a_merchant_are_merged_when_read() -> None:
    assert MERCHANT.shards > 1
    earlier: list[Event] = [payment(f"t{n}", at=START + n, amount=10 * n) for n in range(40)]
    states: dict = {}
    list(replay(earlier, states=states))
    used = {key.shard for key in states if key.entity == "merchant"}
    assert len(used) > 1, "forty payments fall into several shards"
    vector = STANDARD.vector(payment("q", at=START + MINUTE), states)
    named = dict(zip(STANDARD.names, vector, strict=True))
    assert named["merchant_count_1h"] == 40
    assert named["merchant_amount_mean_24h"] == 195


def test_distinct_values_saturate_at_the_capacity_and_never_fall_below_it() -> None:
    earlier: list[Event] = [payment(f"t{n}", at=START + n * 1_000, device=f"dev_{n}") for n in range(100)]
    states: dict = {}
    list(replay(earlier, states=states))
    named = dict(zip(STANDARD.names, STANDARD.vector(payment("q", at=START + HOUR), states), strict=True))
    assert named["card_distinct_device_7d"] == 64


def test_labels_move_only_the_delayed_rate_and_only_once_their_payment_is_old_enough() -> None:
    paid = [payment(f"t{n}", at=START + n * HOUR) for n in range(4)]
    told: list[Event] = [Label(transaction=paid[0], kind="chargeback", known_at=START + 2 * DAY)]
    told += [Label(transaction=paid[1], kind="confirmed_genuine", known_at=START + 2 * DAY)]
    soon = payment("soon", at=START + 3 * DAY)
    later = payment("later", at=START + 9 * DAY)
    vectors = {t.transaction_id: v for t, v in replay(sorted([*paid, *told, soon, later], key=arrival))}
    rate = STANDARD.names.index("merchant_fraud_rate_28d_after_7d")
    assert math.isnan(vectors["soon"][rate]), "nothing is old enough yet"
    assert vectors["later"][rate] == 1 / 4
