"""The first step of a training run: its name, its moment, and what there is to learn from."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from runtime import clients
from runtime.configuration import Profile, current
from runtime.settings import load
from runtime.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCES = ("history", "decisions", "labels", "outcomes")
INPUT = "/opt/ml/processing/input"
LONGEST_RUN_ID = 40

# What one machine of 16 GB takes into memory, with room to spare: see docs/decisions/0013-spark.md.
SPARK_FROM_BYTES = 300_000_000
BYTES_PER_SPARK_MACHINE = 1_000_000_000
FEWEST_SPARK_MACHINES, MOST_SPARK_MACHINES = 2, 8


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
    engine : str
        What computes features from history; by default it depends on the size of the lake.
    vectors : str
        Of rows that were decided: the vectors that scored them, or ones computed from history.
    """

    as_of: Annotated[int, msgspec.Meta(gt=0)] | None = None
    reason: str = ""
    maturity: Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}[smhd]$")] | None = None
    validation_share: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] | None = None
    evaluation_share: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] | None = None
    engine: Literal["auto", "vectorised", "spark"] = "auto"
    vectors: Literal["as_served", "as_corrected"] = "as_served"

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


class Machines(msgspec.Struct, frozen=True, kw_only=True):
    """What the dataset step runs on.

    Attributes
    ----------
    isolated : bool
        Whether the job has no network at all. SageMaker promises the machines of a training job that they reach
        one another then, and nothing of the kind for a processing job, so several are not isolated.
    encrypted : bool
        Whether what the machines send one another is encrypted.
    """

    count: int = 1
    type: str = "ml.m5.xlarge"
    volume_gb: int = 30
    isolated: bool = True
    encrypted: bool = False


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
        sizes={source: _size(s3, settings.lake_bucket, source) for source in SOURCES},
        lake=settings.lake_bucket,
        models=settings.models_bucket,
    )
    told = ("run_id", "champion", "engine")
    logger.info("planned", extra={name: planned[name] for name in told})
    return planned


def plan(
    event: dict[str, Any], *, champion: str, sizes: Mapping[str, int | None], lake: str, models: str
) -> dict[str, Any]:
    """A training run's names and places.

    Parameters
    ----------
    event : dict
        ``run_id`` and ``started_at`` of the execution, and its ``input`` (see `RunInput`).
    champion : str
        The bundle that serves now, or nothing.
    sizes : mapping of str to int or None
        How many bytes each part of the lake holds; None where it has no objects, since SageMaker refuses an input
        without any.

    Raises
    ------
    ValueError
        If there is nothing to learn from, or the input holds something unknown or impossible.
    """
    sources = [source for source, size in sizes.items() if size is not None]
    if not {"history", "decisions"} & set(sources):
        raise ValueError("the lake holds no transactions: import history (paywarden import) or send traffic first")
    run_id = _run_id(event["run_id"])
    try:
        given = msgspec.convert(event.get("input") or {}, RunInput)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"the execution's input: {error}; it may hold {', '.join(RunInput.__struct_fields__)}"
        ) from None
    engine, machines = _machines(given.engine, sum(size or 0 for size in sizes.values()))
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
        "engine": engine,
        "dataset_arguments": [
            *("dataset", "--as-of", str(as_of), "--engine", engine, "--vectors", given.vectors),
            *given.dataset_options(),
        ],
        "dataset_machines": msgspec.to_builtins(machines),
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


def _machines(engine: str, size: int) -> tuple[str, Machines]:
    """The engine for a lake of so many bytes, and what it runs on."""
    if engine == "auto":
        engine = "spark" if size > SPARK_FROM_BYTES else "vectorised"
    if engine != "spark":
        return engine, Machines()
    count = min(max(-(-size // BYTES_PER_SPARK_MACHINE), FEWEST_SPARK_MACHINES), MOST_SPARK_MACHINES)
    return engine, Machines(count=count, type="ml.m5.4xlarge", volume_gb=200, isolated=False, encrypted=True)


def _size(client: "S3Client", bucket: str, source: str) -> int | None:
    """The bytes under a prefix, counted up to where more would change nothing; None if there is no object."""
    found: int | None = None
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{source}/"):
        for item in page.get("Contents", []):
            found = (found or 0) + item["Size"]
        if (found or 0) > BYTES_PER_SPARK_MACHINE * MOST_SPARK_MACHINES:
            break
    return found
