"""From a training run's artifact to an immutable bundle, with the verdict on whether it shall serve."""

import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fraud.bundle import CorruptBundleError, Manifest
from runtime import clients
from runtime.bundles import MANIFEST, MODEL, BundleStore
from runtime.settings import load
from runtime.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Settings:
    models_bucket: str


settings = load(Settings)
s3 = clients.s3()
bundles = BundleStore(s3, settings.models_bucket)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the state machine with the registered version and the verdict."""
    del context
    evaluation = msgspec.json.decode(_get(s3, f"{event['evaluation_uri']}evaluation.json"))
    answer = register(event["run_id"], _get(s3, event["artifact_uri"]), evaluation, bundles)
    logger.info("registered", extra=answer)
    return answer


def register(run_id: str, artifact: bytes, evaluation: dict[str, Any], store: BundleStore) -> dict[str, Any]:
    """Write the bundle; the same run registers the same bundle however often it is asked.

    Raises
    ------
    CorruptBundleError
        If the artifact, its manifest and the evaluation are not of the same run.
    """
    files = unpack(artifact)
    manifest = msgspec.json.decode(files[MANIFEST], type=Manifest)
    for what, other in (("manifest", manifest.version), ("evaluation", evaluation["run_id"])):
        if other != run_id:
            raise CorruptBundleError(f"run {run_id}: the {what} is that of run {other}")
    store.add(manifest, files[MODEL])
    return {
        "version": manifest.version,
        "promote": evaluation["verdict"]["promote"],
        "reason": evaluation["verdict"]["reason"],
        "metrics": {"candidate": evaluation["candidate"], "champion": evaluation["champion"]},
    }


def unpack(artifact: bytes) -> dict[str, bytes]:
    """The files of a model.tar.gz, read in memory: nothing of it is ever extracted to a path.

    Raises
    ------
    CorruptBundleError
        If a file of a bundle is not in it, or is larger than any model may be.
    """
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(artifact), mode="r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name not in (MODEL, MANIFEST) or not member.isfile():
                continue
            if member.size > MOST_BYTES:
                raise CorruptBundleError(f"{name} has {member.size} bytes; a model has at most {MOST_BYTES}")
            content = archive.extractfile(member)
            if content is not None:
                files[name] = content.read()
    missing = {MODEL, MANIFEST} - files.keys()
    if missing:
        raise CorruptBundleError(f"model.tar.gz lacks {', '.join(sorted(missing))}")
    return files


def _get(client: "S3Client", uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()
