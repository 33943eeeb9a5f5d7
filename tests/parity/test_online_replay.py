"""Real payments from the merchant's request to the stored row, against the reference engine, bit for bit."""

import json
import math
from pathlib import Path

import pytest

from fraud.decision import event_of
from fraud.events import Transaction
from fraud.features import STANDARD
from fraud.policy import Policy, Thresholds
from fraud.replay import replay
from fraud.serving import Serving
from fraud.tokens import Tokeniser
from lambdas.score_transaction.scoring import Asking, Scorer
from lambdas.score_transaction.settings import SettingsCache
from lambdas.update_features.updating import Delivery, Updater
from ops.inputs import MAPPINGS, decision_body, from_frame, load_mapping
from ops.inputs.reading import read_frame
from runtime.bundles import Live
from runtime.stores.decisions import DECISION, MemoryDecisionStore
from runtime.stores.features import MemoryFeatureStore
from runtime.stores.snapshots import MemorySnapshots

HANDBOOK = Path(__file__).resolve().parents[3] / "shared" / "data" / "handbook" / "transactions_visible.parquet"
ROWS = 3_000

pytestmark = pytest.mark.skipif(
    not HANDBOOK.is_file(), reason=f"the handbook data is not at {HANDBOOK}; it is not part of this repository"
)


def _refused(error: Exception) -> None:
    raise AssertionError("a state could not be read") from error


def test_what_serving_stores_is_what_replay_computes_on_every_row() -> None:
    """With no lag: each row of the ledger is folded before the next request is sent."""
    tokens = Tokeniser(b"a token key for the tests, 32 bytes or more")
    store, ledger = MemoryFeatureStore(), MemoryDecisionStore()
    policy = Policy(version="p", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))
    scorer = Scorer(
        features=STANDARD,
        snapshots=MemorySnapshots(store),
        ledger=ledger,
        tokeniser=lambda: tokens,
        serving=lambda: Live(Serving(policy=policy), {}),
        settings=SettingsCache(60, _refused),
        failed=_refused,
        clock=lambda: 0,
    )
    updater = Updater(features=STANDARD, store=store, clock=lambda: 0, pause=lambda _: None)

    frame = read_frame(HANDBOOK, load_mapping(MAPPINGS / "handbook.toml"), limit=ROWS)
    sent = [row.transaction for row in from_frame(frame)]
    assert len(sent) == ROWS
    served: list[tuple[Transaction, dict[str, float]]] = []
    for paid in sent:
        body = json.dumps(decision_body(paid)).encode()
        at = paid.event_time
        scorer.decide(body, Asking(paid.merchant_id, at))
        kept = ledger.get(paid.event_id, DECISION)
        assert kept is not None
        row = json.loads(kept.row)
        event = event_of(row)
        assert event == tokens.apply(paid)
        served.append((event.transaction, row["features"]))
        report = updater.apply([Delivery(paid.event_id, event, at)])
        assert (report.applied, report.late, report.failed) == (1, 0, [])

    repeated = 0
    for (paid, features), (same, vector) in zip(served, replay(map(tokens.apply, sent)), strict=True):
        assert paid == same
        known = {name: value for name, value in zip(STANDARD.names, vector, strict=True) if not math.isnan(value)}
        # JSON keeps every bit of a double, and nothing but a missing value is left out.
        assert features == known, paid.event_id
        repeated += known["card_count_7d"] > 0
    assert repeated > ROWS / 10  # the slice has cards with a past, so states were read and not only made
