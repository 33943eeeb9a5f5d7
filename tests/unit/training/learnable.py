"""A dataset of a few columns that a model learns something of, laid out as the dataset step does."""

from pathlib import Path

import numpy as np

from training.rows import Rows, write_dataset
from training.split import Cuts

START = 1_750_000_000_000
NAMES = (
    "amount",
    "card_count_24h",
    "card_declined_rate_24h",
    "card_fraud_rate_60d_after_7d",
    "device_amount_sum_24h",
    "ip_count_1h",
)


def rows(count: int = 6_000, seed: int = 5) -> Rows:
    """Risk rises with two of the columns, alone and together; one of ten values is missing."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, len(NAMES)))
    odds = -3.5 + 1.2 * vectors[:, 0] + 0.8 * vectors[:, 3] + 0.8 * vectors[:, 1] * vectors[:, 4]
    labels = (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    vectors[rng.random(vectors.shape) < 0.1] = np.nan
    return Rows(
        event_ids=[f"e{number}" for number in range(count)],
        times=START + np.arange(count, dtype=np.int64) * 60_000,
        amounts=np.full(count, 1_000, dtype=np.int64),
        cards=[f"c{number % 500}" for number in range(count)],
        merchants=["m"] * count,
        countries=["FR"] * count,
        new_cards=np.zeros(count, dtype=np.bool_),
        weights=np.ones(count),
        names=NAMES,
        vectors=vectors,
        labels=labels,
    )


def write(folder: Path, found: Rows | None = None, *, rows_a_file: int = 500_000) -> Path:
    found = found or rows()
    count = len(found.labels)
    cuts = Cuts(validation=count * 2 // 3, evaluation=count * 5 // 6)
    write_dataset(
        folder, found, cuts, feature_set="made", about={"as_of": START + 10**10}, rows_a_file=rows_a_file
    )
    return folder
