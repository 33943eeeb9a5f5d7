"""A small seeded world with stolen cards, written the way the lake and the import write it.

Nothing tells the frauds apart for certain, so that a model of it is better than guessing and worse than perfect.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.events import Label, Outcome, Transaction
from fraud.features import STANDARD
from training.engines.events import table_of
from training.lake import EVENTS, TRANSACTIONS, Decisions, History
from training.sources import Payments, Sources, recompute, unite

START = 1_750_000_000_000
DAY = 86_400_000
HOUR = 3_600_000


def transactions(
    seed: int, count: int, days: int = 30, rate: float = 0.012
) -> tuple[list[Transaction], dict[str, bool]]:
    """Quiet cards, and a few that are drained in bursts of large payments; also which event is fraud."""
    rng = random.Random(seed)
    times = sorted(rng.randrange(days * DAY) for _ in range(count))
    found: list[Transaction] = []
    frauds: dict[str, bool] = {}
    burst: list[tuple[int, str]] = []
    for number, offset in enumerate(times):
        if rng.random() < rate:
            burst = [(rng.randrange(3, 6), f"card-{rng.randrange(60)}")]
        stolen = bool(burst and burst[0][0] > 0 and rng.random() < 0.7)
        if stolen:
            burst = [(burst[0][0] - 1, burst[0][1])]
        card = burst[0][1] if stolen else f"card-{rng.randrange(60)}"
        transaction = Transaction(
            transaction_id=f"t{number}",
            merchant_id=f"merchant-{rng.randrange(4)}",
            event_time=START + offset,
            amount=rng.randrange(8_000, 60_000) if stolen else rng.randrange(500, 40_000),
            currency="EUR",
            card=card,
            customer=card.replace("card", "customer"),
            device=f"device-{rng.randrange(500) if rng.random() < (0.5 if stolen else 0.1) else card}",
            issuer_country="FR",
            billing_country="US" if rng.random() < (0.4 if stolen else 0.05) else "FR",
        )
        found.append(transaction)
        frauds[transaction.event_id] = stolen
    return found, frauds


def labels(found: list[Transaction], frauds: dict[str, bool], delay: int = DAY) -> list[Label]:
    """A fraud is reported a while after the payment; a genuine payment is never reported."""
    return [
        Label(transaction=each, kind="chargeback", known_at=each.event_time + delay + index % 7 * HOUR)
        for index, each in enumerate(found)
        if frauds[each.event_id]
    ]


def _columns(found: list[Transaction]) -> dict[str, list[object]]:
    return {name: [getattr(each, name) for each in found] for name in Transaction.__struct_fields__}


def write_history(root: Path, found: list[Transaction], known: list[Label]) -> Path:
    by_id = {label.transaction.event_id: label for label in known}
    told = [by_id.get(each.event_id) for each in found]
    table = pa.table(
        {
            **_columns(found),
            "is_fraud": pa.array([None if each is None else each.is_fraud for each in told], pa.bool_()),
            "known_at": pa.array([None if each is None else each.known_at for each in told], pa.int64()),
        }
    )
    path = root / "processing" / "input" / "history" / "first" / "transactions-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def write_decisions(
    root: Path,
    found: list[Transaction],
    vectors: list[dict[str, float]],
    *,
    name: str = "2025/06/01/00/part-0",
    degraded: list[bool] | None = None,
    feature_set: str = STANDARD.version,
) -> Path:
    table = pa.table(
        {
            **_columns(found),
            "event_id": [each.event_id for each in found],
            "decision": ["approve"] * len(found),
            "degraded": degraded or [False] * len(found),
            "features": pa.array([list(vector.items()) for vector in vectors], pa.map_(pa.string(), pa.float64())),
            "feature_set": [feature_set] * len(found),
        }
    )
    path = root / "processing" / "input" / "decisions" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def write_labels(root: Path, known: list[Label], *, name: str = "2025/06/02/part-0") -> Path:
    table = pa.table(
        {
            **_columns([label.transaction for label in known]),
            "label": [label.kind for label in known],
            "is_fraud": [label.is_fraud for label in known],
            "known_at": [label.known_at for label in known],
        }
    )
    path = root / "processing" / "input" / "labels" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def write_outcomes(root: Path, told: list[Outcome], *, name: str = "2025/06/03/part-0") -> Path:
    table = pa.table(
        {
            **_columns([outcome.transaction for outcome in told]),
            "outcome": [outcome.kind for outcome in told],
            "outcome_time": [outcome.event_time for outcome in told],
            "recorded_at": [outcome.event_time + 250 for outcome in told],
        }
    )
    path = root / "processing" / "input" / "outcomes" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def compared_world(
    found: Sequence[Transaction] = (), **changes: object
) -> tuple[Payments, Decisions, npt.NDArray[np.float64]]:
    """Decisions that saw exactly what they should have seen, as the report compares them."""
    found = found or transactions(7, 20)[0]
    count = len(found)
    decisions = Decisions(
        transactions=table_of(found).select(TRANSACTIONS.names),
        feature_sets=np.full(count, STANDARD.version, object),
        degraded=np.zeros(count, np.bool_),
        vectors=np.zeros((count, len(STANDARD.names))),
        has_vector=np.ones(count, np.bool_),
    )
    decisions = replace(decisions, **changes)  # type: ignore[arg-type]
    nothing = EVENTS.empty_table()
    sources = Sources(History(TRANSACTIONS.empty_table(), nothing), decisions, nothing, nothing)
    payments = unite(sources, START + 30 * DAY, STANDARD.version)
    corrected = recompute(payments, STANDARD, "vectorised")
    return payments, replace(decisions, vectors=corrected.copy()), corrected
