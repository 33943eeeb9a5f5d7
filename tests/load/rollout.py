"""Models by the way that a trained one takes: registered and promoted by the deployed functions."""

import io
import tarfile

import msgspec

from fraud.bundle import Manifest
from fraud.calibration import Calibration
from ops.deployment import Deployment
from ops.functions import calling
from runtime.bundles import MANIFEST, MODEL
from tests.unit.lambdas.support import bundle

__all__ = ["VERSIONS", "corrupt", "promote", "register"]

VERSIONS = {
    "run-1": Calibration(a=-0.8, b=0.3),
    "run-2": Calibration(a=-1.1, b=0.1),
    "run-3": Calibration(a=-1, b=0),
}
"""The champion, the one that it is swapped for, and one that is damaged after it was registered."""


def register(deployment: Deployment, version: str) -> None:
    """Make the bundle of a version out of a training run's artifact and evaluation."""
    manifest, model = bundle(version)
    manifest = msgspec.structs.replace(manifest, calibration=VERSIONS[version])
    verdict = {"passed": True, "reason": "load test"}
    evaluation = {"run_id": version, "verdict": verdict, "candidate": {}, "champion": None}
    prefix = f"s3://{deployment['ModelsBucket']}/runs/{version}/load/"
    put(deployment, f"runs/{version}/load/model.tar.gz", _artifact(manifest, model))
    put(deployment, f"runs/{version}/load/evaluation.json", msgspec.json.encode(evaluation))
    event = {"run_id": version, "artifact_uri": f"{prefix}model.tar.gz", "evaluation_uri": prefix}
    answer = calling(deployment, "register_model")(event)
    assert answer["version"] == version
    deployment.client("sagemaker").update_model_package(
        ModelPackageArn=answer["package"], ModelApprovalStatus="Approved", ApprovalDescription="load test"
    )


def promote(deployment: Deployment, version: str) -> None:
    """Make a registered and approved version the champion."""
    policy = {"probation_minutes": 0}
    event = {"action": "promote", "version": version, "policy": policy, "reason": "load test"}
    assert calling(deployment, "release_model")(event)["changed"]


def corrupt(deployment: Deployment, version: str) -> None:
    """Change one byte of a registered model."""
    key = f"bundles/{version}/{MODEL}"
    bucket = deployment["ModelsBucket"]
    stored = bytearray(deployment.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    stored[len(stored) // 2] ^= 1
    put(deployment, key, bytes(stored))


def put(deployment: Deployment, key: str, content: bytes) -> None:
    deployment.client("s3").put_object(Bucket=deployment["ModelsBucket"], Key=key, Body=content)


def _artifact(manifest: Manifest, model: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in ((MANIFEST, msgspec.json.encode(manifest)), (MODEL, model)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
