"""Where a replay's inputs and results are: its own folder beside the models, and the lake."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from fraud.manifest import Days, manifest
from ops.deployment import Deployment
from ops.replaying.planning import Planned
from training.bundles import MANIFEST_FILE, MODEL_FILE
from training.replay_plan import SERVED, ReplayPlan, feature_set

__all__ = ["Input", "Objects", "bundle_of", "fetch", "folder_of", "inputs_of", "keep", "of_lake", "report_of"]


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects under a prefix, which ends with a slash."""

    bucket: str
    prefix: str
    keys: tuple[str, ...]
    bytes: int

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Input:
    """What the program finds under a folder of its inputs, such as ``decisions``.

    Attributes
    ----------
    objects : Objects
    manifest : str
        Where the document lies that names them, ``s3://...``; empty where all of their prefix is meant.
    """

    name: str
    folder: str
    objects: Objects
    manifest: str = ""


def folder_of(replay: str) -> str:
    """The prefix of a replay's own folder beside the models."""
    return f"replays/{replay}/"


def keep(deployment: Deployment, planned: Planned) -> str:
    """Lay out the plan and the bundles of a replay under its own folder; return the folder's prefix."""
    client, bucket = deployment.client("s3"), deployment["ModelsBucket"]
    prefix = folder_of(planned.plan.id)
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
    """The inputs of a job; what has no objects is left out, since SageMaker refuses an empty input.

    Of the lake a job is given manifests, which are laid out under the replay's own folder: its days would be more
    inputs than the ten that SageMaker takes.
    """
    client, models = deployment.client("s3"), deployment["ModelsBucket"]
    own = [Input(name, name, _objects(client, models, f"{prefix}{name}/")) for name in ("plan", "bundles")]
    inputs = [each for each in own if each.objects.keys]
    for each in of_lake(deployment, plan):
        key, found = f"{prefix}inputs/{each.name}.manifest", each.objects
        client.put_object(
            Bucket=models,
            Key=key,
            Body=manifest(found.bucket, found.prefix, found.keys),
            ContentType="application/json",
        )
        inputs.append(replace(each, manifest=f"s3://{models}/{key}"))
    return inputs


def of_lake(deployment: Deployment, plan: ReplayPlan) -> list[Input]:
    """What a replay reads of the lake; parts without objects are left out."""
    client, lake = deployment.client("s3"), deployment["LakeBucket"]
    parts = _parts(plan, replays=deployment.environment.replay_time)
    found = [Input(days.part, days.part, _listed(client, lake, days)) for days in parts]
    return [each for each in found if each.objects.keys]


def bundle_of(deployment: Deployment, version: str) -> Input:
    """A bundle as it was registered."""
    client, models = deployment.client("s3"), deployment["ModelsBucket"]
    return Input(version, f"bundles/{version}", _objects(client, models, f"bundles/{version}/"))


def _parts(plan: ReplayPlan, *, replays: bool) -> list[Days]:
    """The days of each part of the lake that a replay looks at; all where events bring times of their own.

    A report is of a payment that was decided before, and may come at any time after it. Features that are computed
    anew look back as far as their longest window, and imports lie under no day.
    """
    anew = plan.features != SERVED
    told = ("labels", "outcomes") if anew else ("labels",)
    history = [Days("history")] if anew else []
    if replays:
        return [Days("decisions"), *map(Days, told), *history]
    back = feature_set(plan.features).retention if anew else 0
    decided = Days.of("decisions", plan.since - back, plan.until)
    return [decided, *(Days(part, decided.first) for part in told), *history]


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
    return _listed(client, bucket, Days(prefix.removesuffix("/")))


def _listed(client: Any, bucket: str, days: Days) -> Objects:
    keys: list[str] = []
    size = 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, **days.listing):
        for each in page.get("Contents", ()):
            if days.is_over(each["Key"]):
                return Objects(bucket, days.folder, tuple(keys), size)
            if not each["Key"].endswith("/"):
                keys.append(each["Key"])
                size += each["Size"]
    return Objects(bucket, days.folder, tuple(keys), size)
