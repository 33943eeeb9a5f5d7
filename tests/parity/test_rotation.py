"""A change of the token key in the middle of a world: serving and training go on seeing the same cards."""

from collections import defaultdict

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.events import Event, Label, Outcome, Transaction
from fraud.features import STANDARD, Key
from fraud.features.definitions import Aggregation, WindowFeature
from fraud.replay import arrival, fold
from fraud.state import State
from fraud.tokens import Keyring, Tokeniser, changed, of_both
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
from training.rotation import PREVIOUS
from training.sources import Payments, read_sources, recompute, unite

RAW, FRAUDS = transactions(5, 700, rate=0.05)
RING = Keyring(
    current="2",
    keys={"1": "the key before, of at least 32 bytes", "2": "the key since, of at least 32 bytes!"},
    activates_at=START + 12 * DAY,
    until=START + 100 * DAY,
)
TOKENS = Tokeniser(RING)
LIVE = START + 5 * DAY
"""What is older was imported."""

DISTINCT = [
    isinstance(feature, WindowFeature) and feature.aggregation is Aggregation.DISTINCT
    for feature in STANDARD.features
]


def _tokenised(raw: Transaction) -> Transaction:
    """With a telephone and an email, so that every kind of token changes."""
    about = {
        "email": f"{raw.customer}@example.com",
        "phone": f"+33{raw.customer.split('-')[1]:0>9}",
        "ip": raw.device,
    }
    return msgspec.structs.replace(raw, **about)


def _events(found: list[Transaction]) -> tuple[list[Label], list[Outcome]]:
    told = labels(found, FRAUDS)
    answers = [
        Outcome(
            transaction=each, kind="declined" if row % 5 == 0 else "authorised", event_time=each.event_time + 9
        )
        for row, each in enumerate(found)
    ]
    return told, answers


def _served(
    world: list[Event], raw: dict[str, Transaction]
) -> tuple[dict[str, list[float]], dict[str, dict[str, str]]]:
    """Vectors as serving sees them without lag: folded under the tokens of the time, read under both keys."""
    states: dict[Key, State] = defaultdict(State)
    vectors, before = {}, {}
    for event in world:
        if isinstance(event, Transaction):
            previous = TOKENS.previous(raw[event.event_id])
            keys = of_both(STANDARD.keys_read, event, previous)
            read = {key: states[key] for key in keys if key in states}
            vectors[event.event_id] = list(STANDARD.vector(event, read))
            before[event.event_id] = {} if previous is None else changed(event, previous)
        fold(event, states)
    return vectors, before


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Payments, dict[str, list[float]]]:
    root = tmp_path_factory.mktemp("rotation")
    raw = {each.event_id: _tokenised(each) for each in RAW}
    found = [TOKENS.apply(each) for each in raw.values()]
    told, answers = _events(found)
    vectors, before = _served(sorted([*found, *told, *answers], key=arrival), raw)
    live = [each for each in found if each.event_time >= LIVE]
    write_history(root, [each for each in found if each.event_time < LIVE], [])
    rows = [
        {name: value for name, value in zip(STANDARD.names, vectors[each.event_id], strict=True) if value == value}
        for each in live
    ]
    path = write_decisions(root, live, rows)
    pairs = pa.array([list(before[each.event_id].items()) for each in live], pa.map_(pa.string(), pa.string()))
    pq.write_table(pq.read_table(path).append_column(PREVIOUS, pairs), path)
    write_labels(root, told)
    write_outcomes(root, answers)
    sources = read_sources(Contract(root), STANDARD)
    return unite(sources, START + 200 * DAY, STANDARD.version), vectors


def test_vectors_are_the_same_but_for_distinct_counts(world: tuple[Payments, dict[str, list[float]]]) -> None:
    """Whichever engine recomputes them: the tokens are linked before it sees them."""
    payments, vectors = world
    served = np.array([vectors[name] for name in payments.names])
    corrected = recompute(payments, STANDARD, "vectorised")
    exact, distinct = ~np.array(DISTINCT), np.array(DISTINCT)
    np.testing.assert_array_equal(served[:, exact], corrected[:, exact])
    # A value that was seen under both keys is counted twice by serving, and never less than once.
    assert (np.nan_to_num(served[:, distinct]) >= np.nan_to_num(corrected[:, distinct])).all()
    assert (served[:, distinct] > corrected[:, distinct]).any()
    early = payments.times < RING.activates_at
    np.testing.assert_array_equal(served[early], corrected[early])


def test_each_card_has_one_token_over_the_whole_of_history(world: tuple[Payments, dict[str, list[float]]]) -> None:
    payments, vectors = world
    tokens = dict(zip(payments.names, payments.events["card"].to_pylist(), strict=False))
    raw = {each.event_id: each.card for each in RAW}
    seen_after = {each.card for each in RAW if each.event_time >= RING.activates_at}
    by_card = defaultdict(set)
    for name, token in tokens.items():
        by_card[raw[name]].add(token)
    assert all(len(found) == 1 for card, found in by_card.items() if card in seen_after)
    count = STANDARD.names.index("card_count_7d")
    moved = [
        name for name, at in zip(payments.names, payments.times, strict=True) if 0 <= at - RING.activates_at < DAY
    ]
    assert sum(vectors[name][count] > 0 for name in moved) > 5
