"""Folds, delays and what a model may know: small histories whose answers are worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.features.definitions import FRAUDS, PAYMENTS, Aggregation, Entity, Reason, WindowFeature
from fraud.features.sets import FeatureSet
from fraud.windows import Window
from ops.inputs import load_mapping
from ops.inputs.history import events_of, read_payments
from training.engines.events import EventTable
from training.engines.vectorised import compute
from training.folds import DAY_MS, weekly
from training.walkforward import UNKNOWN, Figures, History, judged, mean_of, walk

HOUR = DAY_MS // 24
(FOLD,) = weekly(4 * DAY_MS, train_days=2, delay_days=1, test_days=2, folds=1)
"""Trains on days 1 and 2, waits for the labels of a day, tests on days 4 and 5."""


def history(*payments: tuple[float, int, int], scores: list[float] | None = None) -> History:
    """Payments as (day, card, label); the only feature is the score that `by_feature` gives them."""
    days, cards, labels = zip(*payments, strict=True)
    given = scores or [0.0] * len(payments)
    return History(
        times=np.array([round(day * DAY_MS) for day in days], np.int64),
        cards=np.array(cards, np.int64),
        labels=np.array(labels, np.int8),
        vectors=np.array(given, np.float64).reshape(-1, 1),
    )


def by_feature(_vectors: Any, _labels: Any, later: Any) -> Any:
    return later[:, 0]


TRAINED = ((1.5, 90, 0), (2.5, 91, 0))


def test_a_model_learns_from_the_training_window_and_is_asked_about_the_test_window() -> None:
    asked: list[tuple[list[float], list[int], list[float]]] = []

    def model(vectors: Any, labels: Any, later: Any) -> Any:
        asked.append((vectors[:, 0].tolist(), labels.tolist(), later[:, 0].tolist()))
        return later[:, 0]

    days = [0.9, 1.0, 2.9, 3.0, 3.9, 4.0, 5.9, 6.0]
    labels = [1, 1, 0, 0, 0, 0, 0, 0]
    past = history(
        *((day, number, label) for number, (day, label) in enumerate(zip(days, labels, strict=True))), scores=days
    )
    (result,) = walk(past, [FOLD], 7, model)
    assert asked == [([1.0, 2.9], [1, 0], [4.0, 5.9])]
    assert (result.train.rows, result.train.frauds, result.test.rows, result.test.frauds) == (2, 1, 2, 0)
    assert result.train.since == "1970-01-02T00:00Z"


def test_cards_are_known_from_the_day_on_that_begins_a_delay_after_their_fraud() -> None:
    past = history(
        (1.5, 1, 1),  # of the training window: known on both days
        (2.999, 2, 1),  # known at 3.999: on both days
        (3.001, 3, 1),  # known at 4.001, after day 4 has begun: from day 5 on
        (4.001, 4, 1),  # known at 5.001: on neither
        (0.5, 5, 1),  # before what is remembered
        *((4.5, card, 0) for card in range(1, 6)),
        *((5.5, card, 0) for card in range(1, 6)),
    )
    rows, left_out = judged(past, FOLD, known_days=2)
    found = sorted((int(past.times[row] // DAY_MS), int(past.cards[row])) for row in rows)
    assert found == [(4, 3), (4, 4), (4, 4), (4, 5), (5, 4), (5, 5)]
    assert left_out == 5
    remembered, _ = judged(past, FOLD, known_days=3)
    assert 5 not in past.cards[remembered]
    forgetful, _ = judged(past, FOLD, known_days=0)
    assert 1 in past.cards[forgetful]


def test_card_precision_looks_at_a_hundred_cards_a_day_and_at_each_found_one_once() -> None:
    day_4 = [(4.1, card, 1 if card < 10 else 0) for card in range(120)]
    day_5 = [(5.1, card, 1 if card < 30 else 0) for card in range(120)]
    # Day 4 looks at cards 0 to 99: 10 frauds. On day 5, cards 0 to 9 are found; it looks at 10 to 109: 20 frauds.
    scores = [0.0, 0.0, *(-float(card) for card in range(120)), *(-float(card) for card in range(120))]
    past = history((1.5, 900, 1), (2.5, 901, 0), *day_4, *day_5, scores=scores)
    (result,) = walk(past, [FOLD], 7, by_feature)
    assert result.figures.card_precision_at_100 == pytest.approx((0.10 + 0.20) / 2)
    assert result.days_below_100_cards == 0


def test_looks_at_cards_that_are_not_there_find_nothing() -> None:
    past = history(
        (1.5, 900, 1),
        (2.5, 901, 0),
        *((4.1, card, int(card == 0)) for card in range(5)),
        scores=[0, 0, *[0.5] * 5],
    )
    (result,) = walk(past, [FOLD], 7, by_feature)
    assert result.figures.card_precision_at_100 == pytest.approx(0.01)
    assert result.days_below_100_cards == 1


def test_payments_of_unknown_outcome_are_neither_learned_from_nor_judged() -> None:
    past = history((1.1, 1, 1), (1.2, 2, 0), (1.3, 3, UNKNOWN), (4.1, 4, UNKNOWN), (4.2, 5, 0), (4.3, 6, 1))
    (result,) = walk(past, [FOLD], 7, by_feature)
    assert (result.train.rows, result.test.rows) == (2, 2)


@pytest.mark.parametrize(
    ("payments", "note"),
    [
        ([*TRAINED, (4.5, 1, 1)], "the training window has 0 frauds among 2 rows; both classes are needed"),
        ([(4.5, 1, 1)], "the training window has 0 frauds among 0 rows; both classes are needed"),
        ([*TRAINED, (1.6, 92, 1)], "the test window has no rows"),
        ([*TRAINED, (1.6, 92, 1), (4.5, 1, 0)], "the test window has rows of one class only"),
    ],
)
def test_a_fold_that_cannot_be_judged_says_why(payments: list[tuple[float, int, int]], note: str) -> None:
    (result,) = walk(history(*payments), [FOLD], 7, by_feature)
    assert result.note == note
    assert result.figures == Figures()
    assert mean_of([result]) == Figures()


def test_a_mean_is_over_the_folds_that_have_the_figure() -> None:
    past = history(*TRAINED, (1.6, 92, 1), (4.1, 1, 0), (4.2, 2, 1), scores=[0, 0, 0, 0.1, 0.9])
    told, untold = (next(iter(walk(each, [FOLD], 7, by_feature))) for each in (past, history(*TRAINED)))
    assert mean_of([told, untold]).auc == 1.0


REASON = Reason("R", "r")
SHOP = Entity("shop", ("merchant_id",))
FEATURES = FeatureSet(
    WindowFeature(SHOP, Aggregation.RATE, FRAUDS, Window.of("2d", hop="1h", delay="24h"), REASON, "c"),
    WindowFeature(SHOP, Aggregation.COUNT, PAYMENTS, Window.of("2d", hop="1h"), REASON, "c"),
)
MAPPING = """
[columns]
transaction_id = "id"
merchant_id = "shop"
card = "card"
customer = "card"
[constants]
currency = "EUR"
[time]
column = "time"
format = "epoch_ms"
[amount]
column = "amount"
unit = "minor"
[label]
column = "fraud"
fraud = [1]
genuine = [0]
delay = "30d"
"""


def _vectors(folder: Path, rows: list[tuple[int, int, str]]) -> tuple[Any, Any, Any]:
    """The features of payments (hours, shop, label) by what a file of them says."""
    (folder / "m.toml").write_text(MAPPING)
    lines = [f"{n},s{shop},c{n},{hours * HOUR},100,{label}" for n, (hours, shop, label) in enumerate(rows)]
    (folder / "p.csv").write_text("\n".join(["id,shop,card,time,amount,fraud", *lines]) + "\n")
    payments = read_payments(folder / "p.csv", load_mapping(folder / "m.toml"))
    assert payments is not None
    events = EventTable.of(events_of(payments, DAY_MS), ordered=True)
    return payments.times, payments.labels, compute(events, FEATURES, threads=1)


ROWS = st.lists(st.tuples(st.integers(0, 143), st.integers(0, 1), st.sampled_from(["0", "1", ""])), min_size=1)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, other=ROWS, flips=st.randoms(use_true_random=False), hours=st.integers(0, 143))
def test_nothing_that_was_not_known_yet_changes_a_vector(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, other: Any, flips: Any, hours: int
) -> None:
    """Whatever is paid after a moment, and whatever is known after it of what was paid before, may be anything."""
    folder = tmp_path_factory.mktemp("leak")
    before = [row for row in rows if row[0] <= hours]
    changed = [
        (paid, shop, label if paid * HOUR + DAY_MS <= hours * HOUR else flips.choice(["0", "1", ""]))
        for paid, shop, label in before
    ]
    later = [row for row in other if row[0] > hours]
    if not before:
        return
    times, _, kept = _vectors(folder, before)
    _, _, altered = _vectors(folder, [*changed, *later])
    np.testing.assert_array_equal(kept, altered[: len(times)])


def test_the_protocol_and_not_the_mapping_tells_when_a_label_is_known(tmp_path: Path) -> None:
    # The mapping says 30 days. By the protocol the fraud of hour 0 is known at hour 24, and used at 25.
    _, _, vectors = _vectors(tmp_path, [(0, 0, "1"), (23, 0, "0"), (25, 0, "0"), (26, 1, "0")])
    assert vectors[:, 0].tolist()[2] == 1.0
    assert np.isnan(vectors[[0, 1, 3], 0]).all()


def test_a_fraud_is_known_to_a_payment_of_the_very_moment(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "p.csv").write_text("id,shop,card,time,amount,fraud\nz,s,c,0,100,1\na,s,c,86400000,100,\n")
    payments = read_payments(tmp_path / "p.csv", load_mapping(tmp_path / "m.toml"))
    assert payments is not None
    table = events_of(payments, DAY_MS)
    assert table["event"].to_pylist() == ["transaction", "label", "transaction"]
    assert table["at"].to_pylist() == [0, DAY_MS, DAY_MS]
    assert payments.labels.tolist() == [1, UNKNOWN]
