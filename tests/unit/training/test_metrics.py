import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from fraud.policy import Costs, Policy, Thresholds
from tests.unit.training.synthetic import transactions
from training.bootstrap import Interval, draws, interval, share_above
from training.card_precision import CardDays, card_precision_at_k
from training.curves import curves
from training.folds import DAY_MS, weekly
from training.metrics import RankedScores, figures_of, summarise
from training.money import ACTIONS, Ledger, actions_of

POLICIES = [
    Policy(version="c", costs=Costs()),
    Policy(version="t", thresholds=Thresholds(challenge=0.2, review=0.4, decline=0.8)),
    Policy(version="b", costs=Costs(), most_declined=0.1, most_reviewed=0.1),
]

# Few distinct scores, so that ties are the rule.
rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(0, 4)), min_size=2, max_size=60)


@settings(deadline=None)
@given(rows)
def test_average_precision_is_that_of_scikit_learn_with_ties_and_weights(
    drawn: list[tuple[int, int, int]],
) -> None:
    labels = np.array([row[0] for row in drawn], dtype=np.int8)
    scores = np.array([row[1] / 12 for row in drawn])
    weights = np.array([row[2] for row in drawn], dtype=np.float64)
    ranked = RankedScores(labels, scores)
    if labels.any():
        assert ranked.average_precision() == pytest.approx(sk.average_precision_score(labels, scores))
    else:
        assert np.isnan(ranked.average_precision())
    kept = weights > 0
    if labels[kept].any():
        expected = sk.average_precision_score(labels[kept], scores[kept], sample_weight=weights[kept])
        assert ranked.average_precision(weights) == pytest.approx(expected)
    else:
        assert np.isnan(ranked.average_precision(weights))


@settings(deadline=None)
@given(rows, st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]))
def test_recall_at_a_false_positive_rate_by_trying_every_threshold(
    drawn: list[tuple[int, int, int]], rate: float
) -> None:
    labels = np.array([row[0] for row in drawn], dtype=np.int8)
    scores = np.array([row[1] / 12 for row in drawn])
    found = RankedScores(labels, scores).under().recall_at_false_positive_rate(rate)
    if not 0 < labels.sum() < len(labels):
        assert np.isnan(found)
        return
    best = 0.0
    for threshold in {*scores.tolist(), 2.0}:
        flagged = scores >= threshold
        if flagged[labels == 0].mean() <= rate:
            best = max(best, float(flagged[labels == 1].mean()))
    assert found == pytest.approx(best)


def test_calibration_error_by_hand() -> None:
    scores = np.array([0.1, 0.1, 0.8, 0.8])
    labels = np.array([0, 1, 1, 1], dtype=np.int8)
    # |0.1 - 0.5| on one half of the rows, |0.8 - 1.0| on the other.
    assert RankedScores(labels, scores).under().calibration_error(bins=2) == pytest.approx(0.3)


def test_card_precision_by_hand() -> None:
    day = 86_400_000
    cards = np.array([0, 0, 1, 2, 0, 1], dtype=np.int64)
    times = np.array([0, 1, 2, 3, day, day + 1], dtype=np.int64)
    scores = np.array([0.1, 0.9, 0.5, 0.2, 0.3, 0.4])
    labels = np.array([1, 0, 0, 1, 1, 0], dtype=np.int8)
    # Day one: cards 0 (fraud) and 1 look worst; day two has fewer cards than three only for k = 3.
    assert card_precision_at_k(labels, scores, cards, times, k=2) == pytest.approx((0.5 + 0.5) / 2)
    assert card_precision_at_k(labels, scores, cards, times, k=3) == pytest.approx(2 / 3)
    assert np.isnan(card_precision_at_k(labels, scores, cards, times, k=4))


def test_a_summary_says_none_where_one_class_cannot_tell() -> None:
    labels, scores = np.zeros(5, dtype=np.int8), np.linspace(0.1, 0.5, 5)
    numbers = np.arange(5, dtype=np.int64)
    figures = summarise(labels, scores, numbers, numbers)
    assert figures["auc"] is None
    assert figures["average_precision"] is None
    assert figures["brier"] == pytest.approx(float(np.mean(scores**2)))


def _noisy_pair(cards: int) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(3)
    owner = generator.integers(0, cards, 4_000)
    labels = (generator.uniform(size=4_000) < 0.05).astype(np.int8)
    good = np.clip(labels * 0.5 + generator.normal(0.2, 0.2, 4_000), 0, 1)
    return labels, good, generator.uniform(size=4_000), owner


def _reach(labels: np.ndarray, first: np.ndarray, second: np.ndarray, owner: np.ndarray, count: int) -> Interval:
    ranked = RankedScores(labels, first), RankedScores(labels, second)
    found = [
        ranked[0].average_precision(each.rows) - ranked[1].average_precision(each.rows)
        for each in draws(owner, resamples=count, seed=1)
    ]
    reach = interval(np.array(found))
    assert reach is not None
    return reach


def test_the_interval_finds_a_clear_difference_and_no_difference() -> None:
    labels, good, random, owner = _noisy_pair(400)
    clear = _reach(labels, good, random, owner, 100)
    assert 0.2 < clear.low < clear.high
    same = _reach(labels, good, good, owner, 20)
    assert (same.low, same.high) == (0.0, 0.0)
    assert clear == _reach(labels, good, random, owner, 100)


def test_the_interval_is_wider_when_few_cards_hold_the_frauds() -> None:
    labels, good, random, owner = _noisy_pair(4_000)
    grouped = owner.copy()
    grouped[labels == 1] = grouped[labels == 1] % 6
    many, few = (_reach(labels, good, random, each, 150) for each in (owner, grouped))
    assert few.high - few.low > 1.2 * (many.high - many.low)


def test_nothing_that_can_be_told_gives_no_interval() -> None:
    assert interval(np.array([np.nan, np.nan])) is None
    assert np.isnan(share_above(np.array([np.nan])))
    assert share_above(np.array([-1.0, 0.0, 1.0, 2.0, np.nan])) == 0.5


@settings(deadline=None)
@given(rows, st.sampled_from([0.0, 0.01, 0.1, 0.5]))
def test_a_weight_of_n_is_the_row_n_times(drawn: list[tuple[int, int, int]], rate: float) -> None:
    labels, scores, counts = (np.array(each) for each in zip(*drawn, strict=True))
    labels, scores = labels.astype(np.int8), scores / 12
    amounts = np.arange(1, len(labels) + 1, dtype=np.int64)
    if not counts.any():
        return
    weighted = RankedScores(labels, scores, amounts).under(counts.astype(np.float64))
    repeated = RankedScores(*(np.repeat(each, counts) for each in (labels, scores, amounts))).under()
    for first, second in zip(figures_of(weighted).values(), figures_of(repeated).values(), strict=True):
        assert first == pytest.approx(second, nan_ok=True)
    first, second = weighted.recall_at_false_positive_rate(rate), repeated.recall_at_false_positive_rate(rate)
    assert first == pytest.approx(second, nan_ok=True)
    kept = counts > 0
    if 0 < labels[kept].sum() < kept.sum():
        expected = sk.roc_auc_score(labels[kept], scores[kept], sample_weight=counts[kept])
        assert weighted.auc() == pytest.approx(expected)


def test_value_detected_by_hand() -> None:
    labels = np.array([1, 0, 1, 0], dtype=np.int8)
    tally = RankedScores(labels, np.array([0.9, 0.8, 0.7, 0.1]), np.array([300, 50, 100, 50])).under()
    assert tally.value_detected(0.2) == 0.0
    assert tally.value_detected(0.25) == 0.75
    assert tally.value_detected(0.75) == 1.0


def test_a_card_that_was_found_is_not_looked_at_again() -> None:
    day = 86_400_000
    cards = np.array([0, 1, 0, 1], dtype=np.int64)
    times = np.array([0, 1, day, day + 1], dtype=np.int64)
    labels = np.array([1, 0, 1, 1], dtype=np.int8)
    scores = np.array([0.9, 0.5, 0.9, 0.5])
    assert card_precision_at_k(labels, scores, cards, times, k=1) == 1.0
    # On day two card 0 is known, so that the one look goes to card 1, a fraud too; with k = 2 a look is left over.
    assert card_precision_at_k(labels, scores, cards, times, k=1, found_once=True) == 1.0
    assert card_precision_at_k(labels, scores, cards, times, k=2, found_once=True) == 0.5
    # Cards drawn twice fill two of the places.
    assert CardDays(labels, scores, cards, times).precision(2, np.array([0.0, 2.0])) == 0.5


def test_money_by_hand() -> None:
    costs = Costs(loss_share=1, chargeback_fee=0, margin_share=0.5, goodwill=0, review_cost=10**6)
    policy = Policy(version="p", costs=msgspec.structs.replace(costs, challenge_cost=10**6))
    labels, amounts = np.array([1, 1, 0, 0], dtype=np.int8), np.array([100, 200, 100, 400], dtype=np.int64)
    ledger = Ledger.keep(policy, labels, amounts, np.array([0.9, 0.1, 0.9, 0.1]))
    # Declined: the first and the third. Lost: 200 by a fraud that passed, 50 by a genuine payer turned away.
    assert ledger.actions.tolist() == [3, 0, 3, 0]
    assert ledger.costs.tolist() == [0, 200, 50, 0]
    assert ledger.saved_per_1000() == 1_000 * (300 - 250) / 4
    assert ledger.figures()["fraud_value_stopped"] == pytest.approx(1 / 3)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 100_000), st.floats(0, 1)), min_size=1, max_size=40),
    st.sampled_from(POLICIES),
)
def test_actions_are_those_of_serving(drawn: list[tuple[int, float]], policy: Policy) -> None:
    amounts, scores = np.array([each[0] for each in drawn]), np.array([each[1] for each in drawn])
    allowance = policy.allowance()
    payment = transactions(1, 1)[0][0]
    expected = [
        policy.decide(msgspec.structs.replace(payment, amount=amount), score, allowance) for amount, score in drawn
    ]
    assert [ACTIONS[place] for place in actions_of(policy, amounts, scores)] == expected


def test_folds_leave_the_delay_between_train_and_test() -> None:
    first, second = weekly(100 * DAY_MS, train_days=7, delay_days=5, test_days=3, folds=2)
    assert (first.train, first.test) == ((88 * DAY_MS, 95 * DAY_MS), (100 * DAY_MS, 103 * DAY_MS))
    assert second.test[0] == first.test[1] == second.known_at
    with pytest.raises(ValueError, match="train_days must be at least 1"):
        weekly(0, train_days=0, delay_days=7, test_days=7, folds=1)


def test_curves_are_points_of_the_full_curve_and_count_every_row() -> None:
    labels, good, _, _ = _noisy_pair(50)
    drawn = curves(labels, good)
    precision, recall, _ = sk.precision_recall_curve(labels, good)
    full = {(round(float(r), 6), round(float(p), 6)) for r, p in zip(recall, precision, strict=True)}
    points = drawn["precision_recall"]
    assert 50 < len(points["recall"]) <= 200
    assert set(zip(points["recall"], points["precision"], strict=True)) <= full
    assert (points["recall"][0], points["recall"][-1]) == (0.0, 1.0)
    assert sum(each["rows"] for each in drawn["reliability"]) == len(labels)
    histogram = drawn["score_histogram"]
    assert sum(histogram["genuine"]) + sum(histogram["fraud"]) == len(labels)
