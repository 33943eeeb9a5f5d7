"""Where a replay's inputs and results are: its own folder beside the models, and the lake."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ops.deployment import Deployment
from ops.replaying.planning import Planned
from training.bundles import MANIFEST_FILE, MODEL_FILE
from training.replay_plan import SERVED, ReplayPlan

__all__ = ["Input", "Objects", "bundle_of", "fetch", "inputs_of", "keep", "of_lake", "report_of"]

_MOST_DAYS = 4
"""So many days are inputs of their own. SageMaker takes ten inputs for a job; a longer stretch reads all days."""
_DELIVERED = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects under a prefix, which ends with a slash."""

    bucket: str
    prefix: str
    keys: tuple[str, ...]
    bytes: int

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Input:
    """What the program finds under a folder of its inputs, such as ``decisions/day=2026-01-31``."""

    name: str
    folder: str
    objects: Objects


def keep(deployment: Deployment, planned: Planned) -> str:
    """Lay out the plan and the bundles of a replay under its own folder; return the folder's prefix."""
    client, bucket = deployment.client("s3"), deployment["ModelsBucket"]
    prefix = f"replays/{planned.plan.id}/"
    for version in planned.bundles:
        for name in (MANIFEST_FILE, MODEL_FILE):
            source = {"Bucket": bucket, "Key": f"bundles/{version}/{name}"}
            client.copy_object(Bucket=bucket, Key=f"{prefix}bundles/{version}/{name}", CopySource=source)
    if planned.own_bundle is not None:
        for name in (MANIFEST_FILE, MODEL_FILE):
            key = f"{prefix}bundles/{planned.plan.model}/{name}"
            client.upload_file(str(planned.own_bundle / name), bucket, key)
    client.put_object(
        Bucket=bucket,
        Key=f"{prefix}plan/plan.json",
        Body=msgspec.json.format(msgspec.json.encode(planned.plan)),
        ContentType="application/json",
    )
    return prefix


def inputs_of(deployment: Deployment, plan: ReplayPlan, prefix: str) -> list[Input]:
    """The inputs of a job; what has no objects is left out, since SageMaker refuses an empty prefix."""
    client, models = deployment.client("s3"), deployment["ModelsBucket"]
    own = [Input(name, name, _objects(client, models, f"{prefix}{name}/")) for name in ("plan", "bundles")]
    return [*(each for each in own if each.objects.keys), *of_lake(deployment, plan)]


def of_lake(deployment: Deployment, plan: ReplayPlan) -> list[Input]:
    """What a replay reads of the lake."""
    client, lake = deployment.client("s3"), deployment["LakeBucket"]
    days = _days(plan, replays=deployment.environment.replay_time)
    folders = {f"decisions-{day}": f"decisions/day={day}" for day in days} or {"decisions": "decisions"}
    folders["labels"] = "labels"
    if plan.features != SERVED:
        # Features that are computed anew look at all that is known.
        folders |= {"history": "history", "outcomes": "outcomes"}
    found = [Input(name, folder, _objects(client, lake, f"{folder}/")) for name, folder in folders.items()]
    return [each for each in found if each.objects.keys]


def bundle_of(deployment: Deployment, version: str) -> Input:
    """A bundle as it was registered."""
    client, models = deployment.client("s3"), deployment["ModelsBucket"]
    return Input(version, f"bundles/{version}", _objects(client, models, f"bundles/{version}/"))


def _days(plan: ReplayPlan, *, replays: bool) -> list[str]:
    """The days of the lake that hold the stretch; none where all days have to be read."""
    if replays or plan.features != SERVED:
        return []
    first, end = (datetime.fromtimestamp(each / 1_000, UTC) for each in (plan.since, plan.until - 1))
    count = ((end + _DELIVERED).date() - first.date()).days + 1
    if count > _MOST_DAYS:
        return []
    return [(first.date() + timedelta(days=number)).isoformat() for number in range(count)]


def fetch(client: Any, objects: Objects, target: Path) -> Iterator[Path]:
    """Copy objects below a folder, each by the rest of its key."""
    for key in objects.keys:
        path = target / key.removeprefix(objects.prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(objects.bucket, key, str(path))
        yield path


def report_of(deployment: Deployment, prefix: str) -> Objects:
    """What a job left as its report."""
    return _objects(deployment.client("s3"), deployment["ModelsBucket"], f"{prefix}report/")


def _objects(client: Any, bucket: str, prefix: str) -> Objects:
    keys, size = [], 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for each in page.get("Contents", ()):
            if not each["Key"].endswith("/"):
                keys.append(each["Key"])
                size += each["Size"]
    return Objects(bucket, prefix, tuple(keys), size)
