"""Scoring through XGBoost's C API, and the bundles that it scores with."""

from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import numpy as np
import pytest
import xgboost as xgb
from moto import mock_aws

from fraud.bundle import CorruptBundleError, Lineage, Manifest, digest
from fraud.calibration import Calibration, calibrate
from runtime.booster import Booster, BoosterError, library_version
from runtime.bundles import BundleStore

COLUMNS = 12
NAMES = tuple(f"f{number}" for number in range(COLUMNS))


@pytest.fixture(scope="module")
def rows() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(3_000, COLUMNS)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    return values


@pytest.fixture(scope="module")
def reference(rows: np.ndarray[Any, Any]) -> xgb.Booster:
    labels = np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1]) > 1
    settings = {"objective": "binary:logistic", "max_depth": 6, "tree_method": "hist", "nthread": 1}
    return xgb.train(settings, xgb.DMatrix(rows, labels), 60)


@pytest.fixture(scope="module")
def model(reference: xgb.Booster) -> bytes:
    return bytes(reference.save_raw("ubj"))


def test_scores_are_those_of_the_python_package_to_the_last_bit(
    rows: np.ndarray[Any, Any], reference: xgb.Booster, model: bytes
) -> None:
    booster = Booster(model, COLUMNS)
    expected = reference.inplace_predict(rows)
    assert [np.float32(booster.predict(row.tolist())) for row in rows] == list(expected)


def test_contributions_are_those_of_the_python_package_to_the_last_bit(
    rows: np.ndarray[Any, Any], reference: xgb.Booster, model: bytes
) -> None:
    booster = Booster(model, COLUMNS)
    expected = reference.predict(xgb.DMatrix(rows[:200]), pred_contribs=True)
    for row, wanted in zip(rows[:200], expected, strict=True):
        assert [np.float32(value) for value in booster.contributions(row.tolist())] == list(wanted)


def test_a_row_or_a_model_of_the_wrong_shape_is_refused(model: bytes) -> None:
    with pytest.raises(BoosterError, match="12 features, its manifest lists 11"):
        Booster(model, COLUMNS - 1)
    booster = Booster(model, COLUMNS)
    for length in (0, COLUMNS - 1, COLUMNS + 1):
        with pytest.raises(BoosterError, match=f"row of {length}"):
            booster.predict([0.0] * length)
        with pytest.raises(BoosterError, match=f"row of {length}"):
            booster.contributions([0.0] * length)


@pytest.mark.parametrize("content", [b"", b"no model", b"{}", b"\x00" * 64])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(BoosterError):
        Booster(content, COLUMNS)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="models")
        yield client


def manifest(model: bytes, **changes: Any) -> Manifest:
    made = Manifest(
        version="run-1",
        created_at=1,
        features=NAMES,
        feature_set="fs",
        calibration=Calibration(a=-0.9, b=0.1),
        metrics={},
        lineage=Lineage(run_id="run-1", dataset="d", parameters={}, code_version="c"),
        files={"model.ubj": digest(model)},
    )
    return msgspec.structs.replace(made, **changes)


def test_a_bundle_is_written_once_and_scores(s3: Any, model: bytes, rows: np.ndarray[Any, Any]) -> None:
    store = BundleStore(s3, "models")
    store.add(manifest(model), model)
    store.add(manifest(model), model)
    served = store.load("run-1", ("extra", *reversed(NAMES)))
    vector = [99.0, *reversed(rows[0].tolist())]
    row = served.row(("extra", *reversed(NAMES)), vector)
    raw, score = served.score(row)
    assert raw == Booster(model, COLUMNS).predict(rows[0].tolist())
    assert score == calibrate(raw, Calibration(a=-0.9, b=0.1))
    assert served.contributions(row).keys() == set(NAMES)


def test_a_bundle_never_changes(s3: Any, model: bytes, reference: xgb.Booster) -> None:
    store = BundleStore(s3, "models")
    store.add(manifest(model), model)
    other = bytes(reference[:10].save_raw("ubj"))
    with pytest.raises(CorruptBundleError, match="never change"):
        store.add(manifest(other), other)
    with pytest.raises(CorruptBundleError, match="never change"):
        store.add(manifest(model, created_at=2), model)
    assert store.load("run-1", NAMES).manifest == manifest(model)


def test_a_model_that_is_not_its_manifests_is_never_served(s3: Any, model: bytes) -> None:
    store = BundleStore(s3, "models")
    with pytest.raises(CorruptBundleError, match="digest"):
        store.add(manifest(model), model + b"x")
    store.add(manifest(model), model)
    s3.put_object(Bucket="models", Key="bundles/run-1/model.ubj", Body=model[:-1])
    with pytest.raises(CorruptBundleError, match="digest"):
        store.load("run-1", NAMES)


def test_what_is_no_bundle_is_refused_by_name(s3: Any, model: bytes) -> None:
    store = BundleStore(s3, "models")
    with pytest.raises(CorruptBundleError, match="nowhere"):
        store.load("nowhere", NAMES)
    for trick in ("../runs", "a/b", "", ".", "x" * 200):
        with pytest.raises(CorruptBundleError, match="no bundle version"):
            store.load(trick, NAMES)
    store.add(manifest(model), model)
    with pytest.raises(CorruptBundleError, match="f11"):
        store.load("run-1", NAMES[:-1])
    s3.put_object(Bucket="models", Key="bundles/run-2/manifest.json", Body=b'{"version": 1}')
    with pytest.raises(CorruptBundleError, match="run-2"):
        store.load("run-2", NAMES)


def test_a_manifest_of_another_version_is_not_taken_for_the_bundles_own(s3: Any, model: bytes) -> None:
    store = BundleStore(s3, "models")
    store.add(manifest(model), model)
    for name in ("model.ubj", "manifest.json"):
        s3.copy_object(Bucket="models", Key=f"bundles/run-2/{name}", CopySource=f"models/bundles/run-1/{name}")
    for read in (store.manifest, lambda version: store.load(version, NAMES)):
        with pytest.raises(CorruptBundleError, match="bundle run-2: its manifest is that of bundle run-1"):
            read("run-2")


@pytest.mark.parametrize("length", [1, 22, 62, 1_000, -1])
def test_a_part_of_a_model_never_becomes_a_bundle(s3: Any, model: bytes, length: int) -> None:
    """XGBoost ends the process on some of these, and never returns from others."""
    part = model[:length]
    with pytest.raises(CorruptBundleError, match="not a whole UBJSON document"):
        BundleStore(s3, "models").add(manifest(part), part)


def test_a_model_that_a_newer_xgboost_wrote_is_not_served(s3: Any, model: bytes) -> None:
    store = BundleStore(s3, "models")
    major, minor, patch = library_version()
    for version, wrote in {"patch": (major, minor, patch + 1), "older": (major, minor - 1, 9)}.items():
        store.add(manifest(model, version=version, xgboost=".".join(map(str, wrote))), model)
        assert store.load(version, NAMES).manifest.version == version
    for version, wrote in {"minor": (major, minor + 1, 0), "major": (major + 1, 0, 0)}.items():
        store.add(manifest(model, version=version, xgboost=".".join(map(str, wrote))), model)
        with pytest.raises(CorruptBundleError, match=r"wrote it, but .* serves; raise xgboost-cpu"):
            store.load(version, NAMES)
    store.add(manifest(model, version="odd", xgboost="latest"), model)
    with pytest.raises(CorruptBundleError, match="xgboost is no version"):
        store.load("odd", NAMES)


def test_a_model_whose_columns_are_in_another_order_is_not_served(s3: Any, rows: np.ndarray[Any, Any]) -> None:
    data = xgb.DMatrix(rows, rows[:, 0] > 0, feature_names=[*reversed(NAMES)])
    named = bytes(xgb.train({"objective": "binary:logistic", "nthread": 1}, data, 2).save_raw("ubj"))
    store = BundleStore(s3, "models")
    store.add(manifest(named), named)
    with pytest.raises(CorruptBundleError, match=r"columns of model\.ubj are not those of its manifest"):
        store.load("run-1", NAMES)
    store.add(manifest(named, version="run-2", features=NAMES[::-1]), named)
    assert store.load("run-2", NAMES).booster.names == NAMES[::-1]


def test_a_bundle_from_before_these_fields_can_be_read(s3: Any, model: bytes) -> None:
    store = BundleStore(s3, "models")
    store.add(manifest(model), model)
    document = msgspec.json.decode(
        s3.get_object(Bucket="models", Key="bundles/run-1/manifest.json")["Body"].read()
    )
    del document["xgboost"], document["reasons"], document["calibration"]["c"]
    s3.put_object(Bucket="models", Key="bundles/run-1/manifest.json", Body=msgspec.json.encode(document))
    assert store.load("run-1", NAMES).manifest == manifest(model)
