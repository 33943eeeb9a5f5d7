"""The consistency report against serving itself: no lag, no difference; with a lag, every difference is found."""

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from fraud.codec import decode, encode
from fraud.events import Event, Outcome, Transaction
from fraud.features import STANDARD, Key
from fraud.replay import arrival, fold
from fraud.state import State
from tests.unit.training.synthetic import (
    DAY,
    START,
    labels,
    transactions,
    write_decisions,
    write_history,
    write_labels,
    write_outcomes,
)
from training.consistency import read_report, report_consistency
from training.consistency_figures import Consistency
from training.contract import Contract

FOUND, FRAUDS = transactions(13, 700, days=40, rate=0.08)
TOLD = labels(FOUND, FRAUDS)
OUTCOMES = [
    Outcome(transaction=each, kind="declined" if row % 6 == 0 else "authorised", event_time=each.event_time + 400)
    for row, each in enumerate(FOUND)
]
IMPORTED = 250
AS_OF = START + 45 * DAY

type Served = dict[str, dict[str, float]]


def _batches(events: list[Event], size: int) -> Iterator[list[Event]]:
    """Imported payments and what became known of them meanwhile one by one, then batches of some size."""
    edge = FOUND[IMPORTED].event_time
    for event in events:
        if arrival(event)[0] < edge:
            yield [event]
    late = [event for event in events if arrival(event)[0] >= edge]
    for start in range(0, len(late), size):
        yield late[start : start + size]


def _serve(size: int) -> Served:
    """What serving sees when the events of a batch are folded in after all of its payments were decided.

    States go through their packed form in between, as they do in the feature store.
    """
    learnt: list[Event] = [*FOUND, *TOLD, *OUTCOMES]
    events = sorted((event for event in learnt if arrival(event)[0] <= AS_OF), key=arrival)
    packed: dict[Key, bytes] = {}
    served: Served = {}
    for batch in _batches(events, size):
        for event in batch:
            if isinstance(event, Transaction):
                states = {key: decode(packed[key]) for key in STANDARD.keys_read(event) if key in packed}
                vector = zip(STANDARD.names, STANDARD.vector(event, states), strict=True)
                served[event.event_id] = {name: value for name, value in vector if not math.isnan(value)}
        for event in reversed(batch):
            states = defaultdict(
                State, {k: decode(packed[k]) for k in STANDARD.keys_written(event) if k in packed}
            )
            fold(event, states)
            packed |= {key: encode(state) for key, state in states.items()}
    return served


def _report(root: Path, served: Served) -> Consistency:
    decided = FOUND[IMPORTED:]
    write_history(root, FOUND[:IMPORTED], [])
    write_decisions(root, decided, [served[each.event_id] for each in decided])
    write_labels(root, TOLD)
    write_outcomes(root, OUTCOMES)
    report = read_report(report_consistency(Contract(root), AS_OF))
    assert report is not None
    assert report.rows == len(decided)
    return report


@pytest.fixture(scope="module")
def fresh() -> Served:
    return _serve(1)


def test_without_a_lag_every_feature_of_every_decision_is_the_same_to_the_last_bit(
    fresh: Served, tmp_path: Path
) -> None:
    report = _report(tmp_path, fresh)
    assert report.worst() is None
    assert report.identical == report.rows


def test_every_difference_that_a_lag_makes_is_found_and_no_other(fresh: Served, tmp_path: Path) -> None:
    stale = _serve(12)
    report = _report(tmp_path, stale)
    assert report.identical < report.rows
    decided = [each.event_id for each in FOUND[IMPORTED:]]
    for feature in report.features:
        seen = [(stale[each].get(feature.name), fresh[each].get(feature.name)) for each in decided]
        both = [(a, b) for a, b in seen if a is not None and b is not None]
        assert feature.mismatched == sum(a != b for a, b in both), feature.name
        assert feature.missing == sum(a is None and b is not None for a, b in seen), feature.name
        assert feature.extra == sum(a is not None and b is None for a, b in seen), feature.name
        gaps = [abs(a - b) for a, b in both if a != b]
        assert feature.largest_difference == (max(gaps) if gaps else None), feature.name
    differing = {feature.name for feature in report.features if feature.differing}
    assert {"merchant_count_1h", "merchant_declined_rate_1h"} <= differing
    assert not differing & {feature.name for feature in STANDARD.features if feature not in STANDARD.windowed}
