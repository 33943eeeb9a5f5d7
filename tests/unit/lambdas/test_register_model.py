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
from botocore.stub import Stubber

from fraud.bundle import CorruptBundleError, digest
from fraud.features import STANDARD
from lambdas.register_model.artifact import MOST_BYTES, unpack
from runtime import clients
from runtime.bundles import BundleStore
from tests.unit.lambdas.releases import GROUP, Registry, releases_table
from tests.unit.lambdas.support import REGION, Context, bundle

MANIFEST, MODEL = bundle("run-1")
MANIFEST_JSON = msgspec.json.encode(MANIFEST)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def function(load: Any, aws: None, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    del aws
    monkeypatch.setattr(clients, "sagemaker", lambda: registry)
    releases_table()
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


def document(run_id: str = "run-1", *, passed: bool = True) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "candidate": {"auc": 0.91},
        "champion": None,
        "verdict": {"passed": passed, "reason": "There was no model before."},
    }


def registered(function: ModuleType, artifact: bytes, store: BundleStore, *, of: str = "run-1") -> Any:
    """Register what run-1 left, with the evaluation of a run."""
    evaluation = msgspec.convert(document(of), function.Evaluation)
    return function.register("run-1", artifact, evaluation, store)


def keys() -> dict[str, bytes]:
    client = boto3.client("s3")
    listed = client.list_objects_v2(Bucket="models").get("Contents", [])
    return {one["Key"]: client.get_object(Bucket="models", Key=one["Key"])["Body"].read() for one in listed}


def test_a_run_becomes_a_bundle_that_serving_loads(function: ModuleType, store: BundleStore) -> None:
    assert registered(function, archive(*GOOD), store) == MANIFEST
    assert store.manifest("run-1") == MANIFEST
    assert store.load("run-1", STANDARD.names).manifest == MANIFEST


def test_registering_again_changes_nothing(function: ModuleType, store: BundleStore) -> None:
    registered(function, archive(*GOOD), store)
    before = keys()
    assert registered(function, archive(*reversed(GOOD)), store) == MANIFEST
    assert keys() == before


PROFILE = b'{"rows": 400}'
PROFILED = msgspec.structs.replace(MANIFEST, files={**MANIFEST.files, "profile.json": digest(PROFILE)})
PROFILED_JSON = msgspec.json.encode(PROFILED)


def test_every_file_of_the_manifest_is_part_of_the_bundle(function: ModuleType, store: BundleStore) -> None:
    members = (
        member("manifest.json", PROFILED_JSON),
        GOOD[1],
        member("profile.json", PROFILE),
        member("notes", b"x"),
    )
    registered(function, archive(*members), store)
    assert keys().keys() == {f"bundles/run-1/{name}" for name in ("manifest.json", "model.ubj", "profile.json")}
    assert keys()["bundles/run-1/profile.json"] == PROFILE
    assert store.check("run-1") == PROFILED
    boto3.client("s3").put_object(Bucket="models", Key="bundles/run-1/profile.json", Body=b"other")
    with pytest.raises(CorruptBundleError, match=r"profile\.json"):
        store.check("run-1")


@pytest.mark.parametrize("more", [(), (member("profile.json", b"other"),)])
def test_a_file_of_the_manifest_that_is_missing_or_another_is_refused(
    function: ModuleType, store: BundleStore, more: tuple[Any, ...]
) -> None:
    with pytest.raises(CorruptBundleError, match=r"profile\.json"):
        registered(function, archive(member("manifest.json", PROFILED_JSON), GOOD[1], *more), store)
    assert keys() == {}


def test_a_registered_version_never_changes(function: ModuleType, store: BundleStore) -> None:
    registered(function, archive(*GOOD), store)
    before = keys()
    other = msgspec.structs.replace(MANIFEST, metrics={"auc": 0.99})
    forged = archive(member("manifest.json", msgspec.json.encode(other)), GOOD[1])
    with pytest.raises(CorruptBundleError, match="bundles never change"):
        registered(function, forged, store)
    assert keys() == before


def test_a_run_that_ended_half_way_is_completed(function: ModuleType, store: BundleStore) -> None:
    boto3.client("s3").put_object(Bucket="models", Key="bundles/run-1/model.ubj", Body=MODEL)
    with pytest.raises(CorruptBundleError):
        store.manifest("run-1")  # without a manifest there is no bundle
    registered(function, archive(*GOOD), store)
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
        function.register(run_id, archive(*GOOD), msgspec.convert(document(evaluated), function.Evaluation), store)
    assert keys() == {}


def test_a_model_that_is_not_the_manifests_is_refused(function: ModuleType, store: BundleStore) -> None:
    tampered = archive(GOOD[0], member("model.ubj", MODEL[:-1] + b"?"))
    with pytest.raises(CorruptBundleError, match="digest"):
        registered(function, tampered, store)
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
def test_hostile_members_have_no_effect(hostile: Any, first: bool) -> None:
    members = (hostile, *GOOD) if first else (*GOOD, hostile)
    found = unpack(archive(*members))
    assert (found["manifest.json"], found["model.ubj"], len(found)) == (MANIFEST_JSON, MODEL, 2)


def test_an_archive_of_many_files_is_refused() -> None:
    with pytest.raises(CorruptBundleError, match="more than 16 files"):
        unpack(archive(*GOOD, *(member(f"file-{number}", b"") for number in range(20))))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_is_no_model(kind: bytes) -> None:
    linked = archive(GOOD[0], member("other", MODEL), member("model.ubj", kind=kind, link="other"))
    with pytest.raises(CorruptBundleError, match=r"lacks model\.ubj"):
        unpack(linked)


def test_leading_dots_are_read_as_sagemaker_writes_them() -> None:
    made = archive(member("./manifest.json", MANIFEST_JSON), member("./model.ubj", MODEL))
    assert unpack(made) == {"manifest.json": MANIFEST_JSON, "model.ubj": MODEL}


@pytest.mark.parametrize(("members", "missing"), [(GOOD[:1], "model.ubj"), (GOOD[1:], "manifest.json")])
def test_what_is_missing_is_named(members: Any, missing: str) -> None:
    with pytest.raises(CorruptBundleError, match=missing):
        unpack(archive(*members))


def test_a_file_larger_than_any_model_is_refused_before_it_is_read() -> None:
    info = tarfile.TarInfo("model.ubj")
    info.size = MOST_BYTES + 1
    # Only the header: reading the content it promises would fail in another way.
    with pytest.raises(CorruptBundleError, match="a model has at most"):
        unpack(gzip.compress(info.tobuf()))


@pytest.mark.parametrize(("passed", "status"), [(True, "PendingManualApproval"), (False, "Rejected")])
def test_the_function_registers_what_the_run_left(
    function: ModuleType,
    store: BundleStore,
    registry: Registry,
    logged: io.StringIO,
    passed: bool,
    status: str,
) -> None:
    client = boto3.client("s3")
    artifact = "runs/run-1/model/run-1-train-r0/output/model.tar.gz"
    contents = {
        artifact: archive(*GOOD),
        "runs/run-1/evaluation/evaluation.json": json.dumps(document(passed=passed)).encode(),
        "runs/run-1/plan/plan.json": b'{"reason": "the weekly schedule (!)"}',
    }
    for key, content in contents.items():
        client.put_object(Bucket="models", Key=key, Body=content)
    event = {
        "run_id": "run-1",
        "champion": "",
        "artifact_uri": f"s3://models/{artifact}",
        "evaluation_uri": "s3://models/runs/run-1/evaluation/",
        "dataset_uri": "s3://models/runs/run-1/dataset/",
        "plan_uri": "s3://models/runs/run-1/plan/plan.json",
        "execution": "arn:aws:states:eu-west-1:123456789012:execution:retrain:run-1",
    }
    answer = function.handler(event, Context())
    assert answer == {
        "version": "run-1",
        "package": f"{GROUP}/1",
        "passed": passed,
        "reason": "There was no model before.",
        "metrics": {"auc": 0.9},
    }
    assert store.manifest("run-1") == MANIFEST
    assert "registered" in logged.getvalue()
    [package] = registry.made
    assert package["ModelApprovalStatus"] == status
    assert package["CustomerMetadataProperties"] == {
        "run_id": "run-1",
        "version": "run-1",
        "dataset": "d" * 12,
        "code_version": "c0ffee",
        "reason": "the weekly schedule    ",
    }
    found = function.releases.lineage("run-1")
    assert (found.package, found.reason) == (f"{GROUP}/1", "the weekly schedule (!)")
    assert [(each.what, each.by) for each in found.events] == [
        ("registered" if passed else "rejected", "retrain:run-1")
    ]
    assert function.handler(event, Context()) == answer
    assert len(registry.made) == 1


def test_what_is_sent_to_the_registry_is_what_sagemaker_takes(function: ModuleType, registry: Registry) -> None:
    asked = function.Asked(run_id="run-1", artifact_uri="s3://m/a", evaluation_uri="s3://m/e/")
    function.enter(registry, function.settings, asked, PROFILED, function.Verdict(passed=True, reason="good"), "x")
    # Nothing is sent: the fake call ends where the real one would begin.
    client = boto3.client("sagemaker")
    with Stubber(client) as stub:
        stub.add_response("create_model_package", {"ModelPackageArn": f"{GROUP}/1"}, registry.made[0])
        client.create_model_package(**registry.made[0])
