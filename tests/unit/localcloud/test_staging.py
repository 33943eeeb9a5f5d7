"""What a job finds below /opt/ml, and what becomes of what it leaves there."""

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest

from fraud.manifest import manifest
from ops.localcloud import staging
from ops.localcloud.checks import check_locally
from ops.localcloud.errors import JobFailedError, ServiceError


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with moto.mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="lake")
        yield client


def training(*channels: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "HyperParameters": {"depth": "6"},
        "InputDataConfig": list(channels),
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **changes,
    }


def channel(uri: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    return {"ChannelName": "dataset", "DataSource": {"S3DataSource": source}, **changes}


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("uri", ["s3://lake/runs/r1/dataset/", "s3://lake/runs/r1/dataset"])
def test_channel_holds_the_objects_below_its_prefix(s3: Any, tmp_path: Path, uri: str) -> None:
    for key in ("runs/r1/dataset/train.csv", "runs/r1/dataset/part/x.csv", "runs/r1/dataset/"):
        s3.put_object(Bucket="lake", Key=key, Body=b"1")
    staging.stage_training(s3, training(channel(uri)), tmp_path)
    assert files(tmp_path / "input" / "data") == ["dataset/part/x.csv", "dataset/train.csv"]


def test_single_object_keeps_its_name(s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="lake", Key="runs/r1/model.tar.gz", Body=b"1")
    staging.stage_training(s3, training(channel("s3://lake/runs/r1/model.tar.gz")), tmp_path)
    assert files(tmp_path / "input" / "data") == ["dataset/model.tar.gz"]


def test_prefix_that_catches_a_neighbour_is_refused(s3: Any, tmp_path: Path) -> None:
    for key in ("runs/r1/x", "runs/r10/x"):
        s3.put_object(Bucket="lake", Key=key, Body=b"1")
    with pytest.raises(JobFailedError, match=r"also matches its neighbour 'runs/r10/x'.*end the prefix with '/'"):
        staging.stage_training(s3, training(channel("s3://lake/runs/r1")), tmp_path)


@pytest.mark.parametrize("uri", ["s3://lake/nothing/", "s3://no-such-bucket/x/"])
def test_channel_without_objects_fails(s3: Any, tmp_path: Path, uri: str) -> None:
    with pytest.raises(JobFailedError, match=r"ClientError: .*channel dataset"):
        staging.stage_training(s3, training(channel(uri)), tmp_path)


def listed(s3: Any, document: object, *, uri: str = "s3://lake/runs/r1/days.manifest") -> dict[str, Any]:
    """A processing job with one input that is given as a manifest."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    s3.put_object(Bucket="lake", Key="runs/r1/days.manifest", Body=body)
    source = {"S3DataType": "ManifestFile", "S3Uri": uri, "LocalPath": "/opt/ml/processing/input/decisions"}
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    request = {
        "ProcessingInputs": [{"InputName": "decisions", "S3Input": source}],
        "ProcessingResources": {"ClusterConfig": cluster},
    }
    check_locally("Processing", request)
    return request


def test_an_input_holds_the_objects_that_its_manifest_names_and_no_other(s3: Any, tmp_path: Path) -> None:
    for day in ("01", "02", "03"):
        s3.put_object(Bucket="lake", Key=f"decisions/day=2026-01-{day}/a.parquet", Body=day.encode())
    keys = [f"decisions/day=2026-01-{day}/a.parquet" for day in ("02", "03")]
    staging.stage_processing(s3, listed(s3, json.loads(manifest("lake", "decisions/", keys))), tmp_path)
    folder = tmp_path / "processing/input/decisions"
    assert files(folder) == ["day=2026-01-02/a.parquet", "day=2026-01-03/a.parquet"]
    assert (folder / "day=2026-01-03/a.parquet").read_bytes() == b"03"


def test_a_channel_is_given_as_a_manifest_too(s3: Any, tmp_path: Path) -> None:
    for name in "abc":
        s3.put_object(Bucket="lake", Key=f"in/{name}", Body=b"1")
    s3.put_object(Bucket="lake", Key="m", Body=manifest("lake", "in/", ["in/a", "in/b", "in/c"]))
    source = {
        "S3DataType": "ManifestFile",
        "S3Uri": "s3://lake/m",
        "S3DataDistributionType": "ShardedByS3Key",
    }
    request = training(channel("s3://lake/m", DataSource={"S3DataSource": source}))
    staging.stage_training(s3, request, tmp_path, ("h1", "h2"), 0)
    assert files(tmp_path / "input/data") == ["dataset/a", "dataset/c"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"decisions/a.parquet", "is not JSON"),
        ({"prefix": "s3://lake/decisions/"}, "is not an array that begins with"),
        ([], "is not an array that begins with"),
        (["a.parquet"], "is not an array that begins with"),
        ([{"prefix": "decisions/"}, "a.parquet"], "has no usable prefix"),
        ([{"prefix": "s3://lake/decisions/"}], "names no object"),
        (
            [{"prefix": "s3://lake/decisions/"}, {"prefix": "s3://lake/x/"}],
            "which is no key relative to its prefix",
        ),
        ([{"prefix": "s3://lake/decisions/"}, "../labels/a"], "which is no key relative to its prefix"),
        ([{"prefix": "s3://lake/decisions/"}, "a", "a"], "names an object more than once"),
        ([{"prefix": "s3://lake/decisions/"}, "gone.parquet"], r"ClientError: Data download failed .*404"),
    ],
)
def test_a_manifest_that_sagemaker_would_not_take_fails_the_job(
    s3: Any, tmp_path: Path, document: object, words: str
) -> None:
    with pytest.raises(JobFailedError, match=words):
        staging.stage_processing(s3, listed(s3, document), tmp_path)


def test_a_manifest_that_is_not_there_fails_the_job(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(JobFailedError, match=r"input decisions: s3://lake/no\.manifest: .*NoSuchKey"):
        staging.stage_processing(s3, listed(s3, [], uri="s3://lake/no.manifest"), tmp_path)


def test_gzip_channel_is_unpacked(s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="lake", Key="in/rows.csv.gz", Body=gzip.compress(b"a,b\n"))
    staging.stage_training(s3, training(channel("s3://lake/in/", CompressionType="Gzip")), tmp_path)
    assert (tmp_path / "input/data/dataset/rows.csv").read_bytes() == b"a,b\n"


def test_configuration_is_written_as_sagemaker_writes_it(s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="lake", Key="in/x", Body=b"1")
    staging.stage_training(s3, training(channel("s3://lake/in/", ContentType="text/csv")), tmp_path)
    config = tmp_path / "input" / "config"
    assert json.loads((config / "hyperparameters.json").read_text()) == {"depth": "6"}
    assert json.loads((config / "inputdataconfig.json").read_text()) == {
        "dataset": {
            "ContentType": "text/csv",
            "RecordWrapperType": "None",
            "S3DistributionType": "FullyReplicated",
            "TrainingInputMode": "File",
        }
    }
    resources = json.loads((config / "resourceconfig.json").read_text())
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])


@pytest.mark.parametrize("path", ["/tmp/x", "/opt/ml/../../etc", "processing/input", "/opt/mlx"])  # noqa: S108
def test_paths_outside_opt_ml_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ServiceError, match="must lie below /opt/ml"):
        staging.local_path(tmp_path, path)


def test_model_is_packed_without_its_folder(s3: Any, tmp_path: Path) -> None:
    (tmp_path / "output" / "data").mkdir(parents=True)
    (tmp_path / "output" / "data" / "curve.csv").write_text("1")
    (tmp_path / "model" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "model.ubj").write_bytes(b"trees")
    (tmp_path / "model" / "deep" / "a").write_bytes(b"1")
    uri = staging.pack_model(s3, tmp_path, "s3://lake/runs/r1/model/", "r1-train")
    assert uri == "s3://lake/runs/r1/model/r1-train/output/model.tar.gz"
    s3.download_file("lake", uri.removeprefix("s3://lake/"), str(tmp_path / "back.tar.gz"))
    with tarfile.open(tmp_path / "back.tar.gz") as archive:
        assert archive.getnames() == ["deep", "deep/a", "model.ubj"]
    s3.head_object(Bucket="lake", Key="runs/r1/model/r1-train/output/data/curve.csv")


def test_reason_is_cut_to_what_the_service_keeps(tmp_path: Path) -> None:
    assert staging.read_reason(tmp_path / "failure") == ""
    (tmp_path / "failure").write_text("x" * 5000)
    assert staging.read_reason(tmp_path / "failure") == "x" * 1024


def test_a_processing_job_of_several_instances_is_told_of_one_host(s3: Any, tmp_path: Path) -> None:
    cluster = {"InstanceType": "ml.m5.4xlarge", "InstanceCount": 3, "VolumeSizeInGB": 200}
    request = {"ProcessingResources": {"ClusterConfig": cluster}}
    check_locally("Processing", request)
    staging.stage_processing(s3, request, tmp_path)
    told = json.loads((tmp_path / "config" / "resourceconfig.json").read_bytes())
    assert told["hosts"] == [told["current_host"]] == ["algo-1"]
    assert (told["current_instance_type"], told["requested_instance_count"]) == ("ml.m5.4xlarge", 3)
