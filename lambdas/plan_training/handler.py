"""The first step of a training run: its name, its moment, and what there is to learn from."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

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
class Settings(Profile):
    lake_bucket: str
    models_bucket: str


class RunInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person or a schedule may say when starting a run; all of it is optional.

    Attributes
    ----------
    as_of : int
        The moment, in ms since the epoch, as of which the run knows the world; its start by default.
    reason : str
        For those who read the list of executions later.
    maturity : str
        The age from which a transaction without a label counts as genuine, such as ``3d``.
    validation_share, evaluation_share : float
        The shares of the rows, the latest ones, that stop and calibrate the model, and that judge it.
    """

    as_of: Annotated[int, msgspec.Meta(gt=0)] | None = None
    reason: str = ""
    maturity: Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}[smhd]$")] | None = None
    validation_share: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] | None = None
    evaluation_share: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] | None = None

    def dataset_options(self) -> list[str]:
        """The options of the dataset step that were given."""
        names = ("maturity", "validation_share", "evaluation_share")
        given = [(name, getattr(self, name)) for name in names]
        return [
            word
            for name, value in given
            if value is not None
            for word in (f"--{name.replace('_', '-')}", str(value))
        ]


settings = load(Settings)
s3 = clients.s3()
appconfigdata = clients.appconfigdata()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the state machine with the plan that every later step works by."""
    del context
    serving = current(appconfigdata, settings)
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
        ``run_id`` and ``started_at`` of the execution, and its ``input`` (see `RunInput`).
    champion : str
        The bundle that serves now, or nothing.
    sources : list of str
        The parts of the lake that hold something: SageMaker refuses an input without objects.

    Raises
    ------
    ValueError
        If there is nothing to learn from, or the input holds something unknown or impossible.
    """
    if not {"history", "decisions"} & set(sources):
        raise ValueError("the lake holds no transactions: import history (paywarden import) or send traffic first")
    run_id = _run_id(event["run_id"])
    try:
        given = msgspec.convert(event.get("input") or {}, RunInput)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"the execution's input: {error}; it may hold {', '.join(RunInput.__struct_fields__)}"
        ) from None
    as_of = given.as_of or _milliseconds(event["started_at"])
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
        "dataset_arguments": ["dataset", "--as-of", str(as_of), *given.dataset_options()],
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
    start = name[: LONGEST_RUN_ID - 9].rstrip("-") or "run"
    return f"{start}-{hashlib.sha256(execution.encode()).hexdigest()[:8]}"


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def _input(name: str, uri: str) -> dict[str, Any]:
    place = {"S3Uri": uri, "LocalPath": f"{INPUT}/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": place}


def _filled(client: "S3Client", bucket: str, source: str) -> bool:
    return client.list_objects_v2(Bucket=bucket, Prefix=f"{source}/", MaxKeys=1)["KeyCount"] > 0
