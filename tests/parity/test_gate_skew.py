"""The gate over served vectors: a lag of seconds lets a model pass, anything else that serving saw wrongly not."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from fraud.events import Event, Outcome, Transaction
from fraud.features import STANDARD, Key
from fraud.release import GatePolicy, Verdict
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
from training.evaluate import _consistency, _facts
from training.gate import judge

IMPORTED = 200
LASTS = 8_000


def _in_bursts(found: Sequence[Transaction], size: int) -> list[Transaction]:
    """The payments with so many of them within seconds, as if shoppers came in groups."""
    return [
        msgspec.structs.replace(each, event_time=found[row - row % size].event_time + row % size * 1_500)
        for row, each in enumerate(found)
    ]


_SPREAD, FRAUDS = transactions(5, 800, days=40, rate=0.08)
FOUND = _in_bursts(_SPREAD, 4)
TOLD = labels(FOUND, FRAUDS)
OUTCOMES = [
    Outcome(transaction=each, kind="declined" if row % 6 == 0 else "authorised", event_time=each.event_time + 400)
    for row, each in enumerate(FOUND)
]
DECIDED = FOUND[IMPORTED:]
AS_OF = START + 45 * DAY
EVENTS = sorted((each for each in (*FOUND, *TOLD, *OUTCOMES) if arrival(each)[0] <= AS_OF), key=arrival)
# One in twenty of the payments that were decided.
UNLUCKY = {each.event_id for each in DECIDED[::20]}


def _batches(lag: int) -> Iterator[list[Event]]:
    """Events that are folded in together, a lag (ms) after the first of them."""
    batch: list[Event] = []
    for event in EVENTS:
        if batch and (event.event_time < DECIDED[0].event_time or arrival(event)[0] > arrival(batch[0])[0] + lag):
            yield batch
            batch = []
        batch.append(event)
    yield batch


def _serve(*, lag: int = 0, times: dict[str, int] | None = None, until: int = AS_OF) -> list[dict[str, float]]:
    """Vectors as served; `times` tells how often an event is folded in where that is not once."""
    states: dict[Key, State] = defaultdict(State)
    served: dict[str, dict[str, float]] = {}
    for batch in _batches(lag):
        for event in batch:
            if isinstance(event, Transaction):
                known = {key: states[key] for key in STANDARD.keys_read(event) if key in states}
                vector = zip(STANDARD.names, STANDARD.vector(event, known), strict=True)
                served[event.event_id] = {name: value for name, value in vector if not math.isnan(value)}
        for event in batch:
            if arrival(event)[0] <= until:
                for _ in range((times or {}).get(event.event_id, 1)):
                    fold(event, states)
    return [served[each.event_id] for each in DECIDED]


@pytest.fixture
def judged(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Consistency, Verdict]:
    write_history(tmp_path, FOUND[:IMPORTED], [])
    write_decisions(tmp_path, DECIDED, request.param())
    write_labels(tmp_path, TOLD)
    write_outcomes(tmp_path, OUTCOMES)
    report = read_report(report_consistency(Contract(tmp_path), AS_OF))
    assert report is not None
    assert report.rows == len(DECIDED)
    figures = {"average_precision": 0.9, "expected_calibration_error": 0.0, "mean_score": 0.1}
    used = [feature.name for feature in STANDARD.features]
    document = {"rows": 100, "frauds": 10, "fraud_rate": 0.1, "candidate": figures, "champion": None}
    return report, judge(_facts({**document, "consistency": _consistency(report, used)}), GatePolicy())


@pytest.mark.parametrize("judged", [_serve], indirect=True)
def test_without_a_lag_nothing_differs(judged: tuple[Consistency, Verdict]) -> None:
    report, verdict = judged
    assert report.worst() is None
    assert report.unjudged() == 0
    assert verdict.passed


@pytest.mark.parametrize("judged", [lambda: _serve(lag=LASTS)], indirect=True)
def test_a_lag_of_seconds_is_told_from_an_error_and_blocks_nothing(judged: tuple[Consistency, Verdict]) -> None:
    report, verdict = judged
    worst = report.worst()
    assert worst is not None
    assert worst.entity == "merchant"
    assert worst.share > 0.2
    assert sum(feature.settled_mismatches for feature in report.features) == 0
    assert verdict.passed, verdict.reason


def _of_another_version() -> list[dict[str, float]]:
    """Features that are fresh within seconds, one of which counts an hour where it says a day."""
    return [{**vector, "card_count_24h": vector["card_count_1h"]} for vector in _serve(lag=LASTS)]


@pytest.mark.parametrize(
    ("judged", "prefix"),
    [
        (lambda: _serve(lag=LASTS, times=dict.fromkeys(UNLUCKY, 0)), "merchant_"),
        (lambda: _serve(lag=LASTS, times=dict.fromkeys(UNLUCKY, 2)), "merchant_"),
        (_of_another_version, "card_count_24h"),
        (lambda: _serve(lag=LASTS, until=DECIDED[len(DECIDED) // 2].event_time), ""),
    ],
    ids=["lost", "doubled", "other code", "stopped"],
    indirect=["judged"],
)
def test_an_error_is_refused_by_its_name(judged: tuple[Consistency, Verdict], prefix: str) -> None:
    report, verdict = judged
    worst = report.worst_settled()
    assert worst is not None
    assert worst.settled_share > GatePolicy().maximum_mismatch
    assert worst.name.startswith(prefix)
    assert not verdict.passed
    assert f"serving saw another {worst.name} than it should have" in verdict.reason
    assert f"of {worst.settled:,} decisions that no lag explains" in verdict.reason


def _always_behind() -> list[dict[str, float]]:
    """One shop so busy that no decision of it is ever settled, by a store that stands still from the start."""
    return _serve(until=DECIDED[0].event_time - 1)


@pytest.mark.parametrize("judged", [_always_behind], indirect=True)
def test_where_nothing_is_settled_the_wide_bound_refuses_a_store_that_stands_still(
    judged: tuple[Consistency, Verdict],
) -> None:
    report, _ = judged
    # As if every decision had come within seconds after another one of its key.
    features = tuple(
        msgspec.structs.replace(each, settled=0, settled_mismatches=0) if each.entity else each
        for each in report.features
    )
    figures = {"average_precision": 0.9, "expected_calibration_error": 0.0, "mean_score": 0.1}
    busy = _consistency(msgspec.structs.replace(report, features=features), STANDARD.names)
    document = {
        "rows": 100,
        "frauds": 10,
        "fraud_rate": 0.1,
        "candidate": figures,
        "champion": None,
        "consistency": busy,
    }
    verdict = judge(_facts(document), GatePolicy())
    assert not verdict.passed
    assert "the features are far behind" in verdict.reason
    assert "had too few decisions without a possible lag" in verdict.reason
