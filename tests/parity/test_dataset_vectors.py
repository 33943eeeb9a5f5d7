"""The vectors of a dataset are those of the engines that it stands for, to the last bit."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from fraud.events import Event, Outcome
from fraud.features import STANDARD
from fraud.replay import arrival, replay
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
from training.contract import Contract
from training.dataset import Options, build_dataset

FOUND, FRAUDS = transactions(11, 1_200, rate=0.05)
TOLD = labels(FOUND, FRAUDS)
OPTIONS = Options(as_of=START + 30 * DAY, maturity=3 * DAY, minimum_frauds=3)


def _built(root: Path, options: Options = OPTIONS) -> dict[str, list[float]]:
    folder = build_dataset(Contract(root), options)
    found = {}
    for name in ("train", "validation", "evaluation"):
        table = pq.read_table(folder / name).to_pydict()
        for row, event_id in enumerate(table["event_id"]):
            found[event_id] = [table[feature][row] for feature in STANDARD.names]
    return found


def _replayed(outcomes: Iterable[Outcome] = ()) -> dict[str, tuple[float, ...]]:
    """Every transaction's vector, with outcomes and labels folded when they became known."""
    known = [label for label in TOLD if label.known_at <= OPTIONS.as_of]
    learnt: list[Event] = [*FOUND, *known, *outcomes]
    events = sorted(learnt, key=arrival)
    return {transaction.event_id: vector for transaction, vector in replay(events)}


def test_history_rows_have_the_vectors_of_the_reference_engine(tmp_path: Path) -> None:
    write_history(tmp_path, list(reversed(FOUND)), TOLD)
    built, expected = _built(tmp_path), _replayed()
    assert len(built) > 1_000
    for event_id, vector in built.items():
        np.testing.assert_array_equal(vector, expected[event_id], err_msg=event_id)


def test_history_rows_see_the_decisions_that_came_between_them(tmp_path: Path) -> None:
    """Live traffic moved the same cards, so a history with holes still has the vectors of the whole."""
    expected = _replayed()
    live = FOUND[1::3]
    write_history(tmp_path, [each for each in FOUND if each not in live], [])
    write_labels(tmp_path, TOLD)
    served = [{"amount": float(number)} for number in range(len(live))]
    # A degraded decision has no vector of use, but its payment took place all the same.
    write_decisions(tmp_path, live, served, degraded=[number % 2 == 0 for number in range(len(live))])
    built = _built(tmp_path)
    marked = {each.event_id: vector["amount"] for each, vector in zip(live, served, strict=True)}
    for event_id, vector in built.items():
        if event_id in marked:
            assert vector[STANDARD.names.index("amount")] == marked[event_id]
            assert marked[event_id] % 2 == 1
        else:
            np.testing.assert_array_equal(vector, expected[event_id], err_msg=event_id)
    assert len(built.keys() & marked.keys()) > 150
    assert len(built.keys() - marked.keys()) > 600


def test_corrected_rows_have_the_vectors_of_the_reference_engine_whatever_was_served(tmp_path: Path) -> None:
    """Imported, decided, degraded, of another feature set: all are recomputed, with what issuers answered."""
    outcomes = [
        Outcome(
            transaction=each, kind="declined" if row % 5 == 0 else "authorised", event_time=each.event_time + 900
        )
        for row, each in enumerate(FOUND)
    ]
    expected = _replayed(outcomes)
    write_history(tmp_path, FOUND[::3], [])
    write_labels(tmp_path, TOLD)
    write_outcomes(tmp_path, [*outcomes, *outcomes[::4]])
    for name, part, version in (("a", FOUND[1::3], "older"), ("b", FOUND[2::3], STANDARD.version)):
        served = [{"amount": -1.0}] * len(part)
        degraded = [row % 2 == 0 for row in range(len(part))]
        write_decisions(tmp_path, part, served, name=name, degraded=degraded, feature_set=version)
    built = _built(tmp_path, replace(OPTIONS, vectors="as_corrected"))
    mature = [each for each in FOUND if each.event_time <= OPTIONS.as_of - OPTIONS.maturity]
    # What the issuer declined is no genuine payment: it stays only where it was reported as fraud.
    frauds = {label.transaction.event_id for label in TOLD if label.known_at <= OPTIONS.as_of}
    refused = {each.event_id for each in FOUND[::5]} - frauds
    assert built.keys() == {each.event_id for each in mature} - refused
    for event_id, vector in built.items():
        np.testing.assert_array_equal(vector, expected[event_id], err_msg=event_id)
    declined = STANDARD.names.index("merchant_declined_rate_1h")
    assert sum(vector[declined] > 0 for vector in built.values()) > 50
