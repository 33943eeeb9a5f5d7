"""The published XGBoost figures of the Fraud Detection Handbook, by `paywarden backtest`'s own code."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.backtests.walking import Backtest, Features, ModelName, run
from ops.inputs import MAPPINGS, load_mapping

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "handbook" / "transactions_visible.parquet"

pytestmark = pytest.mark.skipif(
    not DATA.is_file(), reason=f"the handbook data is not at {DATA}; it is not part of this repository"
)


def test_the_single_split_has_the_published_rows_and_figures() -> None:
    """Chapter 3, baseline modelling: trained on 2018-07-25..31, tested on 2018-08-08..14."""
    found = run(
        Backtest(
            data=DATA,
            mapping=load_mapping(MAPPINGS / "handbook.toml"),
            first_test=int(datetime(2018, 8, 8, tzinfo=UTC).timestamp() * 1_000),
            features=Features.HANDBOOK,
            model=ModelName.HANDBOOK,
            threads=1,
        )
    )
    (fold,) = found["folds"]
    assert (fold.train.rows, fold.train.frauds) == (67_240, 598)
    assert (fold.test.rows, fold.test.frauds) == (58_264, 385)
    assert fold.figures.auc == pytest.approx(0.862, abs=0.005)
    assert fold.figures.average_precision == pytest.approx(0.639, abs=0.005)
    assert fold.figures.card_precision_at_100 == pytest.approx(0.273, abs=0.005)
