"""A training run's artifact becomes a bundle once, and only if it is what it says."""

import gzip
import io
import json
import tarfile
from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest

from fraud.bundle import CorruptBundleError
from fraud.features import STANDARD
from runtime import clients
from runtime.bundles import BundleStore
from tests.unit.lambdas.support import REGION, Context, bundle

MANIFEST, MODEL = bundle("run-1")
MANIFEST_JSON = msgspec.json.encode(MANIFEST)


@pytest.fixture
def function(load: Any) -> ModuleType:
    module: ModuleType = load("register_model")
    return module


@pytest.fixture
def store(function: ModuleType) -> BundleStore:
    client = clients.s3()
    client.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    made: BundleStore = function.bundles
    return made


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Any:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def archive(*members: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


GOOD = (member("manifest.json", MANIFEST_JSON), member("model.ubj", MODEL))


def evaluation(run_id: str = "run-1", *, promote: bool = True) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "candidate": {"auc": 0.91},
        "champion": None,
        "verdict": {"promote": promote, "reason": "There was no model before."},
    }


def keys() -> dict[str, bytes]:
    client = boto3.client("s3")
    listed = client.list_objects_v2(Bucket="models").get("Contents", [])
    return {one["Key"]: client.get_object(Bucket="models", Key=one["Key"])["Body"].read() for one in listed}


@pytest.mark.parametrize("promote", [True, False])
def test_a_run_becomes_a_bundle_that_serving_loads(
    function: ModuleType, store: BundleStore, promote: bool
) -> None:
    answer = function.register("run-1", archive(*GOOD), evaluation(promote=promote), store)
    assert answer == {
        "version": "run-1",
        "promote": promote,
        "reason": "There was no model before.",
        "metrics": {"candidate": {"auc": 0.91}, "champion": None},
    }
    assert store.manifest("run-1") == MANIFEST
    assert store.load("run-1", STANDARD.names).manifest == MANIFEST


def test_registering_again_changes_nothing(function: ModuleType, store: BundleStore) -> None:
    first = function.register("run-1", archive(*GOOD), evaluation(), store)
    before = keys()
    assert function.register("run-1", archive(*reversed(GOOD)), evaluation(), store) == first
    assert keys() == before


def test_a_registered_version_never_changes(function: ModuleType, store: BundleStore) -> None:
    function.register("run-1", archive(*GOOD), evaluation(), store)
    before = keys()
    other = msgspec.structs.replace(MANIFEST, metrics={"auc": 0.99})
    forged = archive(member("manifest.json", msgspec.json.encode(other)), GOOD[1])
    with pytest.raises(CorruptBundleError, match="bundles never change"):
        function.register("run-1", forged, evaluation(), store)
    assert keys() == before


def test_a_run_that_ended_half_way_is_completed(function: ModuleType, store: BundleStore) -> None:
    boto3.client("s3").put_object(Bucket="models", Key="bundles/run-1/model.ubj", Body=MODEL)
    with pytest.raises(CorruptBundleError):
        store.manifest("run-1")  # without a manifest there is no bundle
    function.register("run-1", archive(*GOOD), evaluation(), store)
    assert store.load("run-1", STANDARD.names).manifest == MANIFEST


@pytest.mark.parametrize(
    ("run_id", "evaluated", "told"),
    [
        ("run-2", "run-2", "the manifest is that of run run-1"),
        ("run-1", "run-2", "the evaluation is that of run run-2"),
    ],
)
def test_parts_of_different_runs_are_refused(
    function: ModuleType, store: BundleStore, run_id: str, evaluated: str, told: str
) -> None:
    with pytest.raises(CorruptBundleError, match=told):
        function.register(run_id, archive(*GOOD), evaluation(evaluated), store)
    assert keys() == {}


def test_a_model_that_is_not_the_manifests_is_refused(function: ModuleType, store: BundleStore) -> None:
    tampered = archive(GOOD[0], member("model.ubj", MODEL[:-1] + b"?"))
    with pytest.raises(CorruptBundleError, match="digest"):
        function.register("run-1", tampered, evaluation(), store)
    assert keys() == {}


HOSTILE = [
    member("/etc/passwd", b"x"),
    member("../../model.ubj", b"x"),
    member("other/model.ubj", b"x"),
    member("manifest.json", kind=tarfile.DIRTYPE),
    member("model.ubj", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    member("manifest.json", kind=tarfile.LNKTYPE, link="other/model.ubj"),
    member("model.ubj", kind=tarfile.FIFOTYPE),
    member("model.ubj", kind=tarfile.CHRTYPE),
    member("code/run.py", b"import os"),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: f"{one[0].name} {one[0].type.decode()}")
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_hostile_members_have_no_effect(function: ModuleType, hostile: Any, first: bool) -> None:
    members = (hostile, *GOOD) if first else (*GOOD, hostile)
    assert function.unpack(archive(*members)) == {"manifest.json": MANIFEST_JSON, "model.ubj": MODEL}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_is_no_model(function: ModuleType, kind: bytes) -> None:
    linked = archive(GOOD[0], member("other", MODEL), member("model.ubj", kind=kind, link="other"))
    with pytest.raises(CorruptBundleError, match=r"lacks model\.ubj"):
        function.unpack(linked)


def test_leading_dots_are_read_as_sagemaker_writes_them(function: ModuleType) -> None:
    made = archive(member("./manifest.json", MANIFEST_JSON), member("./model.ubj", MODEL))
    assert function.unpack(made) == {"manifest.json": MANIFEST_JSON, "model.ubj": MODEL}


@pytest.mark.parametrize(("members", "missing"), [(GOOD[:1], "model.ubj"), (GOOD[1:], "manifest.json")])
def test_what_is_missing_is_named(function: ModuleType, members: Any, missing: str) -> None:
    with pytest.raises(CorruptBundleError, match=missing):
        function.unpack(archive(*members))


def test_a_file_larger_than_any_model_is_refused_before_it_is_read(function: ModuleType) -> None:
    info = tarfile.TarInfo("model.ubj")
    info.size = function.MOST_BYTES + 1
    # Only the header: reading the content it promises would fail in another way.
    with pytest.raises(CorruptBundleError, match="a model has at most"):
        function.unpack(gzip.compress(info.tobuf()))


def test_the_function_registers_what_the_run_left(
    function: ModuleType, store: BundleStore, logged: io.StringIO
) -> None:
    client = boto3.client("s3")
    artifact, verdict = "runs/run-1/model/run-1-train/output/model.tar.gz", "runs/run-1/evaluation/evaluation.json"
    client.put_object(Bucket="models", Key=artifact, Body=archive(*GOOD))
    client.put_object(Bucket="models", Key=verdict, Body=json.dumps(evaluation()).encode())
    event = {
        "run_id": "run-1",
        "artifact_uri": f"s3://models/{artifact}",
        "evaluation_uri": "s3://models/runs/run-1/evaluation/",
    }
    answer = function.handler(event, Context())
    assert (answer["version"], answer["promote"]) == ("run-1", True)
    assert store.manifest("run-1") == MANIFEST
    assert "registered" in logged.getvalue()
    assert function.handler(event, Context()) == answer
