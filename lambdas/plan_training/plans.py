"""The plan of a run, which never changes, and the state of the execution that follows from it."""

from typing import Any

import msgspec

from fraud.policy import Policy
from fraud.release import RunPolicy

from .asked import RunInput

__all__ = [
    "DECIDED",
    "INPUT",
    "Machines",
    "Part",
    "Plan",
    "choose_engine",
    "machine_to_compare",
    "machines_to_read",
    "read_from",
    "state_of",
]

INPUT = "/opt/ml/processing/input"
DECIDED = ("decisions", "labels", "outcomes")
"""Of the lake: what became of payments that were decided here."""

# What one machine of 16 GB takes into memory, with room to spare: see docs/decisions/0013-spark.md.
SPARK_FROM_BYTES = 300_000_000
BYTES_PER_SPARK_MACHINE = 1_000_000_000
FEWEST_SPARK_MACHINES, MOST_SPARK_MACHINES = 2, 8

# What SageMaker attaches to a machine.
MOST_VOLUME_GB = 16_384

TRAIN_SECONDS = 4 * 3_600
# Waiting for spot machines and working on them, together.
SPOT_SECONDS = 8 * 3_600


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of the lake held when the run was planned.

    Attributes
    ----------
    objects, bytes : int
    fingerprint : str
        Of the objects' names, sizes and entity tags: what was there can be told from what came later.
    """

    objects: int
    bytes: int
    fingerprint: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A run's plan, as every step of it reads it.

    Attributes
    ----------
    as_of : int
        In ms since the epoch.
    champion : str
        The bundle that served then; empty if none did.
    payment_policy : Policy or None
        By which the scores of payments became actions then; None in plans from before it was kept.
    parameters : dict
        The hyperparameters that were asked for.
    snapshot : dict
        Of the lake's parts that held something.
    started_at : str
        Of the execution, ISO 8601.
    asked : RunInput
        The execution's input, from which the rest follows.
    """

    run_id: str
    as_of: int
    reason: str
    champion: str
    engine: str
    vectors: str
    policy: RunPolicy
    parameters: dict[str, str | int | float]
    instances: int
    snapshot: dict[str, Part]
    started_at: str
    asked: RunInput
    payment_policy: Policy | None = None


class Machines(msgspec.Struct, frozen=True, kw_only=True):
    """What a processing job that reads the lake runs on.

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


def state_of(plan: Plan, *, lake: str, models: str) -> dict[str, Any]:
    """The state of the execution: names, places, inputs, machines, and which phases there are.

    Parameters
    ----------
    lake, models : str
        Buckets.
    """
    run = f"s3://{models}/runs/{plan.run_id}"
    size = sum(part.bytes for part in plan.snapshot.values())
    release = plan.policy.release
    followed = bool(plan.champion)
    inputs = {source: f"s3://{lake}/{source}/" for source in plan.snapshot}
    champion = {"champion": f"s3://{models}/bundles/{plan.champion}/"} if plan.champion else {}
    return {
        "run_id": plan.run_id,
        "alone": True,
        "as_of": str(plan.as_of),
        "champion": plan.champion,
        "engine": plan.engine,
        "phases": {
            "tuning": plan.policy.tuning.trials > 0,
            "champion": followed,
            "shadow": followed and release.shadows,
            "canary": followed and release.canary_share > 0,
            "probation": followed and release.probation_minutes > 0,
        },
        "places": {
            **{
                name: f"{run}/{name}/"
                for name in ("plan", "parameters", "dataset", "checkpoints", "evaluation", "comparison")
            },
            "model": f"{run}/model",
            **champion,
        },
        # Where the comparison is read, if there will be one.
        "compared": f"{run}/comparison/" if followed and release.shadows else "",
        "dataset": {
            "arguments": [
                *("dataset", "--as-of", str(plan.as_of), "--engine", plan.engine, "--vectors", plan.vectors),
                *plan.asked.dataset_options(),
            ],
            "inputs": [
                read_from(name, uri) for name, uri in {"plan": f"{run}/plan/", **inputs, **champion}.items()
            ],
            "machines": msgspec.to_builtins(machines_to_read(plan.engine, size)),
        },
        "training": _training(plan.asked),
        "release": msgspec.to_builtins(release),
        "approval_seconds": max(1, round(release.approval_hours * 3_600)),
    }


def read_from(name: str, uri: str, *, kind: str = "S3Prefix") -> dict[str, Any]:
    """An input of a processing job: all below a prefix, or what a manifest names."""
    place = {"S3Uri": uri, "LocalPath": f"{INPUT}/{name}", "S3DataType": kind, "S3InputMode": "File"}
    return {"InputName": name, "S3Input": place}


def choose_engine(wanted: str, size: int) -> str:
    """What computes the features of a lake of so many bytes."""
    if wanted != "auto":
        return wanted
    return "spark" if size > SPARK_FROM_BYTES else "vectorised"


def machines_to_read(engine: str, size: int) -> Machines:
    """The machines of a job that computes the features of a lake of so many bytes; each has it on its disk."""
    if engine != "spark":
        return Machines(volume_gb=_volume(Machines().volume_gb, size))
    count = min(max(-(-size // BYTES_PER_SPARK_MACHINE), FEWEST_SPARK_MACHINES), MOST_SPARK_MACHINES)
    return Machines(
        count=count, type="ml.m5.4xlarge", volume_gb=_volume(200, size), isolated=False, encrypted=True
    )


def machine_to_compare(size: int) -> Machines:
    """The machine of a comparison: so many bytes of the lake on its disk, the rows of the shadow in memory."""
    return Machines(volume_gb=Machines().volume_gb + -(-2 * size // 1_000_000_000))


def _volume(least: int, size: int) -> int:
    """Room for the lake once more beside itself, for what a job computes from it."""
    return min(least + 2 * size // 1_000_000_000, MOST_VOLUME_GB)


def _training(asked: RunInput) -> dict[str, Any]:
    several = asked.instances > 1
    # SageMaker refuses a longest wait where there is nothing to wait for.
    waiting = {"MaxWaitTimeInSeconds": SPOT_SECONDS} if asked.spot else {}
    return {
        "count": asked.instances,
        "type": asked.instance_type,
        "volume_gb": 30,
        "spot": asked.spot,
        "stopping": {"MaxRuntimeInSeconds": TRAIN_SECONDS, **waiting},
        # Several machines learn from a shard each, and speak with one another.
        "shared": "ShardedByS3Key" if several else "FullyReplicated",
        "encrypted": several,
    }
