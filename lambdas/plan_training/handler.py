"""The first step of a training run: its name, its moment, and what there is to learn from."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runtime import clients
from runtime.configuration import Profile, current
from runtime.settings import load
from runtime.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCES = ("history", "decisions", "labels")
INPUT = "/opt/ml/processing/input"
LONGEST_RUN_ID = 40


@dataclass(frozen=True)
class Settings:
    lake_bucket: str
    models_bucket: str
    appconfig_application: str
    appconfig_environment: str
    appconfig_profile: str


settings = load(Settings)
profile = Profile(
    application=settings.appconfig_application,
    environment=settings.appconfig_environment,
    profile=settings.appconfig_profile,
)
s3 = clients.s3()
appconfigdata = clients.appconfigdata()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the state machine with the plan that every later step works by."""
    del context
    serving = current(appconfigdata, profile)
    planned = plan(
        event,
        champion=serving.champion or "",
        sources=[source for source in SOURCES if _filled(s3, settings.lake_bucket, source)],
        lake=settings.lake_bucket,
        models=settings.models_bucket,
    )
    logger.info("planned", extra={"run_id": planned["run_id"], "champion": planned["champion"]})
    return planned


def plan(event: dict[str, Any], *, champion: str, sources: list[str], lake: str, models: str) -> dict[str, Any]:
    """A training run's names and places.

    Parameters
    ----------
    event : dict
        ``run_id`` and ``started_at`` of the execution, and its ``input``, which may name ``as_of``: the
        moment, in ms since the epoch, as of which the run knows the world.
    champion : str
        The bundle that serves now, or nothing.
    sources : list of str
        The parts of the lake that hold something: SageMaker refuses an input without objects.

    Raises
    ------
    ValueError
        If there is nothing to learn from, or `as_of` is no time.
    """
    if not {"history", "decisions"} & set(sources):
        raise ValueError("the lake holds no transactions: import history (paywarden import) or send traffic first")
    run_id = _run_id(event["run_id"])
    as_of = (event.get("input") or {}).get("as_of", _milliseconds(event["started_at"]))
    if not isinstance(as_of, int) or isinstance(as_of, bool) or as_of <= 0:
        raise ValueError("input.as_of: give milliseconds since 1970-01-01 UTC as a number, or leave it out")
    run = f"s3://{models}/runs/{run_id}"
    jobs = {step: f"{run_id}-{step}" for step in ("dataset", "train", "evaluate")}
    artifact = f"{run}/model/{jobs['train']}/output/model.tar.gz"
    evaluated = {"dataset": f"{run}/dataset/", "model": artifact}
    if champion:
        evaluated["champion"] = f"s3://{models}/bundles/{champion}/"
    return {
        "run_id": run_id,
        "as_of": str(as_of),
        "jobs": jobs,
        "champion": champion,
        "dataset_uri": f"{run}/dataset/",
        "model_uri": f"{run}/model",
        "artifact_uri": artifact,
        "evaluation_uri": f"{run}/evaluation/",
        "dataset_inputs": [_input(source, f"s3://{lake}/{source}/") for source in sources],
        "evaluation_inputs": [_input(name, uri) for name, uri in evaluated.items()],
    }


def _run_id(execution: str) -> str:
    """An execution's name, cut to what SageMaker allows in the name of a job; the same each time."""
    name = re.sub(r"[^A-Za-z0-9-]+", "-", execution).strip("-")
    if name == execution and len(name) <= LONGEST_RUN_ID:
        return name
    return f"{name[: LONGEST_RUN_ID - 9].rstrip('-')}-{hashlib.sha256(execution.encode()).hexdigest()[:8]}"


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def _input(name: str, uri: str) -> dict[str, Any]:
    place = {"S3Uri": uri, "LocalPath": f"{INPUT}/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": place}


def _filled(client: "S3Client", bucket: str, source: str) -> bool:
    return client.list_objects_v2(Bucket=bucket, Prefix=f"{source}/", MaxKeys=1)["KeyCount"] > 0
