"""The offline engine against the reference engine on histories of some size: the same bits on every row."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from fraud.events import Event, Label, Transaction
from fraud.features import STANDARD, FeatureSet
from fraud.features.handbook import HANDBOOK
from fraud.replay import arrival, replay
from ops.inputs import MAPPINGS, from_frame, load_mapping
from ops.inputs.reading import read_frame
from tests.unit.fraud.strategies import world
from training.engines.events import table_of
from training.engines.vectorised import compute

HANDBOOK_DATA = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "handbook" / "transactions_visible.parquet"
)
CUSTOMERS, ROWS = 12, 3_000


def _agree(events: list[Event], features: FeatureSet) -> None:
    shuffled = random.Random(4).sample(events, len(events))
    found = compute(table_of(shuffled), features)
    vectors = {paid.event_id: vector for paid, vector in replay(sorted(events, key=arrival), features)}
    ids = [event.event_id for event in shuffled if isinstance(event, Transaction)]
    expected = np.array([vectors[event_id] for event_id in ids])
    assert len(expected) > 500
    wrong = np.argwhere(found.view(np.int64) != expected.view(np.int64))
    assert [(ids[row], features.names[column]) for row, column in wrong[:5]] == []


@pytest.mark.parametrize(("seed", "wide"), [(1, 1), (2, 30)])
def test_a_made_up_history_has_the_same_bits(seed: int, wide: int) -> None:
    _agree(world(seed, 1_500, wide=wide), STANDARD)


@pytest.mark.skipif(
    not HANDBOOK_DATA.is_file(),
    reason=f"the handbook data is not at {HANDBOOK_DATA}; it is not part of this repository",
)
@pytest.mark.parametrize("features", [STANDARD, HANDBOOK], ids=["standard", "handbook"])
def test_real_payments_have_the_same_bits(features: FeatureSet, tmp_path: Path) -> None:
    """All payments of some customers over months, every seventh of them told of as a fraud later."""
    chosen = pq.read_table(HANDBOOK_DATA, filters=pc.field("CUSTOMER_ID") < CUSTOMERS).slice(0, ROWS)
    pq.write_table(pa.table(chosen), tmp_path / "slice.parquet")
    rows = list(from_frame(read_frame(tmp_path / "slice.parquet", load_mapping(MAPPINGS / "handbook.toml"))))
    day = 86_400_000
    events: list[Event] = []
    for number, row in enumerate(rows):
        paid = row.transaction
        events.append(paid)
        if row.label is not None:
            events.append(row.label)
        elif number % 7 == 0:
            late = paid.event_time + (9 + number % 30) * day
            events.append(Label(transaction=paid, kind="confirmed_fraud", known_at=late))
    _agree(events, features)
