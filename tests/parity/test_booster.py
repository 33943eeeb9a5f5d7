"""XGBoost through its C API against the Python package: the same bits, and a clear error for the rest."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import xgboost as xgb

from fraud.features import STANDARD
from ops.inputs import MAPPINGS, from_frame, load_mapping
from ops.inputs.reading import read_frame
from runtime.booster import Booster, BoosterError, library_version
from runtime.ubjson import is_whole
from training.engines.events import table_of
from training.engines.vectorised import compute

SPARKOV = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "sparkov_generated" / "transactions_train.parquet"
)
COLUMNS = 60
ROWS = 100_000
EXPLAINED = 2_000
REAL = 6_000

type Rows = npt.NDArray[np.float32]


def random_rows(seed: int, rows: int, gaps: float = 0.3) -> Rows:
    """Values of every size that a feature has, some of them equal, some missing, some rows all missing."""
    random = np.random.default_rng(seed)
    sizes = 10.0 ** random.integers(-3, 9, COLUMNS)
    values = random.normal(size=(rows, COLUMNS)) * sizes
    values[:, ::3] = np.round(random.gamma(1.0, 3.0, (rows, len(range(0, COLUMNS, 3)))))
    values[random.random(values.shape) < gaps] = np.nan
    values[:: max(1, rows // 50)] = np.nan
    values[1 :: max(1, rows // 50), 5] = 0.0
    values[2 :: max(1, rows // 50), 5] = -0.0
    return values.astype(np.float32)


def trained(rows: Rows, labels: npt.ArrayLike, rounds: int, **settings: Any) -> xgb.Booster:
    usual = {"objective": "binary:logistic", "tree_method": "hist", "max_bin": 32, "nthread": 1, "seed": 5}
    return xgb.train(usual | settings, xgb.DMatrix(rows, labels), rounds)


def some_labels(rows: Rows) -> npt.NDArray[np.bool_]:
    """Few ones, from an interaction of columns that a deep tree has to find, and noise that takes many trees."""
    known, noise = np.nan_to_num(rows), np.random.default_rng(9).random(len(rows)) < 0.1
    return noise ^ ((known[:, 0] > 4) & (np.sign(known[:, 1]) == np.sign(known[:, 2])) | (known[:, 3] > 9))


def fast(model: xgb.Booster, columns: int) -> Booster:
    return Booster(bytes(model.save_raw("ubj")), columns)


def same_scores(model: xgb.Booster, rows: Rows) -> None:
    """The bits of all three ways of asking."""
    booster = fast(model, rows.shape[1])
    found = np.array([booster.predict(row) for row in rows.tolist()], dtype=np.float32)
    assert found.tobytes() == model.inplace_predict(rows).astype(np.float32).tobytes()
    assert found.tobytes() == model.predict(xgb.DMatrix(rows)).astype(np.float32).tobytes()


def same_reasons(model: xgb.Booster, rows: Rows) -> None:
    booster = fast(model, rows.shape[1])
    found = np.array([booster.contributions(row) for row in rows.tolist()], dtype=np.float32)
    assert found.tobytes() == model.predict(xgb.DMatrix(rows), pred_contribs=True).astype(np.float32).tobytes()


MODELS: dict[str, tuple[int, dict[str, Any]]] = {
    "one stump": (1, {"max_depth": 1}),
    "three levels": (20, {"max_depth": 3, "base_score": 0.5}),
    "a rare base rate": (60, {"max_depth": 6, "base_score": 0.0004}),
    "a frequent base rate": (40, {"max_depth": 6, "base_score": 0.97, "subsample": 0.7}),
    "eight levels, five hundred trees": (500, {"max_depth": 8, "eta": 0.05}),
    "leaf by leaf": (40, {"max_depth": 0, "max_leaves": 24, "grow_policy": "lossguide"}),
    "exact splits": (30, {"max_depth": 6, "tree_method": "exact"}),
    "weights that drop trees": (20, {"max_depth": 4, "booster": "dart", "rate_drop": 0.3}),
}


@pytest.fixture(scope="module")
def lessons() -> Rows:
    return random_rows(1, 1_000)


@pytest.mark.parametrize(("rounds", "settings"), MODELS.values(), ids=MODELS.keys())
def test_models_of_every_kind_say_the_same(lessons: Rows, rounds: int, settings: dict[str, Any]) -> None:
    with xgb.config_context(verbosity=0):  # it warns of `dart`, which it means to drop one day
        model = trained(lessons, some_labels(lessons), rounds, **settings)
        same_scores(model, random_rows(2, 1_000))
        same_reasons(model, random_rows(3, 20))


def test_a_hundred_thousand_random_rows(lessons: Rows) -> None:
    model = trained(lessons, some_labels(lessons), 12, max_depth=6)
    same_scores(model, random_rows(4, ROWS))
    same_reasons(model, random_rows(5, EXPLAINED))


def test_a_model_that_was_cut_to_its_best_rounds(lessons: Rows) -> None:
    """As training writes them: the library must not look for rounds that are gone."""
    model = trained(lessons, some_labels(lessons), 30, max_depth=5)[:11]
    same_scores(model, random_rows(6, 500))
    same_reasons(model, random_rows(6, 50))


@pytest.mark.skipif(
    not SPARKOV.is_file(),
    reason=f"the Sparkov payments are not at {SPARKOV}; they are not part of this repository",
)
def test_real_payments(tmp_path: Path) -> None:
    """Features of real payments, by our own engine: half of them teach, the others are scored and explained."""
    pq.write_table(pq.read_table(SPARKOV).slice(0, REAL), tmp_path / "slice.parquet")
    rows = list(from_frame(read_frame(tmp_path / "slice.parquet", load_mapping(MAPPINGS / "sparkov.toml"))))
    told = [row.label for row in rows if row.label is not None]
    vectors = compute(table_of([*(row.transaction for row in rows), *told]), STANDARD).astype(np.float32)
    assert np.isnan(vectors).any(axis=0).sum() > 20, "some of what could be sent was not"
    frauds = {label.transaction.event_id for label in told if label.is_fraud}
    labels = np.array([row.transaction.event_id in frauds for row in rows])
    model = trained(vectors[::2], labels[::2], 40, max_depth=6, base_score=0.01)
    same_scores(model, vectors)
    same_reasons(model, vectors[:EXPLAINED])


def test_a_model_of_several_classes_is_refused_when_it_is_loaded() -> None:
    rows = random_rows(7, 300)
    settings = {"objective": "multi:softprob", "num_class": 3, "max_depth": 2}
    with pytest.raises(BoosterError, match="expected 1 numbers"):
        fast(trained(rows, np.arange(300) % 3, 2, **settings), COLUMNS)


def test_a_linear_model_is_refused_when_it_is_loaded() -> None:
    rows = np.nan_to_num(random_rows(7, 300))
    with xgb.config_context(verbosity=0):  # it warns of `gblinear`, which it means to drop one day
        settings = {"booster": "gblinear", "objective": "binary:logistic", "nthread": 1}
        model = xgb.train(settings, xgb.DMatrix(rows, np.arange(300) % 2), 2)
        with pytest.raises(BoosterError):
            fast(model, COLUMNS)


def test_a_model_that_was_cut_off_anywhere_is_told_apart_from_a_whole_one(lessons: Rows) -> None:
    whole = bytes(trained(lessons, some_labels(lessons), 3, max_depth=3).save_raw("ubj"))
    assert is_whole(whole)
    assert not any(is_whole(whole[:length]) for length in range(len(whole)))
    assert not is_whole(whole + b"}")


def test_a_model_tells_its_columns_and_the_library_its_version() -> None:
    names = [f"f_{place}" for place in range(3)]
    model = xgb.train({}, xgb.DMatrix(np.eye(3), np.arange(3) % 2, feature_names=names), 1)
    assert fast(model, 3).names == tuple(names)
    assert ".".join(map(str, library_version())) == xgb.__version__
