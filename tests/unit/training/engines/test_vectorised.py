"""The vectorised engine against the reference engine: the same bits, whatever the world."""

import random

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fraud.events import MOST_AMOUNT, Event, Transaction
from fraud.features import STANDARD, FeatureSet
from fraud.features.definitions import PAYMENTS, Aggregation, DefinitionError, Series, Source, Where, WindowFeature
from fraud.features.standard import CARD
from fraud.replay import arrival, replay
from fraud.windows import DAY, MINUTE, Window
from tests.unit.fraud.strategies import START, histories, payment, world
from tests.unit.training.engines.every import EVERY, SERIES, WHY
from training.engines import vectorised
from training.engines.events import EventTable, table_of
from training.engines.vectorised import compute, entity_features

type Matrix = npt.NDArray[np.float64]


def _replayed(events: list[Event], features: FeatureSet) -> Matrix:
    """The vectors of the reference engine, in the order of the events given."""
    vectors = {paid.event_id: vector for paid, vector in replay(sorted(events, key=arrival), features)}
    rows = [vectors[event.event_id] for event in events if isinstance(event, Transaction)]
    return np.array(rows, np.float64).reshape(-1, len(features.names))


def _agree(found: Matrix, expected: Matrix, features: FeatureSet) -> None:
    """Equal to the last bit, missing values included."""
    assert found.shape == expected.shape
    wrong = np.argwhere(found.view(np.int64) != expected.view(np.int64))
    told = [
        f"row {row}, {features.names[column]}: batch {found[row, column]!r}, replay {expected[row, column]!r}"
        for row, column in wrong[:5]
    ]
    assert not told, told


def test_the_set_of_every_feature_is_what_it_says() -> None:
    kinds = {(each.aggregation, each.over) for each in EVERY.windowed if each.over in SERIES}
    assert {aggregation for aggregation, _ in kinds} == {*Aggregation} - {Aggregation.DISTINCT}
    assert len(kinds) == 11 * len(SERIES) + 6  # only some series are a part of another
    assert any(each.include_current for each in EVERY.windowed)
    assert {each.window.hop for each in EVERY.windowed} == {1_000, 60_000, 900_000, 7_200_000}


@given(histories())
@settings(max_examples=100)
def test_the_standard_set_has_the_bits_of_replay(events: list[Event]) -> None:
    _agree(compute(table_of(events), STANDARD), _replayed(events, STANDARD), STANDARD)


@given(histories())
@settings(max_examples=50, phases=[Phase.generate])  # to shrink a world of so many features takes minutes
def test_every_aggregation_over_every_series_has_the_bits_of_replay(events: list[Event]) -> None:
    _agree(compute(table_of(events), EVERY), _replayed(events, EVERY), EVERY)


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_bits(events: list[Event], rng: random.Random) -> None:
    """Ties of one millisecond included: arrival goes by time, then by id."""
    turned = rng.sample(events, len(events))
    _agree(compute(table_of(turned), STANDARD), _replayed(turned, STANDARD), STANDARD)


@given(histories(least=5), st.sampled_from([1, 2, 7]), st.integers(1, 4))
@settings(max_examples=25)
def test_chunks_and_threads_change_no_bits(events: list[Event], rows: int, threads: int) -> None:
    expected = compute(table_of(events), STANDARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectorised, "CHUNK_ROWS", rows)
        _agree(compute(table_of(events), STANDARD, threads=threads), expected, STANDARD)


@given(histories(), st.sampled_from([1, 100_000, 10**12]))
@settings(max_examples=25)
def test_sums_that_might_be_too_wide_are_exact(events: list[Event], safe: int) -> None:
    """With a lower bound on what is safe, some keys take the way of unbounded integers, and others do not."""
    expected = _replayed(events, STANDARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectorised, "_SAFE", safe)
        _agree(compute(table_of(events), STANDARD), expected, STANDARD)


def test_a_large_world_has_the_bits_of_replay() -> None:
    """More events than the kernel takes at once, of many keys and of some that fill a block by themselves."""
    events = world(23, 2_500, wide=40)
    events += [
        payment(f"busy{n}", at=START + n * 9 * MINUTE, card=f"card_b{n}", customer="", merchant_id="m9")
        for n in range(5_000)
    ]
    random.Random(1).shuffle(events)
    features = FeatureSet(*(each for each in STANDARD.windowed if each.entity.name in ("card", "merchant")))
    _agree(compute(table_of(events), features), _replayed(events, features), features)


def test_sums_past_64_bits_are_exact() -> None:
    """The largest amounts there are, so many of them that a 64-bit sum of them would wrap around."""
    amount = MOST_AMOUNT
    rows = 2**63 // amount + 2
    over = Window.of("30d", hop="24h")
    features = FeatureSet(
        *(
            WindowFeature(CARD, each, PAYMENTS, over, WHY, "A test.")
            for each in (Aggregation.SUM, Aggregation.STD, Aggregation.ZSCORE)
        )
    )
    table = pa.table(
        {
            "event_time": pa.array(range(START, START + rows)),
            "amount": pa.repeat(pa.scalar(amount, pa.int64()), rows),
            "card": pa.repeat("c", rows),
        }
    )
    found = compute(table, features)
    assert found[-1, 0] == float((rows - 1) * amount)
    assert found[-1, 0] > 2**63 - amount
    assert found[-1, 1] == 0.0
    assert np.isnan(found[-1, 2])


def test_only_the_rows_asked_for_are_filled_and_the_others_are_still_history() -> None:
    events = world(5, 200)
    table = EventTable.of(table_of(events))
    whole = compute(table, STANDARD)
    wanted = np.zeros(len(events), np.bool_)
    wanted[len(events) // 2 :] = True
    mine = wanted[table.is_transaction]
    out = np.full((int(mine.sum()), len(STANDARD.names)), -1.0)
    for entity in STANDARD.entities:
        entity_features(table, STANDARD, entity, out, wanted=wanted)
    windowed = [STANDARD.names.index(feature.name) for feature in STANDARD.windowed]
    np.testing.assert_array_equal(out[:, windowed], whole[mine][:, windowed])
    rest = [column for column in range(len(STANDARD.names)) if column not in windowed]
    assert (out[:, rest] == -1.0).all(), "row features belong to no entity"


def test_progress_is_told_up_to_the_end() -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    events = world(5, 60)
    compute(
        table_of(events),
        STANDARD,
        progress=lambda what, done, total: told.setdefault(what, []).append((done, total)),
    )
    assert set(told) == {entity.name for entity in STANDARD.entities}
    for steps in told.values():
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
        assert steps[-1][0] == steps[-1][1] > 0


@pytest.mark.parametrize("events", [[], [payment()], world(1, 3)[-1:]], ids=["none", "one", "last"])
def test_small_tables_have_as_many_rows_as_payments(events: list[Event]) -> None:
    _agree(compute(table_of(events), STANDARD), _replayed(events, STANDARD), STANDARD)


def test_a_plain_frame_of_payments_needs_no_columns_for_other_events() -> None:
    """What is not in the table was not sent: such keys have no past, and their features are missing."""
    events: list[Event] = [payment(f"t{n}", at=START + n * MINUTE, amount=100 * n, customer="") for n in range(50)]
    table = table_of(events).select(["transaction_id", "merchant_id", "event_time", "amount", "card"])
    _agree(compute(table, STANDARD), _replayed(events, STANDARD), STANDARD)


def test_the_past_is_all_that_a_row_sees() -> None:
    """Rows of a whole history equal those of the history as it was known when they came."""
    events = world(8, 120)
    whole = compute(table_of(events), STANDARD)
    paid = [event for event in events if isinstance(event, Transaction)]
    for place in (10, 50, 119):
        known = events[: events.index(paid[place]) + 1]
        assert known[-1] == paid[place]
        last = compute(table_of(known), STANDARD)[-1:]
        _agree(last, whole[place : place + 1], STANDARD)
    assert events[-1].event_time - START > 30 * DAY


def test_more_series_than_the_kernel_tells_apart_are_refused() -> None:
    codes = ("5411", "7995", "4829")

    def counted(number: int) -> WindowFeature:
        over = Series(100 + number, Source.TRANSACTION, Where(f"sold{number}", "mcc", (codes[number % 3],)))
        return WindowFeature(CARD, Aggregation.COUNT, over, Window.of("24h"), WHY, "A test.")

    events = world(2, 40)
    features = FeatureSet(*map(counted, range(32)))
    _agree(compute(table_of(events), features), _replayed(events, features), features)
    with pytest.raises(DefinitionError, match="entity card: more than 32 series"):
        compute(table_of(events), FeatureSet(*map(counted, range(33))))
