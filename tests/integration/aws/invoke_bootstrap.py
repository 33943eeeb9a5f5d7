"""A process that bootstraps a deployment, whose names and lake (a folder) come on standard input."""

import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3

from infra.environments import LOCAL
from ops.deployment import Deployment
from ops.featurestore.bootstrap import bootstrap


class Lake:
    """As much of S3 as a bootstrap asks of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_paginator(self, name: str) -> "Lake":
        assert name == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - S3's names
        assert (Bucket, Prefix) == ("lake", "history/")
        paths = [path.relative_to(self._folder) for path in self._folder.rglob("*.parquet")]
        yield {"Contents": [{"Key": str(path)} for path in paths]}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "lake"
        return {"Body": io.BytesIO((self._folder / Key).read_bytes())}


@dataclass(frozen=True)
class WithLake(Deployment):
    lake: Lake | None = None

    def client(self, service: str) -> Any:
        return self.lake if service == "s3" else super().client(service)


if __name__ == "__main__":
    given = json.load(sys.stdin)
    deployment = WithLake(LOCAL, boto3.Session(), given["resources"], lake=Lake(Path(given["lake"])))
    built = bootstrap(
        deployment,
        clock=lambda: time.time_ns() // 1_000_000,
        sleep=time.sleep,
        buckets=given["buckets"],
        lease=given["lease"],
        settle=given["settle"],
    )
    json.dump(asdict(built), sys.stderr)
