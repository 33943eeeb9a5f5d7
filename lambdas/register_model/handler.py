"""From a training run's artifact to an immutable bundle and an entry in the registry, whatever the verdict."""

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fraud.bundle import CorruptBundleError, Manifest
from fraud.release import Verdict
from runtime import clients
from runtime.approvals import RUN_ID
from runtime.auditing import AuditTrail
from runtime.bundles import MANIFEST, MODEL, BundleStore
from runtime.settings import load
from runtime.stores.lineages import Event, Lineage
from runtime.stores.releases import DynamoReleaseStore
from runtime.telemetry import instrumented, logger

from .artifact import unpack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

_LONGEST_DESCRIPTION = 1_024


@dataclass(frozen=True)
class Settings:
    models_bucket: str
    releases_table: str
    audit_table: str
    model_package_group: str
    training_image: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the state machine says of a run.

    Attributes
    ----------
    artifact_uri : str
        Of model.tar.gz.
    evaluation_uri, plan_uri : str
        Of the folder with evaluation.json, and of plan.json, which says why the run was started.
    execution : str
        The ARN of the execution.
    """

    run_id: str
    artifact_uri: str
    evaluation_uri: str
    plan_uri: str = ""
    execution: str = ""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What registration needs to know of evaluation.json."""

    run_id: str
    verdict: Verdict


settings = load(Settings)
s3 = clients.s3(clients.PATIENT)
registry = clients.sagemaker()
bundles = BundleStore(s3, settings.models_bucket)
dynamodb = clients.dynamodb()
releases = DynamoReleaseStore(dynamodb, settings.releases_table, AuditTrail(dynamodb, settings.audit_table))


@instrumented
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the state machine with the registered version, its model package and the verdict."""
    del context
    asked = msgspec.convert(event, Asked)
    evaluation = msgspec.json.decode(_get(s3, f"{asked.evaluation_uri}evaluation.json"), type=Evaluation)
    manifest = register(asked.run_id, _get(s3, asked.artifact_uri), evaluation, bundles)
    reason = msgspec.json.decode(_get(s3, asked.plan_uri)).get("reason", "") if asked.plan_uri else ""
    known = releases.lineage(manifest.version)
    package = known.package if known else enter(registry, settings, asked, manifest, evaluation.verdict, reason)
    lineage = known or releases.register(
        _lineage(asked, manifest, evaluation.verdict, package, reason, at=time.time_ns() // 1_000_000)
    )
    answer = {
        "version": manifest.version,
        "package": lineage.package,
        "passed": evaluation.verdict.passed,
        "reason": evaluation.verdict.reason,
        "metrics": manifest.metrics,
    }
    logger.info("registered", extra=answer)
    return answer


def register(run_id: str, artifact: bytes, evaluation: Evaluation, store: BundleStore) -> Manifest:
    """Write the bundle; the same run registers the same bundle however often it is asked.

    Raises
    ------
    CorruptBundleError
        If the artifact, its manifest and the evaluation are not of the same run.
    """
    files = unpack(artifact)
    manifest = msgspec.json.decode(files.pop(MANIFEST), type=Manifest)
    for what, other in (("manifest", manifest.version), ("evaluation", evaluation.run_id)):
        if other != run_id:
            raise CorruptBundleError(f"run {run_id}: the {what} is that of run {other}")
    others = {name: content for name, content in files.items() if name != MODEL and name in manifest.files}
    store.add(manifest, files[MODEL], others)
    return manifest


def enter(
    client: "SageMakerClient",
    settings: Settings,
    asked: Asked,
    manifest: Manifest,
    verdict: Verdict,
    reason: str,
) -> str:
    """Make the model package of a run, once; return its ARN."""
    bundle = f"s3://{settings.models_bucket}/bundles/{manifest.version}"
    quality: Any = {
        "ModelQuality": {
            "Statistics": {"ContentType": "application/json", "S3Uri": f"{asked.evaluation_uri}evaluation.json"}
        },
        "Explainability": {"Report": {"ContentType": "text/html", "S3Uri": f"{asked.evaluation_uri}report.html"}},
    }
    if "profile.json" in manifest.files:
        statistics = {"ContentType": "application/json", "S3Uri": f"{bundle}/profile.json"}
        quality["ModelDataQuality"] = {"Statistics": statistics}
    made = client.create_model_package(
        ModelPackageGroupName=settings.model_package_group,
        ModelPackageDescription=f"{manifest.version}: {verdict.reason}"[:_LONGEST_DESCRIPTION],
        # Scoring is a Lambda of ours; the registry is told where the model lies, and what made it.
        InferenceSpecification={
            "Containers": [{"Image": settings.training_image, "ModelDataUrl": asked.artifact_uri}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        ModelApprovalStatus="PendingManualApproval" if verdict.passed else "Rejected",
        ModelMetrics=quality,
        CustomerMetadataProperties={
            RUN_ID: asked.run_id,
            "version": manifest.version,
            "dataset": manifest.lineage.dataset,
            "code_version": manifest.lineage.code_version,
            # SageMaker takes no empty values.
            **({"reason": _plain(reason)} if reason else {}),
        },
        # SageMaker takes 36 characters of a token, and a run's id may have more.
        ClientToken=hashlib.sha256(asked.run_id.encode()).hexdigest()[:36],
    )
    return made["ModelPackageArn"]


def _lineage(asked: Asked, manifest: Manifest, verdict: Verdict, package: str, reason: str, *, at: int) -> Lineage:
    by = f"retrain:{asked.execution.rpartition(':')[2] or asked.run_id}"
    first = Event(what="registered" if verdict.passed else "rejected", at=at, by=by, reason=verdict.reason)
    return Lineage(
        version=manifest.version,
        created_at=manifest.created_at,
        dataset=manifest.lineage.dataset,
        code_version=manifest.lineage.code_version,
        parameters=manifest.lineage.parameters,
        metrics=manifest.metrics,
        package=package,
        artifact=asked.artifact_uri,
        evaluation=asked.evaluation_uri,
        execution=asked.execution,
        reason=reason,
        events=(first,),
    )


def _plain(text: str) -> str:
    """A text as the registry takes it as a value: letters, digits, spaces and a few signs, 256 of them."""
    return "".join(each if each.isalnum() or each in " _.:/=+-@" else " " for each in text)[:256]


def _get(client: "S3Client", uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()
